"""`gossipreg config`."""

from typing import Any

import click

from gossipreg.cli.options import Chosen, client_options, pass_chosen
from gossipreg.cli.output import print_json, print_table, say


@click.command(
    epilog="""\b
    Example:
      gossipreg config
      gossipreg config --all --json | jq '.options[] | select(.source == "variable")'
    """
)
@click.option("--all", "everything", is_flag=True, help="Also options that were left at their default.")
@client_options
@pass_chosen
def config(chosen: Chosen, everything: bool) -> None:
    """Show the options of the running sidecar: each value, and whether a flag, a variable or a file gave it.

    Keys are shown as fingerprints. With --json defaults are always listed.
    """
    with chosen.client() as client:
        found = client.call("config")
    if chosen.json:
        print_json(found)
        return
    shown = [one for one in found["options"] if everything or one["source"] != "default"]
    print_table(("OPTION", "VALUE", "FROM"), ((one["name"], _value(one["value"]), _from(one)) for one in shown))
    for one in found["ignored"]:
        say(f"Note: {one['variable']} is ignored: {one['why']}")


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _from(one: dict[str, Any]) -> str:
    return one["source"] if one["source"] in ("default", "flag") else f"{one['source']} {one['where']}"
