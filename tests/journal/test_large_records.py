"""Large records: their values leave memory once they are on the disk, are read from there, and arrive with a state."""

from dataclasses import replace
from itertools import count

import pytest

from gossipreg.journal import reading
from gossipreg.journal.disk import CHANGES_BYTES
from gossipreg.journal.effects import ReadRecords
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.messages import InstallState, StateInstalled
from gossipreg.journal.model import EntryKind, JournalId, LogEntry
from gossipreg.journal.state import LARGE, Records
from tests.journal.by_hand import JOURNAL, TUNING, Bench, Voter

KIB = 1024
_tickets = count(1)


class Payloads:
    """`+NAME=...` puts a large record, `-NAME` removes one; a small record has the number of entries."""

    kinds = frozenset({EntryKind.DATA})

    def load(self, records: Records) -> None:
        """Nothing is derived from the records."""

    def is_empty(self, records: Records) -> bool:
        return not records.large

    def apply(self, entry: LogEntry, records: Records) -> None:
        if entry.kind != EntryKind.DATA:
            return
        name, _, value = entry.data[1:].partition(b"=")
        if entry.data.startswith(b"+"):
            records.put(LARGE + name, value)
        else:
            records.remove(LARGE + name)
        records.put(b"entries", b"%d" % (int(records.get(b"entries") or b"0") + 1))


def key(name: str) -> bytes:
    return LARGE + name.encode()


def led() -> tuple[Bench, Voter, Voter, Voter]:
    bench = Bench(3, Payloads)
    s1, s2, s3 = bench.voters
    bench.elect(s1, s2, s3)
    bench.exchange(s1, s2, s3)
    return bench, s1, s2, s3


def put(voter: Voter, name: str, value: bytes) -> None:
    voter.propose(b"+" + name.encode() + b"=" + value, next(_tickets))


def remove(voter: Voter, name: str) -> None:
    voter.propose(b"-" + name.encode(), next(_tickets))


def ask(voter: Voter, number: int, *names: str) -> None:
    voter.act(voter.journals.read_records(JOURNAL, [key(name) for name in names], number, voter.bench.now))


def in_memory(voter: Voter) -> set[bytes]:
    records = voter.data.state.records
    return {one for one in records.large if records.in_memory(one) is not None}


def put_on_disk(bench: Bench, leader: Voter, *others: Voter, **values: bytes) -> None:
    """These records are in the state on the disks of these voters, and not in memory."""
    for name, value in values.items():
        put(leader, name, value)
    bench.exchange(leader, *others)
    for _ in range(2):
        remove(leader, "nothing")  # the state is written along with the next entry
        bench.exchange(leader, *others)
    assert not in_memory(leader)


def test_a_large_value_leaves_memory_once_it_is_on_the_disk() -> None:
    bench, s1, s2, s3 = led()
    put(s1, "a", b"x" * 1000)
    bench.exchange(s1, s2, s3)
    assert [in_memory(voter) for voter in bench.voters] == [{key("a")}] * 3
    put(s1, "b", b"y" * 50)
    bench.exchange(s1, s2, s3)
    assert [in_memory(voter) for voter in bench.voters] == [{key("b")}] * 3
    assert dict(s2.data.state.records.large) == {key("a"): 1000, key("b"): 50}
    s2.start()
    assert not in_memory(s2)
    assert dict(s2.data.state.records.large) == {key("a"): 1000}, "the entry of b is applied again"


def test_many_changes_of_the_state_are_written_without_another_entry() -> None:
    """A follower that has applied a burst would keep it in memory until the next entry, which may be tomorrow's."""
    bench, s1, s2, s3 = led()
    for name in "abcdefgh":
        put(s1, name, bytes(100 * KIB))
    bench.exchange(s1, s2, s3)
    assert all(len(in_memory(voter)) * 100 * KIB <= CHANGES_BYTES for voter in bench.voters)


def test_a_value_in_memory_is_found_at_once() -> None:
    bench, s1, s2, s3 = led()
    put(s1, "a", b"x")
    bench.exchange(s1, s2, s3)
    s1.act(s1.journals.read_records(JOURNAL, [key("a"), b"entries", b"unknown", key("unknown")], 7, bench.now))
    assert s1.found == {7: (b"x", b"1", None, None)}
    assert not s1.writes


