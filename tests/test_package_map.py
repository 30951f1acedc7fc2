"""`help(gossipreg)` has the map of the package: every part of it once, and no word for something that is not there."""

import inspect
import re
from pathlib import Path

import gossipreg

ROOT = Path(gossipreg.__file__).parent
NO_PARTS = {"__init__", "__main__", "__pycache__", "docs"}
"""The package itself, `python -m gossipreg`, and the manual."""
HELP = inspect.getdoc(gossipreg) or ""


def section(begin: str, end: str) -> str:
    assert begin in HELP
    assert end in HELP
    return HELP.partition(begin)[2].partition(end)[0]


def mapped() -> list[str]:
    """The names at the beginning of the lines of the map."""
    lines = re.findall(r"^    (\S+(?:, \S+)*)  ", section("The map of the package.", "How data flows:"), re.MULTILINE)
    return [name for line in lines for name in line.split(", ")]


def there(dotted: str) -> bool:
    """Whether a module is there, or a function or class of this name in it or below its folder."""
    parts = dotted.split(".")
    folder = ROOT.joinpath(*parts)
    if folder.is_dir() or folder.with_suffix(".py").is_file():
        return True
    above = ROOT.joinpath(*parts[:-1])
    files = above.rglob("*.py") if above.is_dir() else [*above.parent.glob("*.py")] if len(parts) > 2 else []
    return any(re.search(rf"\b(?:def|class) {parts[-1]}\b", file.read_text()) for file in files)


def test_the_map_names_every_part_of_the_package_once() -> None:
    modules = {path.stem for path in ROOT.glob("*.py")} - NO_PARTS
    folders = {f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and path.name not in NO_PARTS}
    assert sorted(mapped()) == sorted(modules | folders)


def test_data_flows_through_modules_that_are_there() -> None:
    flows = section("How data flows:", "\n\nPrograms use")
    steps = re.findall(r"\b(?:core|wire|gateway|daemon)(?:\.\w+)+", flows)
    assert len(steps) >= 6
    assert [step for step in steps if not there(step)] == []


def test_quoted_names_of_the_help_exist() -> None:
    """Names of the package, paths in it, and commands."""
    quoted = [name.removesuffix("()") for name in re.findall(r"`([^`]+)`", HELP)]
    assert len(quoted) >= 4
    assert [name for name in quoted if not exists(name)] == []


def exists(name: str) -> bool:
    if name.startswith("gossipreg."):
        inner = name.removeprefix("gossipreg.")
        return hasattr(gossipreg, inner) or there(inner)
    return (ROOT / (name if name.endswith(".py") else f"cli/{name}.py")).is_file()
