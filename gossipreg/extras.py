"""How to install an optional part of the package, for the one environment that runs it."""

import shlex
import sys
from pathlib import Path


def install_command(extra: str, package: Path = Path(__file__).parent) -> str:
    """The line for a shell. pip of another environment would install it where this program does not look; and a
    checkout is what it was installed from, under whatever name an index has it."""
    checkout = package.parent
    of = f"{checkout}[{extra}]" if (checkout / "pyproject.toml").is_file() else f"gossipreg[{extra}]"
    return f"{shlex.quote(sys.executable)} -m pip install {shlex.quote(of)}"
