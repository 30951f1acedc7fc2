"""Invariant: all replicas apply the same entries, and come to the same state (state machine safety, Raft 5.4.3)."""

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.journal.model import JournalId, LogEntry
from simulations.checkers.journals.checker import JournalChecker
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess


class StateSafety(JournalChecker):
    """At each index the same entry is applied by all. At rest, replicas that have applied as much have equal
    records."""

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
        seen: dict[tuple[JournalId, int], tuple[dict[bytes, bytes], JournalProcess]] = {}
        for process in self.journaling.running():
            assert process.journals is not None
            for journal, replica in process.journals.replicas.items():
                state = replica.data.state
                records, by = seen.setdefault((journal, state.applied), (state.records.all(), process))
                if records != state.records.all():
                    what = f"{process.host.name} and {by.host.name} differ in their records at index {state.applied}"
                    self.fail(what, process.host, by.host)
