"""Invariant: two logs that have the same position at an index are equal up to there (Raft 5.3)."""

from gossipreg.journal.effects import JournalEffect, WriteJournal
from gossipreg.journal.model import JournalId, LogEntry, Position
from simulations.checkers.journals.checker import JournalChecker, data_of
from simulations.journaling.journaling import Journaling
from simulations.journaling.process import JournalProcess

_Before = tuple[LogEntry, Position | None]


class LogMatching(JournalChecker):
    """Each position has one entry, and one position before it. So by induction all that is before it is equal too."""

    name = "log_matching"

    def __init__(self, journaling: Journaling) -> None:
        super().__init__(journaling)
        self._known: dict[tuple[JournalId, Position], _Before] = {}

    def on_effect(self, process: JournalProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, WriteJournal):
            return
        data = data_of(process, effect.journal)
        before = None if data is None or not effect.entries else data.log.position_at(effect.entries[0].index - 1)
        for entry in effect.entries:
            self._check(process, effect.journal, entry, before)
            before = entry.position

    def _check(self, process: JournalProcess, journal: JournalId, entry: LogEntry, before: Position | None) -> None:
        known, known_before = self._known.setdefault((journal, entry.position), (entry, before))
        if known != entry:
            self.fail(
                f"{process.host.name} has another entry at {_of(entry.position)} than was seen there", process.host
            )
        if before is not None and known_before is not None and before != known_before:
            what = f"{process.host.name} has {_of(before)} before {_of(entry.position)}"
            self.fail(f"{what}, where another log has {_of(known_before)}", process.host)


def _of(position: Position) -> str:
    return f"entry {position.index} of ballot {position.ballot}"
