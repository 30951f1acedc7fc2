"""Invariant: all replicas apply the same entries, and come to the same state (state machine safety, Raft 5.4.3)."""

from gossipreg.journal.effects import AppliedEntry, JournalEffect, WriteJournal
from gossipreg.journal.model import JournalId, LogEntry, ReplicaId
from gossipreg.journal.replica_data import ReplicaData
from simulations.checkers.journals.checker import JournalChecker
from simulations.checkers.journals.large_values import value_of
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class StateSafety(JournalChecker):
    """At each index the same entry is applied by all. At rest, replicas that have applied as much have equal
    records, with the values of the large ones.

    A state that was sent may have large records of a later time (`gossipreg/journal/progress.py`): those of its replica
    count once it has applied what anybody had applied when that state was written."""

    name = "state_safety"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._applied: dict[tuple[JournalId, int], tuple[LogEntry, JournalProcess]] = {}
        self._highest: dict[JournalId, int] = {}
        """Up to which index anybody has applied entries."""
        self._counts_from: dict[ReplicaId, int] = {}
        """The index from which on the large records of a replica are those of all, if it got a state."""

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if isinstance(effect, WriteJournal) and effect.reset is not None:
            self._counts_from[effect.replica] = self._highest.get(effect.journal, 0)
        if not isinstance(effect, AppliedEntry):
            return
        entry = effect.entry
        self._highest[effect.journal] = max(self._highest.get(effect.journal, 0), entry.index)
        known, by = self._applied.setdefault((effect.journal, entry.index), (entry, process))
        if known != entry:
            what = f"{process.host.name} applies an entry of ballot {entry.ballot} at index {entry.index}"
            self.fail(f"{what}, {by.host.name} one of ballot {known.ballot}", process.host, by.host)

    def at_rest(self) -> None:
        seen: dict[tuple[JournalId, int, str], tuple[dict[bytes, bytes | None], JournalProcess]] = {}
        for process in self.journaling.running():
            assert process.journals is not None
            for journal, replica in process.journals.replicas.items():
                data = replica.data
                records: dict[str, dict[bytes, bytes | None]] = {"records": {**data.state.records.all()}}
                if self._counts(data):
                    large = data.state.records.large
                    records["large records"] = {key: value_of(process, data, key) for key in large}
                for what, own in records.items():
                    others, by = seen.setdefault((journal, data.state.applied, what), (own, process))
                    if others != own:
                        names = f"{process.host.name} and {by.host.name}"
                        where = f"at index {data.state.applied}"
                        self.fail(f"{names} differ in their {what} {where}", process.host, by.host)

    def _counts(self, data: ReplicaData) -> bool:
        """Return whether the large records are those of all, and can be read."""
        current = data.state.applied >= self._counts_from.get(data.replica, 0)
        return current and data.out is None and not data.disk.reset_waits