def test_a_value_that_is_only_on_the_disk_is_read() -> None:
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x", b=b"y")
    put(s1, "c", b"z")
    bench.exchange(s1, s2, s3)
    ask(s1, 7, "a", "c", "b", "a")
    assert not s1.found
    s1.write()
    assert s1.found == {7: (b"x", b"z", b"y", b"x")}


def test_a_state_machine_cannot_read_a_large_value() -> None:
    records = Records({b"small": b"1"}, {key("a"): 5})
    with pytest.raises(ValueError, match=r"the record ff61 is large: read it with Journals\.read_records"):
        records.get(key("a"))
    assert records.get(b"small") == b"1"
    assert key("a") in records
    assert len(records) == 2
    records.remove(key("a"))
    assert records.take_changes(1) == {key("a"): None}
    records.remove(key("a"))
    assert records.take_changes(1) == {}


def test_a_record_that_is_removed_while_it_is_read_is_none() -> None:
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x", b=b"y")
    ask(s1, 7, "a", "b")
    read = s1.writes.popleft()
    remove(s1, "a")
    put(s1, "b", b"new")
    bench.exchange(s1, s2, s3)
    remove(s1, "nothing")
    bench.exchange(s1, s2, s3)
    s1.writes.append(read)  # the disk did it after the writes that were asked for later
    s1.write()
    assert s1.found == {7: (None, b"new")}


def test_a_large_read_is_done_in_parts() -> None:
    bench, s1, s2, s3 = led()
    names = [f"n{number}" for number in range(25)]
    put_on_disk(bench, s1, s2, s3, **{name: name.encode() * 50 * KIB for name in names})
    ask(s1, 7, *names)
    ask(s1, 8, "n1")
    parts = []
    while s1.writes:
        read = s1.writes[0]
        assert isinstance(read, ReadRecords)
        parts.append(sum(len(value or b"") for value in s1.disk.read(read)))
        s1.write_one()
    assert len(parts) == 4, "one at a time, and the small one goes with the last part"
    assert max(parts) <= reading.READ_BYTES
    assert s1.found == {7: tuple(name.encode() * 50 * KIB for name in names), 8: (b"n1" * 50 * KIB,)}


def test_every_read_is_answered_whatever_becomes_of_the_replica() -> None:
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x", b=b"y")
    ask(s1, 1, "a")
    ask(s1, 2, "a", "b")
    s1.act(s1.journals.write_failed(bench.now))
    ask(s1, 3, "a")
    assert s1.found == {1: (None,), 2: (None, None), 3: (None,)}
    s1.write()  # a late answer is to no question
    assert len(s1.found) == 3
    s1.act(s1.journals.read_records(JournalId(b"k" * 16), [b"a", b"b"], 4, bench.now))
    assert s1.found[4] == (None, None)
    ask(s2, 5, "a")
    s2.act(s2.journals.retire(bench.now))
    assert s2.found == {5: (None,)}


def test_too_many_reads_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_WAITING", 10)
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, s3, a=b"x")
    for number in range(11):  # one is under way
        ask(s1, number, "a")
    with pytest.raises(ProposalRefused, match="wait for the disk"):
        ask(s1, 99, "a")
    s1.write()
    assert s1.found == dict.fromkeys(range(11), (b"x",))


# -- a state that arrives ----------------------------------------------------------------------------------------------


def behind(values: dict[str, bytes]) -> tuple[Bench, Voter, Voter, Voter]:
    """The third voter lacks these records, and the log of the leader begins above them; it is about to be reached."""
    bench, s1, s2, s3 = led()
    put_on_disk(bench, s1, s2, **values)
    s1.data.disk.cut(s1.data.log.cut(s1.data.disk.applied))
    bench.drop(s1, s3)
    s1.act(s1.journals.closed(s3.node, bench.now))
    bench.now += 60.0
    s1.act(s1.journals.advance(bench.now))
    bench.deliver(s1, s3)
    s3.write()
    return bench, s1, s2, s3


