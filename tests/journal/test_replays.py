"""Replicas that are far behind: how many are caught up at a time, and how fast."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.replays import BURST_S, Replays, ReplayTimer
from gossipreg.journal.tuning import JournalTuning
from gossipreg.timers import Timers
from tests.journal.cluster import Cluster

RATE = 1000


def replays(at_once: int, seed: int = 1) -> tuple[Replays, Timers]:
    timers = Timers()
    return Replays(at_once, RATE, timers, random.Random(seed)), timers


def replica(number: int) -> ReplayTimer:
    return ReplayTimer(JournalId(number.to_bytes(16)), ReplicaId(b"r" * 16))


def drained(at_once: int, count: int, seed: int) -> list[int]:
    """The order in which as many replicas had their turns, each ended when the next was drawn."""
    ours, timers = replays(at_once, seed)
    names = [replica(number) for number in range(count)]
    begun = [name for name in names if ours.begin(name)]
    assert len(begun) == min(at_once, count)
    order = [*begun]
    for name in order:
        ours.end(name, 1.0)
        for turn, _ in timers.pop_due(1.0):
            assert isinstance(turn, ReplayTimer)
            assert ours.begin(turn)
            assert ours.active <= at_once
            order.append(turn)
    assert ours.active == ours.waiting == len(timers) == 0
    return [names.index(name) for name in order]


@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 5))
def test_each_replica_has_its_turn(at_once: int, count: int, seed: int) -> None:
    assert sorted(drained(at_once, count, seed)) == list(range(count))


def test_turns_are_drawn_at_random() -> None:
    assert drained(1, 20, 1) != drained(1, 20, 2) != list(range(20))


def test_a_replica_that_is_gone_gives_its_turn_to_another() -> None:
    ours, timers = replays(1)
    one, two, three = (replica(number) for number in range(3))
    assert ours.begin(one)
    assert not ours.begin(two)
    assert not ours.begin(three)
    ours.end(two, 0.0)  # it waits no more
    ours.end(one, 0.0)
    assert [name for name, _ in timers.pop_due(0.0)] == [three]
    ours.end(three, 0.0)
    assert ours.active == ours.waiting == 0


def test_bytes_are_paid_for_before_more_is_sent() -> None:
    ours, timers = replays(2)
    one = replica(1)
    assert ours.may_send(one, 100.0)
    ours.sent(RATE, 100.0)
    assert not ours.may_send(one, 100.0)
    assert timers.due(one) == 100.0 - BURST_S + 1.0
    assert ours.may_send(one, 101.0)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(1, 3000)), min_size=1, max_size=40))
def test_no_more_is_sent_than_rate_and_burst_allow(asked: list[tuple[float, int]]) -> None:
    ours, _ = replays(1)
    now = began = 50.0
    total = largest = 0
    for pause_s, size in asked:
        now += pause_s
        if ours.may_send(replica(1), now):
            ours.sent(size, now)
            total, largest = total + size, max(largest, size)
    assert total <= (now - began + BURST_S) * RATE + largest + 1e-6


def with_lagging(count: int, tuning: JournalTuning) -> Cluster:
    """One member leads some journals, and another one, a voter of all, has been away while much was written."""
    cluster = Cluster(1, 3, tuning)
    cluster.run(1.0)
    owner, lags = cluster.sidecars[0], cluster.sidecars[1]
    journals = []
    for _ in range(count):
        journal = cluster.open(owner)
        assert cluster.until(lambda journal=journal: len(cluster.voters(journal)) == 3, 10.0)  # type: ignore[misc]
        journals.append(journal)
        break
    cluster.crash(lags, ProcessStanding.SILENT)
    cluster.run(2.0)
    for number in range(60):
        cluster.propose(owner, journals[0], b"%04d" % number + b"x" * 2000)
        cluster.run(0.05)
    return cluster


def test_a_state_is_sent_at_its_rate_and_arrives_whole() -> None:
    tuning = JournalTuning(cut_bytes=8192, append_bytes=4096, piece_bytes=4096, replay_bytes_a_second=30_000)
    cluster = with_lagging(1, tuning)
    owner, lags = cluster.sidecars[:2]
    (journal,) = owner.journals.replicas
    size = owner.journals.replicas[journal].data.size_bytes
    assert size > 100_000
    cluster.start(lags)
    began = cluster.now
    ours = owner.journals.replicas[journal].data
    assert cluster.until(lambda: lags.journals.replicas[journal].data.state.applied == ours.state.applied, 30.0)
    assert cluster.now - began > 0.7 * (size - 20_000) / 30_000
    assert lags.journals.replicas[journal].data.state.records.all() == ours.state.records.all()
    assert cluster.until(lambda: owner.journals.replays == (0, 0), 5.0)


def test_a_stream_that_breaks_ends_the_turn() -> None:
    tuning = JournalTuning(cut_bytes=8192, append_bytes=4096, piece_bytes=4096, replay_bytes_a_second=10_000)
    cluster = with_lagging(1, tuning)
    owner, lags = cluster.sidecars[:2]
    (journal,) = owner.journals.replicas
    cluster.start(lags)
    assert cluster.until(lambda: owner.journals.replays == (1, 0), 5.0)
    cluster.crash(lags, ProcessStanding.SILENT)
    assert cluster.until(lambda: owner.journals.replays == (0, 0), 2.0)
    cluster.start(lags)
    ours = owner.journals.replicas[journal].data
    assert cluster.until(lambda: lags.journals.replicas[journal].data.state.applied == ours.state.applied, 60.0)


def test_many_lagging_replicas_are_caught_up_a_few_at_a_time() -> None:
    tuning = JournalTuning(cut_bytes=4096, append_bytes=4096, piece_bytes=1024, replays_at_once=2, return_first_s=600.0)
    cluster = Cluster(3, 3, tuning)
    cluster.run(1.0)
    journals = [cluster.open(sidecar) for sidecar in cluster.sidecars]
    assert cluster.until(lambda: all(len(cluster.voters(journal)) == 3 for journal in journals), 30.0)
    first, second, lags = cluster.sidecars
    cluster.crash(lags, ProcessStanding.SILENT)
    assert cluster.until(lambda: all(cluster.leader(journal) for journal in journals), 10.0)
    for number in range(20):
        for journal in journals:
            leader = cluster.leader(journal)
            assert leader is not None
            cluster.propose(leader, journal, b"%04d" % number + b"x" * 1000)
        cluster.run(0.1)
    cluster.start(lags)
    most = 0

    def caught_up() -> bool:
        nonlocal most
        most = max(most, first.journals.replays[0], second.journals.replays[0])
        return all(
            lags.journals.replicas[journal].data.state.applied == leader.journals.replicas[journal].data.state.applied
            for journal in journals
            if (leader := cluster.leader(journal)) is not None
        )

    assert cluster.until(caught_up, 60.0)
    assert most <= 2
