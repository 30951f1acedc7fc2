"""The manual's table of what `info` says has a row for each trouble that the sidecar reports, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest

import gossipreg
from gossipreg.core.effects import Event
from gossipreg.daemon import troubles
from gossipreg.daemon.events import in_words

PAGE = (Path(gossipreg.__file__).parent / "docs" / "operations.md").read_text()
ROWS = [
    cells[0].strip()
    for line in PAGE.partition("## What `info` says")[2].splitlines()
    if line.startswith("| ") and (cells := line.strip("|").split("|"))[0].strip() != "line"
]
PLACE = re.compile(r"\.\.\.|\b[A-Z]+\b")
"""Stands in a row for what differs from one line to the next."""

FIELDS: dict[str, Any] = {
    "address": "10.0.0.7:7940", "name": "web-3", "id": "00", "cluster": "x", "theirs": "1", "ours": "2",
    "older": "here", "wait_s": 60.0, "since_s": 9.0, "through": "db-2", "bytes": 1250, "lost_bytes": 1275,
}  # fmt: skip
SIGNS = [{"sign": sign, "way": "from"} for sign in ("unanswered", "accused", "unheard")]


def messages() -> list[str]:
    kinds: list[tuple[str, dict[str, Any]]] = [
        (kind, {}) for kind in (*troubles.OF_EVENTS, "out", "pull_failed", "path_mtu")
    ]
    kinds += [("pair_lossy", sign) for sign in SIGNS] + [("path_mtu", {"lost_bytes": 576, "bytes": 576})]
    return [in_words(Event(kind, tuple({**FIELDS, **more}.items())), cluster="y") for kind, more in kinds]


def fits(row: str, message: str) -> bool:
    """Whether the message begins as the row does."""
    fixed = [re.escape(part) for part in PLACE.split(row)]
    return re.match(".+?".join(fixed), message) is not None


@pytest.mark.parametrize("message", messages())
def test_each_trouble_of_an_event_has_one_row_in_the_manual(message: str) -> None:
    assert len([row for row in ROWS if fits(row, message)]) == 1, message
