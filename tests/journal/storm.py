"""A storm: random faults strike a cluster with journals, then it must come to rest with nothing lost."""

import random

from gossipreg.journal.effects import ProposalOutcome
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from tests.journal.cluster import Cluster, Sidecar


class Storm:
    def __init__(self, seed: int, members: int = 5, cluster: Cluster | None = None) -> None:
        self.cluster = cluster or Cluster(seed, members)
        self.rng = random.Random(seed + 1)
        self.journals: list[JournalId] = []
        self.sent: dict[int, tuple[Sidecar, str, JournalId, bytes]] = {}
        """By ticket: where it was sent, the process there, the journal and the data."""
        self.acked: list[tuple[JournalId, bytes, int]] = []
        self._numbers = 0

    def run(self, steps: int = 60) -> None:
        cluster = self.cluster
        cluster.run(2.0)
        self.journals = [cluster.open(sidecar) for sidecar in cluster.sidecars[:2]]
        assert cluster.until(lambda: all(len(cluster.voters(journal)) == 3 for journal in self.journals), 60.0)
        for _ in range(steps):
            self._fault()
            for _ in range(4):
                self._publish()
                cluster.run(self.rng.choice((0.001, 0.01, 0.3, 1.0)))
        self.calm()

    # -- what is done ------------------------------------------------------------------------------------------------

    def _publish(self) -> None:
        self._collect()
        for journal in self.journals:
            for sidecar in self.cluster.sidecars:
                if sidecar.up and journal in sidecar.established:
                    self._numbers += 1
                    data = b"%d" % self._numbers
                    ticket = self.cluster.propose(sidecar, journal, data)
                    if ticket is not None:
                        self.sent[ticket] = sidecar, sidecar.boot.hex(), journal, data

    def _collect(self) -> None:
        for ticket, (sidecar, _, journal, data) in [*self.sent.items()]:
            settled = sidecar.settled.pop(ticket, None)
            if settled is not None:
                del self.sent[ticket]
                if settled.outcome is ProposalOutcome.COMMITTED:
                    self.acked.append((journal, data, settled.index))

    def _fault(self) -> None:
        cluster, rng = self.cluster, self.rng
        sidecar = rng.choice(cluster.sidecars)
        down = [other for other in cluster.sidecars if not other.up]
        draw = rng.random()
        if draw < 0.3:
            self._crash(sidecar)
        elif draw < 0.6 and down:
            cluster.start(rng.choice(down))
        elif draw < 0.7:
            numbers = [other.number for other in cluster.sidecars]
            rng.shuffle(numbers)
            at = rng.randint(1, len(numbers) - 1)
            cluster.partition(set(numbers[:at]), set(numbers[at:]))
        elif draw < 0.85:
            cluster.partition()
        elif draw < 0.92:
            viewer = rng.choice(cluster.sidecars)
            if viewer.up and viewer is not sidecar:
                cluster.slander(viewer, sidecar, rng.uniform(0.1, 3.0))
        else:
            sidecar.hung = True
            cluster.after(rng.uniform(0.1, 8.0), lambda: setattr(sidecar, "hung", False))

    def _crash(self, sidecar: Sidecar) -> None:
        if not sidecar.up:
            return
        self._collect()
        self.cluster.crash(sidecar, self.rng.choice((ProcessStanding.REFUSED, ProcessStanding.SILENT)))
        if self.rng.random() < 0.3 and self._may_lose():
            self.cluster.lose_disk(sidecar)

    def _may_lose(self) -> bool:
        """Whether no disk of a voter is missing, so that one may be lost."""
        cluster = self.cluster
        configurations = [
            replica.data.configuration
            for other in cluster.sidecars
            if other.up
            for replica in other.journals.replicas.values()
        ]
        for configuration in configurations:
            for place in configuration.places:
                stored = cluster.by_node[place.node].disk
                if not any(replica.replica == place.replica for replica in stored.values()):
                    return False
        return all(len(cluster.voters(journal)) == 3 for journal in self.journals)

    # -- the end -----------------------------------------------------------------------------------------------------

    def calm(self) -> None:
        """Faults end: each journal is led, everything acknowledged is there, and nothing moves any more."""
        cluster = self.cluster
        cluster.partition()
        for sidecar in cluster.sidecars:
            sidecar.hung = False
            if not sidecar.up:
                cluster.start(sidecar)
        cluster.run(10.0)  # a leader that could not commit gives up its claim
        assert cluster.until(lambda: all(cluster.leader(journal) for journal in self.journals), 60.0), "nobody leads"
        self._collect()
        for journal in self.journals:
            leader = cluster.leader(journal)
            assert leader is not None
            records = leader.journals.replicas[journal].data.state.records
            for where, data, index in self.acked:
                if where == journal:
                    assert records.get(data) == str(index).encode(), f"{data!r}, acknowledged at {index}, is lost"
