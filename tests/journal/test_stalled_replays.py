"""A replica that is caught up from far behind, and whose disk hangs: it does not keep the others waiting."""

from dataclasses import replace

import pytest

from gossipreg.journal.effects import LogBase
from gossipreg.journal.messages import InstallState
from gossipreg.journal.model import Ballot, Position
from gossipreg.journal.progress import STALLED_S
from tests.journal import by_hand
from tests.journal.by_hand import JOURNAL, TUNING, Bench, Voter


def far_behind(monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, Voter, list[Voter]]:
    """A leader whose log was cut, and two voters that need its state; one may get it at a time. Returns them with the
    one that has its turn first."""
    monkeypatch.setattr(by_hand, "TUNING", replace(TUNING, replays_at_once=1))
    bench = Bench(3)
    s1, s2, s3 = bench.voters
    stored = s1.disk[JOURNAL]
    base = LogBase(Position(Ballot(1, s1.replica), 1000), 1, stored.base.configuration)
    s1.disk[JOURNAL] = replace(stored, base=base, promised=Ballot(1, s1.replica), records={b"k": b"v"}, applied=1000)
    s1.start()
    bench.elect(s1, s2, s3)
    s1.write()
    bench.deliver(s1, s2)
    s2.write()
    bench.deliver(s2, s1)
    turns = [voter for voter in (s2, s3) if states(bench, s1, voter)]
    assert len(turns) == 1
    return bench, s1, sorted((s2, s3), key=lambda voter: voter not in turns)


def states(bench: Bench, sender: Voter, receiver: Voter) -> int:
    """Pieces of a state that are on their way."""
    return sum(message[:2] == (sender, receiver) and isinstance(message[2], InstallState) for message in bench.sent)


def later(bench: Bench, voter: Voter, seconds: float) -> None:
    until = bench.now + seconds
    while bench.now < until:
        bench.now += 0.5
        voter.act(voter.journals.advance(bench.now))


def test_a_replica_that_answers_nothing_gives_its_turn_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, s1, (hung, other) = far_behind(monkeypatch)
    bench.drop(s1, hung)
    later(bench, s1, STALLED_S - 1.0)
    assert not states(bench, s1, other)
    later(bench, s1, 2.0)
    assert states(bench, s1, other)
    bench.exchange(s1, other)
    assert s1.established, "they are a majority"


def test_a_replica_that_answers_in_time_keeps_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, s1, (slow, other) = far_behind(monkeypatch)
    later(bench, s1, STALLED_S - 2.0)
    bench.exchange(s1, slow)
    assert s1.established
    later(bench, s1, 5.0)
    assert s1.journals.replays == (1, 0), "the other one has its turn"
    assert states(bench, s1, other)
