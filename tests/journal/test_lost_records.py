"""A large record that the disk has lost is reported; one that was removed while it was read is not."""

from gossipreg.journal.effects import JournalEffect, JournalEvent, ReadRecords
from gossipreg.journal.messages import InstallState
from tests.journal.by_hand import JOURNAL, Bench, Voter
from tests.journal.test_large_records import (
    Payloads,
    ask,
    behind,
    finish,
    key,
    large,
    led,
    put,
    put_on_disk,
    remove,
)


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


def test_a_leader_whose_disk_has_lost_a_record_lets_another_voter_lead() -> None:
    """The disks of the others have the record: what needs it goes on there."""
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x")
    del s1.disk[JOURNAL].records[key("a")]
    ask(s1, 7, "a")
    read(s1)
    assert s1.journals.replicas[JOURNAL].leading is None
    bench.elect(s2, s1, s3)
    bench.exchange(s2, s1, s3)
    ask(s2, 8, "a")
    read(s2)
    assert s2.found == {8: (b"x",)}


def test_a_state_without_a_lost_record_is_not_sent() -> None:
    bench, s1, s2, s3 = behind({"a": b"x" * 10_000, "b": b"y"})
    del s1.disk[JOURNAL].records[key("a")]
    bench.deliver(s3, s1)
    s1.write()
    assert not [message for *_, message in bench.sent if isinstance(message, InstallState)]
    bench.elect(s2, s1, s3)
    bench.exchange(s2, s1, s3)
    finish(bench, s2, s1, s3)
    assert large(s3) == large(s2) == {key("a"): b"x" * 10_000, key("b"): b"y"}


def test_a_leader_gives_up_only_once_for_a_lost_record() -> None:
    """Where no disk has it, the journal is led all the same."""
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x")
    del s1.disk[JOURNAL].records[key("a")]
    ask(s1, 7, "a")
    read(s1)
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    ask(s1, 8, "a")
    assert reported(read(s1)) == [{"journal": JOURNAL.hex(), "record": key("a").hex()}]
    assert s1.journals.replicas[JOURNAL].leading is not None


def test_the_only_voter_goes_on_to_lead_without_a_lost_record() -> None:
    bench = Bench(1, Payloads)
    (s1,) = bench.voters
    bench.elect(s1)
    bench.exchange(s1)
    put_on_disk(bench, s1, a=b"x")
    del s1.disk[JOURNAL].records[key("a")]
    ask(s1, 7, "a")
    read(s1)
    assert s1.journals.replicas[JOURNAL].leading is not None