def piece(bench: Bench, leader: Voter, follower: Voter) -> InstallState | None:
    """The next piece goes from the leader to the follower, and its answer back; what was sent."""
    bench.deliver(follower, leader)
    leader.write()
    sent = bench.deliver(leader, follower, 1)
    follower.write()
    return sent[0] if sent and isinstance(sent[0], InstallState) else None


def large(voter: Voter) -> dict[bytes, bytes]:
    """What its disk has."""
    return {one: value for one, value in voter.disk[JOURNAL].records.items() if one.startswith(LARGE)}


NAMES = [f"n{number:02}" for number in range(10)]
VALUES = {name: name.encode() * 10 * KIB for name in NAMES}


def finish(bench: Bench, s1: Voter, s2: Voter, s3: Voter) -> None:
    bench.exchange(s1, s2, s3, rounds=20)
    remove(s1, "nothing")
    bench.exchange(s1, s2, s3)
    remove(s1, "nothing")
    bench.exchange(s1, s2, s3)


def test_the_large_records_of_a_state_are_read_and_written_piece_by_piece() -> None:
    bench, s1, _, s3 = behind(VALUES)
    pieces = []
    while (sent := piece(bench, s1, s3)) is not None:
        pieces.append(sum(len(value) for _, value in sent.records))
        assert not in_memory(s3)
        if not sent.last:
            assert s3.data.state.applied == 1, "the state of before stays until the last piece"
            assert not large(s3)
    assert len(pieces) == 6
    assert max(pieces) <= 64 * KIB
    assert s3.data.context.counts["journal.states_installed"] == 1
    assert large(s3) == {key(name): value for name, value in VALUES.items()}
    assert dict(s3.data.state.records.large) == {key(name): len(value) for name, value in VALUES.items()}
    assert s3.disk.stages == {s3.replica: {}}
    ask(s3, 1, *NAMES)
    s3.write()
    assert s3.found == {1: tuple(VALUES.values())}


def test_records_that_change_while_a_state_is_sent_are_equal_at_the_end() -> None:
    """A removed one is left out, a replaced one is sent as it is then: the receiver gets the entries that did it."""
    bench, s1, s2, s3 = behind(VALUES)
    assert piece(bench, s1, s3) is not None
    put(s1, "n00", b"replaced after it was sent")
    remove(s1, "n01")
    put(s1, "n08", b"replaced before it was sent")
    remove(s1, "n09")
    put(s1, "n10", b"new")
    bench.exchange(s1, s2)
    remove(s1, "nothing")
    bench.exchange(s1, s2)
    sent: dict[bytes, bytes] = {}
    while (message := piece(bench, s1, s3)) is not None:
        sent.update(message.records)
    assert sent[key("n08")] == b"replaced before it was sent"
    assert key("n09") not in sent
    assert key("n10") not in sent
    finish(bench, s1, s2, s3)
    kept = {key(name): VALUES[name] for name in NAMES[2:8]}
    kept |= {key("n00"): b"replaced after it was sent", key("n08"): b"replaced before it was sent", key("n10"): b"new"}
    assert [large(voter) for voter in bench.voters] == [kept] * 3
    assert s1.data.state.records.all() == s3.data.state.records.all()
    assert s1.data.state.records.large == s3.data.state.records.large


def test_a_process_that_ends_while_a_state_arrives_keeps_the_one_of_before() -> None:
    bench, s1, s2, s3 = behind(VALUES)
    for _ in range(3):
        assert piece(bench, s1, s3) is not None
    assert s3.disk.stages[s3.replica]
    s3.start()
    assert not s3.disk.stages
    assert s3.data.state.applied == 1
    s1.act(s1.journals.closed(s3.node, bench.now))
    bench.now += 60.0
    s1.act(s1.journals.advance(bench.now))
    finish(bench, s1, s2, s3)
    assert large(s3) == large(s1) == {key(name): value for name, value in VALUES.items()}


