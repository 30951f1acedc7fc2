"""Writes the table of `join`'s options into gossipreg/docs/configuration.md: python -m scripts.options_table

The table is made from what click declares, so it is never edited by hand; a test compares both.
"""

from pathlib import Path

import click

from gossipreg.cli.join import join
from gossipreg.cli.sources import NOT_IN_FILE, flag_name, options_of, variable_name
from gossipreg.cli.units import Duration, OneOf, Size
from scripts.tools.figures import markdown

MANUAL = Path(__file__).parent.parent / "gossipreg" / "docs" / "configuration.md"
BEGIN, END = "<!-- table of options -->\n", "<!-- end of the table -->\n"


def table() -> str:
    """One row per option: flag, variable, the key and form of its value in the file, and its help."""
    rows = [_row(option) for option in options_of(join) if option.name not in NOT_IN_FILE]
    return markdown(["flag", "variable", "in the file", "what it says"], rows)


def _row(option: click.Option) -> list[str]:
    name = flag_name(option)
    metavar = "" if option.is_bool_flag else f" {_metavar(option)}"
    cells = [f"`--{name}{metavar}`", f"`{variable_name(option)}`", f"`{name} = {_example(option)}`", option.help or ""]
    return [cell.replace("|", "\\|") for cell in cells]


def _metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper()


def _example(option: click.Option) -> str:
    if option.is_bool_flag:
        return "true"
    if isinstance(option.type, OneOf):
        return str(option.type.numbers[-1])
    if isinstance(option.type, Size):
        return '"1GiB"'
    if isinstance(option.type, click.types.IntParamType):
        return "8080" if option.name == "port" else "1"
    if isinstance(option.type, Duration):
        return '"5s"'
    text = f'"{_metavar(option).split("|")[0]}"'
    return f"[{text}, ...]" if option.multiple else text


def renewed(page: str) -> str:
    """The page of the manual with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    MANUAL.write_text(renewed(MANUAL.read_text()))
