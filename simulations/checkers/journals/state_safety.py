"""Invariant: all replicas apply the same entries, and come to the same state (state machine safety, Raft 5.4.3)."""

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.journal.model import JournalId, LogEntry
from gossipreg.journal.state import Records
from simulations.checkers.journals.checker import JournalChecker
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class StateSafety(JournalChecker):
    """At each index the same entry is applied by all. At rest, replicas that have applied as much have equal
    records, and each has the values of its large records in memory or on its disk."""

    name = "state_safety"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._applied: dict[tuple[JournalId, int], tuple[LogEntry, JournalProcess]] = {}

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, AppliedEntry):
            return
        entry = effect.entry
        known, by = self._applied.setdefault((effect.journal, entry.index), (entry, process))
        if known != entry:
            what = f"{process.host.name} applies an entry of ballot {entry.ballot} at index {entry.index}"
            self.fail(f"{what}, {by.host.name} one of ballot {known.ballot}", process.host, by.host)

    def at_rest(self) -> None:
        seen: dict[tuple[JournalId, int], tuple[dict[bytes, bytes | None], JournalProcess]] = {}
        for process in self.journaling.running():
            assert process.journals is not None
            for journal, replica in process.journals.replicas.items():
                state = replica.data.state
                own = self._records_of(process, journal, state.records)
                records, by = seen.setdefault((journal, state.applied), (own, process))
                if records != own:
                    what = f"{process.host.name} and {by.host.name} differ in their records at index {state.applied}"
                    self.fail(what, process.host, by.host)

    def _records_of(self, process: JournalProcess, journal: JournalId, records: Records) -> dict[bytes, bytes | None]:
        found: dict[bytes, bytes | None] = {**records.all()}
        stored = process.stored.large(journal)
        for key, size in records.large.items():
            kept = records.in_memory(key)
            found[key] = value = stored.get(key) if kept is None else kept
            if value is None or len(value) != size:
                has = "is gone" if value is None else f"has {len(value)} bytes instead of {size}"
                self.fail(f"the large record {key.hex()} of {process.host.name} {has}", process.host)
        return found
