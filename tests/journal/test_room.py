"""How much a journal may take, and how much the copies of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.journal.effects import SendMessage
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.messages import ReplicaRefused, TakeReplica
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.state import LARGE, RECORD_OVERHEAD_BYTES, Records
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import NodeId
from tests.journal.cluster import Cluster, Sidecar
from tests.journal.test_ending_storms import Drains

KEYS = st.sampled_from([b"a", b"bb", LARGE + b"c", LARGE + b"dd"])


@given(st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=50))))
def test_the_size_of_records_is_the_sum_of_all(changes: list[tuple[bytes, bytes | None]]) -> None:
    records, held = Records({b"a": b"123"}, {LARGE + b"c": 7}), {b"a": 3, LARGE + b"c": 7}
    for key, value in changes:
        if value is None:
            records.remove(key)
            held.pop(key, None)
        else:
            records.put(key, value)
            held[key] = len(value)
    assert records.size_bytes == sum(len(key) + size + RECORD_OVERHEAD_BYTES for key, size in held.items())


def alone(journal_bytes: int) -> tuple[Cluster, Sidecar, JournalId]:
    cluster = Cluster(1, 1, JournalTuning(journal_bytes=journal_bytes, cut_bytes=4096), Drains)
    cluster.run(1.0)
    (owner,) = cluster.sidecars
    journal = cluster.open(owner)
    cluster.run(1.0)
    return cluster, owner, journal


def filled(cluster: Cluster, owner: Sidecar, journal: JournalId, *, ends: bool = False) -> list[bytes]:
    """Propose until the journal is full; what it took."""
    taken: list[bytes] = []
    for number in range(1000):
        data = b"%d%04d" % (ends, number) + b"x" * 1000
        try:
            cluster.act(owner, owner.journals.propose(journal, data, number, cluster.now, ends=ends))
        except ProposalRefused:
            return taken
        taken.append(data)
        cluster.run(0.05)
    raise AssertionError("it is never full")


def test_a_full_journal_takes_what_ends_something_and_then_more() -> None:
    cluster, owner, journal = alone(100_000)
    taken = filled(cluster, owner, journal)
    assert 0.8 < (owner.journals.fill(journal) or 0.0) <= 0.875
    assert len(taken) > 60
    for data in taken[:40]:
        cluster.act(owner, owner.journals.propose(journal, b"-" + data, 1, cluster.now, ends=True))
        cluster.run(0.05)
    assert (owner.journals.fill(journal) or 1.0) < 0.6
    assert filled(cluster, owner, journal)


def test_what_ends_something_has_an_eighth_and_no_more() -> None:
    cluster, owner, journal = alone(100_000)
    filled(cluster, owner, journal)
    assert 8 <= len(filled(cluster, owner, journal, ends=True)) <= 14
    assert (owner.journals.fill(journal) or 0.0) <= 1.0


def test_a_full_journal_says_how_full_it_is_and_what_to_do() -> None:
    cluster, owner, journal = alone(50_000)
    filled(cluster, owner, journal)
    with pytest.raises(
        ProposalRefused, match=r"takes \d+ of 50000 bytes.*let what it holds be acknowledged, or drop it"
    ):
        owner.journals.propose(journal, b"x" * 3000, 1, cluster.now)


def asked(sidecar: Sidecar, cluster: Cluster, number: int) -> object:
    """What this member answers if it is asked for a copy."""
    other = cluster.sidecars[0].node
    ask = TakeReplica(
        journal=JournalId(bytes([number]) * 16), sender=ReplicaId(b"r" * 16), receiver=ReplicaId(b""), number=1,
        owner=NodeId(b"o" * 16),
    )  # fmt: skip
    effects = sidecar.journals.receive(other, ask, cluster.now)
    cluster.act(sidecar, [effect for effect in effects if not isinstance(effect, SendMessage)])
    return next((effect.message for effect in effects if isinstance(effect, SendMessage)), None)


def test_a_sidecar_whose_space_is_used_up_is_full() -> None:
    cluster = Cluster(1, 2)
    owner, keeper = cluster.sidecars
    keeper.space_bytes = 50_000
    cluster.crash(keeper)
    cluster.start(keeper)
    cluster.run(1.0)
    journal = cluster.open(owner)
    cluster.run(20.0)
    assert journal in keeper.journals.replicas
    assert not isinstance(asked(keeper, cluster, 1), ReplicaRefused)
    for number in range(50):
        cluster.propose(owner, journal, b"%04d" % number + b"x" * 1000)
        cluster.run(0.05)
    assert keeper.journals.foreign_bytes > 50_000
    refused = asked(keeper, cluster, 2)
    assert isinstance(refused, ReplicaRefused)
    assert refused.reason.startswith("full: copies take ")
    own = cluster.open(keeper)
    assert keeper.journals.own == own, "its own journal is none of others"


def test_the_next_host_is_asked_where_one_refuses() -> None:
    cluster = Cluster(1, 5)
    cluster.run(1.0)
    opened = cluster.open(cluster.sidecars[0])
    assert cluster.until(lambda: len(cluster.voters(opened)) == 3, 10.0)
    first = cluster.voters(opened) - {0}
    again = Cluster(1, 5)
    for number in first:
        again.sidecars[number].space_bytes = 0
        again.crash(again.sidecars[number])
        again.start(again.sidecars[number])
    again.run(1.0)
    journal = again.open(again.sidecars[0])
    assert again.until(lambda: again.voters(journal) == {0, 1, 2, 3, 4} - first, 30.0)