def test_what_has_arrived_of_a_state_takes_space_here() -> None:
    bench, s1, _, s3 = behind(VALUES)
    before = s3.data.size_bytes
    arrived = []
    while (sent := piece(bench, s1, s3)) is not None:
        if not sent.last:
            arrived.append(s3.journals.foreign_bytes - before)
            assert s3.data.size_bytes == before, "it is no part of the journal yet"
    assert arrived == sorted(arrived)
    assert arrived[-1] > sum(map(len, VALUES.values())) / 2
    assert s3.data.space_bytes == s3.data.size_bytes


def test_a_state_that_is_given_up_leaves_nothing_on_the_disk() -> None:
    """Another leader begins to send its own in the middle of it."""
    bench, s1, s2, s3 = behind(VALUES)
    for _ in range(3):
        assert piece(bench, s1, s3) is not None
    first = {*s3.disk.stages[s3.replica]}
    s2.data.disk.cut(s2.data.log.cut(s2.data.disk.applied))
    bench.forget_messages_of(s1)
    bench.elect(s2, s1)
    bench.exchange(s2, s1)
    bench.deliver(s2, s3)
    s3.write()
    seen: set[int] = set()
    while piece(bench, s2, s3) is not None:
        seen |= {*s3.disk.stages[s3.replica]}
    assert seen
    assert not seen & first
    assert s3.disk.stages == {s3.replica: {}}
    assert large(s3) == {key(name): value for name, value in VALUES.items()}


def test_the_log_is_kept_for_a_replica_that_gets_a_state() -> None:
    """Else it would need the next state as soon as it has this one, for ever while there are many entries."""
    bench, s1, s2, s3 = behind(VALUES)
    assert piece(bench, s1, s3) is not None
    base = s1.data.log.base.position.index
    s1.data.context.tuning = replace(TUNING, cut_bytes=20 * KIB)
    for number in range(10):
        put(s1, f"m{number}", bytes(10 * KIB))
        bench.exchange(s1, s2, rounds=2)
    assert s1.data.log.size_bytes > 80 * KIB
    assert s1.data.log.base.position.index <= base + 1
    while piece(bench, s1, s3) is not None:
        pass
    finish(bench, s1, s2, s3)
    assert s1.data.log.base.position.index > base + 1
    assert s3.data.context.counts["journal.states_installed"] == 1
    assert large(s3) == large(s1)


def begin_again(bench: Bench, s1: Voter, s3: Voter) -> None:
    """The stream breaks, and the leader begins to send the state again; no piece of it may go yet."""
    s1.act(s1.journals.closed(s3.node, bench.now))
    replays = s1.data.context.replays
    bench.now += 60.0
    replays.sent(10 * TUNING.replay_bytes_a_second, bench.now)
    s1.act(s1.journals.advance(bench.now))
    bench.deliver(s1, s3)
    s3.write()
    bench.deliver(s3, s1)


def until_equal(bench: Bench, s1: Voter, s2: Voter, s3: Voter) -> None:
    bench.now += 60.0
    s1.act(s1.journals.advance(bench.now))
    finish(bench, s1, s2, s3)
    assert large(s3) == large(s1) == {key(name): value for name, value in VALUES.items()}


def test_a_read_for_a_state_that_is_sent_no_more_is_dropped() -> None:
    bench, s1, s2, s3 = behind(VALUES)
    bench.deliver(s3, s1)
    assert isinstance(s1.writes[-1], ReadRecords)
    begin_again(bench, s1, s3)
    s1.write()
    assert not [message for *_, message in bench.sent if isinstance(message, InstallState)]
    until_equal(bench, s1, s2, s3)


def test_an_answer_to_a_piece_that_was_not_sent_again_is_dropped() -> None:
    """It was under way when the stream broke, and comes over the next one."""
    bench, s1, s2, s3 = behind(VALUES)
    assert piece(bench, s1, s3) is not None
    late = next(message for *_, message in bench.sent if isinstance(message, StateInstalled))
    bench.drop(s3, s1)
    begin_again(bench, s1, s3)
    s1.act(s1.journals.receive(s3.node, late, bench.now))
    assert not s1.writes, "the first piece is not there, so the second one is not read"
    bench.now += 60.0
    s1.act(s1.journals.advance(bench.now))
    first = piece(bench, s1, s3)
    assert first is not None
    assert first.number == 0
    until_equal(bench, s1, s2, s3)
