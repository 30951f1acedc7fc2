"""Storms over journals with large records and short logs: many replicas get the state, in pieces, while streams break.
At every moment a read that begins finds each large record."""

from collections.abc import Iterator

import pytest

from gossipreg.journal.model import EntryKind, LogEntry
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.state import LARGE, Records
from gossipreg.journal.tuning import JournalTuning
from tests.journal.cluster import Cluster, Collects, Sidecar
from tests.journal.stored import Disk, apply_all
from tests.journal.storm import Storm

KEPT = 30
SEEDS = range(10)
TUNING = JournalTuning(
    cut_bytes=4096, append_bytes=4096, piece_bytes=1024, replay_bytes_a_second=8192, replays_at_once=2
)


def large_key(index: int) -> bytes:
    return LARGE + index.to_bytes(4)


class Payloads(Collects):
    """Each entry puts a large record beside its small one; the last ones are kept."""

    def apply(self, entry: LogEntry, records: Records) -> None:
        super().apply(entry, records)
        if entry.kind == EntryKind.DATA:
            records.put(large_key(entry.index), entry.data * 100)
            records.remove(large_key(max(0, entry.index - KEPT)))


class LargeStorm(Storm):
    def __init__(self, seed: int) -> None:
        super().__init__(seed, cluster=Cluster(seed, 5, TUNING, Payloads))
        self.installed = 0

    def _fault(self) -> None:
        """Often a stream breaks on which a state is sent, while the disk of the sender hangs. No member seems dead."""
        sending = [*self._sending()]
        if self.rng.random() < 0.5 or not sending:
            super()._fault()
            return
        sender, receiver = self.rng.choice(sending)
        sender.hung = True
        self.cluster.after(self.rng.uniform(0.5, 3.0), lambda: setattr(sender, "hung", False))
        self.cluster.after(self.rng.uniform(0.0, 0.2), lambda: self.cluster._break(sender, receiver))

    def _sending(self) -> Iterator[tuple[Sidecar, Sidecar]]:
        for sidecar in self.cluster.sidecars:
            for replica in sidecar.journals.replicas.values() if sidecar.up else ():
                for follower in () if replica.leading is None else replica.leading.followers.values():
                    if follower.installing_from is not None:
                        yield sidecar, self.cluster.by_node[follower.place.node]

    def _publish(self) -> None:
        for _ in range(5):
            super()._publish()
        for sidecar in self.cluster.sidecars:
            self.look(sidecar)

    def look(self, sidecar: Sidecar) -> None:
        if not sidecar.up:
            return
        disk = Disk(sidecar.disk)
        disk.stages = {replica: dict(stages) for replica, stages in sidecar.disk.stages.items()}
        apply_all(disk, sidecar.writing)
        for replica in sidecar.journals.replicas.values():
            if not replica.data.disk.reset_waits:
                values(replica.data, disk)


def values(data: ReplicaData, disk: Disk) -> dict[bytes, bytes]:
    """The large records of a replica, as a read finds them that begins now."""
    records, found = data.state.records, {}
    for key, size in records.large.items():
        kept = records.in_memory(key)
        value = disk[data.journal].records.get(key) if kept is None else kept
        assert value is not None, f"the large record {key.hex()} is gone"
        assert len(value) == size
        found[key] = value
    return found


@pytest.fixture(scope="module")
def installed() -> list[int]:
    """How many states each seed has sent whole."""
    return []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_storm_loses_no_large_record(seed: int, installed: list[int]) -> None:
    storm = LargeStorm(seed)
    storm.run()
    cluster = storm.cluster
    installed.append(sum(one.journals.counts.get("journal.states_installed", 0) for one in cluster.sidecars))
    cluster.run(60.0)
    for journal in storm.journals:
        by_index: dict[int, dict[bytes, bytes]] = {}
        for sidecar in cluster.sidecars:
            if journal in sidecar.journals.replicas:
                data = sidecar.journals.replicas[journal].data
                found = values(data, sidecar.disk)
                assert found == by_index.setdefault(data.state.applied, found)
        assert len(by_index) == 1, "all replicas have applied as much"


def test_storms_send_states_in_pieces(installed: list[int]) -> None:
    """Else the storms above show nothing."""
    assert len(installed) < len(SEEDS) or sum(installed) > 20
