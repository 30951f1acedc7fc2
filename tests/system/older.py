"""The command of an older release, from this clone's history: for tests in which its members and ours form a
cluster."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
FIRST_RELEASE = "13194ac"
"""The first release that others run: its members must be able to work beside ours."""

_folders: list[TemporaryDirectory[str]] = []
"""Removed when the process ends."""


@cache
def missing() -> str:
    """Return why the older release cannot be run here; empty if it can."""
    found = subprocess.run(
        ["git", "-C", str(ROOT), "cat-file", "-e", f"{FIRST_RELEASE}^{{commit}}"], capture_output=True, check=False
    )
    return "" if found.returncode == 0 else f"commit {FIRST_RELEASE} is not in this clone: fetch its whole history"


@cache
def command() -> tuple[str, ...]:
    """Return the command of the older release."""
    folder = TemporaryDirectory(prefix="gr-old-")
    _folders.append(folder)
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", FIRST_RELEASE, "gossipreg"], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", folder.name], input=archive.stdout, check=True)
    return ("env", f"PYTHONPATH={folder.name}", sys.executable, "-P", "-m", "gossipreg.cli")
