"""Journals that are emptied and ended while faults strike: what was acknowledged and not removed is never ended."""

import pytest

from gossipreg.journal.model import EntryKind, JournalId, LogEntry
from gossipreg.journal.state import Records
from gossipreg.journal.tuning import JournalTuning
from tests.journal.cluster import Cluster, Collects, Sidecar
from tests.journal.storm import Storm

SEEDS = range(24)


class Drains(Collects):
    """Data that begins with a minus removes what it names."""

    def apply(self, entry: LogEntry, records: Records) -> None:
        if entry.kind == EntryKind.DATA and entry.data.startswith(b"-"):
            records.remove(entry.data[1:])
        else:
            super().apply(entry, records)


class EndingStorm(Storm):
    """Owners stay away for longer than a journal may be without one; entries are removed again soon."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, cluster=Cluster(seed, 5, JournalTuning(orphan_s=2.0), Drains))
        self.removed: set[tuple[JournalId, bytes]] = set()
        """What somebody has proposed to remove."""

    def _propose(self, sidecar: Sidecar, journal: JournalId, data: bytes) -> None:
        ticket = self.cluster.propose(sidecar, journal, data)
        if ticket is not None:
            self.sent[ticket] = sidecar, sidecar.boot.hex(), journal, data

    def _publish(self) -> None:
        self._collect()
        for journal in self.journals:
            for sidecar in self.cluster.sidecars:
                if not sidecar.up or journal not in sidecar.established:
                    continue
                held = [*sidecar.journals.replicas[journal].data.state.records.all()]
                if self.rng.random() < 0.3:
                    self._numbers += 1
                    self._propose(sidecar, journal, b"%d" % self._numbers)
                for data in held:
                    if self.rng.random() < 0.7:
                        self.removed.add((journal, data))
                        self._propose(sidecar, journal, b"-" + data)

    def _may_lose(self) -> bool:
        return False

    def calm(self) -> None:
        cluster = self.cluster
        cluster.partition()
        for sidecar in cluster.sidecars:
            sidecar.hung = False
            if not sidecar.up:
                cluster.start(sidecar)
        cluster.run(90.0)
        self._collect()

    def wanted(self) -> list[tuple[JournalId, bytes]]:
        """What was acknowledged, and nobody has removed."""
        puts = [(journal, data) for journal, data, _ in self.acked if not data.startswith(b"-")]
        return [one for one in puts if one not in self.removed]


@pytest.fixture(scope="module")
def ended() -> list[int]:
    """How many journals each seed has ended."""
    return []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_journal_that_holds_something_never_ends(seed: int, ended: list[int]) -> None:
    storm = EndingStorm(seed)
    storm.run(steps=40)
    cluster = storm.cluster
    for journal, data in storm.wanted():
        leader = cluster.leader(journal)
        assert leader is not None, f"{data!r} was acknowledged, and nobody leads"
        assert leader.journals.replicas[journal].data.state.records.get(data)
    for journal in storm.journals:
        states = {
            replica.data.ended
            for sidecar in cluster.sidecars
            if (replica := sidecar.journals.replicas.get(journal)) is not None
        }
        assert len(states) <= 1, "ended at some, and not at others"
    ended.append(sum(cluster.leader(journal) is None for journal in storm.journals))


def test_the_storms_have_ended_some_journals(ended: list[int]) -> None:
    assert len(ended) != len(SEEDS) or sum(ended) >= 3
