"""Damage that changes the type of a value: one bit of a row's header makes text of a blob."""

from pathlib import Path

import pytest

from gossipreg.daemon.journals.forms import encode_entry, encode_record
from gossipreg.daemon.journals_file import JOURNALS
from gossipreg.journal.effects import WriteJournal
from gossipreg.journal.model import Ballot, LogEntry
from gossipreg.model import NodeId
from tests.daemon.journals.images import by_journal, look_into, opened
from tests.daemon.journals.test_journals_that_went_back import A, B, R, S, begun

KEY, VALUE = b"k" * 90, b"\xff" * 200
ENTRY = LogEntry(1, Ballot(1, R), 0, 2, b"\xff" * 200)
BEFORE = {
    "entry": (encode_entry(R, ENTRY), 1),
    "record": (KEY + encode_record(R, KEY, VALUE), 1),
    "key": (KEY + encode_record(R, KEY, VALUE), 3),
    "summary": (R + A, 1),
    "journal": (R + A, 3),
    "replica": (R + A, 4),
}
"""Where the content of a row begins, and how many bytes before that the header has the type of the value. A row is its
header and then its values; a blob of n bytes has the type 12 + 2n, a text 13 + 2n (SQLite's file format, 2.1)."""


@pytest.mark.parametrize("value", BEFORE)
def test_a_value_that_became_text_gives_nothing_wrong(value: str, tmp_path: Path) -> None:
    with opened(tmp_path) as (database, _):
        database.write([begun(A, R), begun(B, S)])
        database.write([WriteJournal(1, A, R, NodeId(b"o" * 16), entries=(ENTRY,), records=((KEY, VALUE),))])
    raw = bytearray((tmp_path / JOURNALS).read_bytes())
    content, before = BEFORE[value]
    at, changed = raw.find(content), 0
    while at >= 0:
        raw[at - before] |= 1
        at, changed = raw.find(content, at + 1), changed + 1
    assert changed
    (tmp_path / JOURNALS).write_bytes(raw)
    found = by_journal(look_into(tmp_path))
    assert B in found
    if A in found:  # the bytes are those of before, and this SQLite does not mind
        assert (found[A].replica, found[A].entries, found[A].records) == (R, (ENTRY,), {KEY: VALUE})
