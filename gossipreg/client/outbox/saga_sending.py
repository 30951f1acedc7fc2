"""Begin the saga of a row: in one journal, however often the row is sent, and at whatever sidecar.

Owns: which journal the row names. Never knows: the order of the rows, or when one is deleted.

A saga's id is unique in one journal, and each sidecar begins sagas in its own. So the first attempt writes the journal
into the row (column `source`) before it begins the saga there, and each further attempt begins it in that journal,
whoever leads it now. A journal that has ended is replaced: it ended 24 hours or more after its last saga, and an id is
free again by then.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any

from gossipreg.client.outbox.publisher import SagaStarter
from gossipreg.errors import BadParams, NotFound, OutcomeUnknown, Unavailable, UnknownMethod

LEAST_S = 1.0
"""Of an attempt, for beginning the saga where the question for the journal took the rest."""
LATER_S = 1.0
"""An attempt waits longer than its sidecar does for a leader by this: the sidecar says why there is none."""


class SagaSending:
    def __init__(self, execute: Callable[..., Any], table: str) -> None:
        """`execute(statement, *values)` is committed at once, and returns the cursor."""
        self._execute = execute
        self._table = table

    def begin(
        self, starter: SagaStarter, number: int, journal: str | None, call: dict[str, Any], *, timeout: float
    ) -> None:
        """Begin the saga of row `number`, which names this journal; None: no attempt was made yet. Raises
        GossipregError, and the errors of the database."""
        until = monotonic() + timeout + LATER_S
        if journal is None:
            journal = self._name(starter, number, None, until)
        try:
            self._run(starter, number, journal, call, until)
        except NotFound:  # the journal has ended
            self._run(starter, number, self._name(starter, number, journal, until), call, until)

    def _name(self, starter: SagaStarter, number: int, before: str | None, until: float) -> str:
        """Write the journal of this sidecar into the row, in place of `before`."""
        journal = _asked(starter, until)
        is_before, values = ("source IS NULL", ()) if before is None else ("source = ?", (before,))
        named = f"UPDATE {self._table} SET source = ? WHERE number = ? AND {is_before}"
        if self._execute(named, journal, number, *values).rowcount != 1:
            raise Unavailable(f"row {number} of {self._table} was changed meanwhile, as by another relay")
        return journal

    def _run(self, starter: SagaStarter, number: int, journal: str, call: dict[str, Any], until: float) -> None:
        try:
            starter.run_saga(**call, journal=journal, timeout=_left_s(until))
        except BadParams:
            _asked(starter, until)  # a sidecar that is too old to know `journal` is not the fault of the row
            raise
        except (Unavailable, OutcomeUnknown) as error:
            raise type(error)(
                f"{error}. Row {number} of {self._table} waits: saga {call['id']} may be begun in journal {journal}, "
                f"and in another one it could run twice. If the disks of that journal are gone for good, look whether "
                f"it ran: then delete the row, else set its source to NULL and it begins in another journal"
            ) from error


def _asked(starter: SagaStarter, until: float) -> str:
    try:
        return starter.saga_journal(timeout=_left_s(until))
    except UnknownMethod:
        raise UnknownMethod(
            "the sidecar is of an older release, which cannot say in which journal it begins a saga: update it, and "
            "the row is sent"
        ) from None


def _left_s(until: float) -> float:
    return max(LEAST_S, until - monotonic())
