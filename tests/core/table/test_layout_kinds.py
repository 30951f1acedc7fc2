"""The kinds of entries that a row may have are those that the page of the protocol lists."""

import re
from pathlib import Path

from gossipreg.core.table import layout
from gossipreg.core.table.announcements import ANNOUNCED

PAGE = Path(__file__).parents[3] / "gossipreg" / "docs" / "protocol.md"


def test_the_protocol_lists_the_kinds_of_a_row() -> None:
    kinds = {value for name, value in vars(layout).items() if name.startswith("KIND_") and name != "KIND_BITS"}
    assert kinds == set(range(len(kinds)))
    assert kinds == {int(found) for found in re.findall(r"\bkind (\d+):", PAGE.read_text())}
    assert set(ANNOUNCED) < kinds
