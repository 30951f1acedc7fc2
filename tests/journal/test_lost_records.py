"""A large record that the disk has lost is reported; one that was removed while it was read is not."""

from gossipreg.journal.effects import JournalEffect, JournalEvent, ReadRecords
from tests.journal.by_hand import JOURNAL, Voter
from tests.journal.test_large_records import ask, key, led, put, put_on_disk, remove


def read(voter: Voter) -> list[JournalEffect]:
    """Do the read that waits, as the disk is now; what follows."""
    asked = voter.writes.popleft()
    assert isinstance(asked, ReadRecords)
    effects = voter.journals.records_read(JOURNAL, asked.number, voter.disk.read(asked), voter.bench.now)
    voter.act(effects)
    return effects


def reported(effects: list[JournalEffect]) -> list[dict[str, object]]:
    events = [effect for effect in effects if isinstance(effect, JournalEvent)]
    assert {event.kind for event in events} <= {"journal_record_missing"}
    return [dict(event.fields) for event in events]


def test_a_record_that_the_disk_has_lost_is_reported() -> None:
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x", b=b"y")
    ask(s1, 7, "a", "b", "unknown")
    del s1.disk[JOURNAL].records[key("a")]
    assert reported(read(s1)) == [{"journal": JOURNAL.hex(), "record": key("a").hex()}]
    assert s1.found == {7: (None, b"y", None)}


def test_a_record_that_was_removed_meanwhile_is_not_reported() -> None:
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x", b=b"y")
    ask(s1, 7, "a", "b")
    asked = s1.writes.popleft()
    remove(s1, "a")
    remove(s1, "b")
    bench.exchange(s1, s2, s3)
    remove(s1, "nothing")
    bench.exchange(s1, s2, s3)
    put(s1, "b", b"new")  # it goes to the disk with the next entry
    bench.exchange(s1, s2, s3)
    s1.writes.append(asked)
    assert reported(read(s1)) == []
    assert s1.found == {7: (None, None)}
