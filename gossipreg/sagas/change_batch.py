"""Changes of sagas on their way into the journal: entries of many.

Owns: the changes that are not committed, their order, and when they are proposed. Never knows: what a change means.

One entry is under way at a time; what comes meanwhile goes with the next one. A change that another one is likely to
follow (a result, after which the program takes its next step) waits for LAZY_S for it, so that both share an entry.

A journal that is full, or has too few copies, still takes what ends something. So an entry that it refused goes again
without what begins something, which is given up. Everything else is proposed again after a wait: no result and no
decision is lost while this sidecar leads. If the journal has no room left for what ends something either, results go
without the bodies of their answers, so that large ones do not keep decisions waiting.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf

from gossipreg.journal.effects import COPIES_TO_COME
from gossipreg.journal.model import JournalId
from gossipreg.retry import Retry
from gossipreg.sagas.saga_codec import encode_changes
from gossipreg.sagas.saga_effects import ProposeSagas
from gossipreg.sagas.saga_entries import (
    MAX_CHANGES,
    BeginSaga,
    DecideSaga,
    ExpireSagas,
    IntendStep,
    NoteResult,
    NoteStuck,
    NoteUndo,
    SagaChange,
)
from gossipreg.sagas.saga_sizes import change_size

LAZY_S = 0.005
ENTRY_BYTES = 192 * 1024
"""Of one entry; a change that is larger has an entry of its own."""
REFUSED = Retry(first_s=0.1, longest_s=5.0)
"""Waits after a refused entry."""
FULL = "journal_full"
GIVES_UP = frozenset({FULL, "too_few_copies", COPIES_TO_COME, "too_large"})
"""After these what begins something is given up. Where copies are to come whoever asked for it asks again."""


def begins(change: SagaChange) -> bool:
    """Whether it begins something, and so is refused by a journal that is full."""
    return isinstance(change, (BeginSaga, IntendStep))


def saga_of(change: SagaChange) -> str:
    """The id of its saga; empty where it is about none."""
    match change:
        case BeginSaga():
            return change.saga.id
        case ExpireSagas():
            return ""
    return change.saga


@dataclass(frozen=True, slots=True)
class ProposedChanges:
    changes: tuple[SagaChange, ...]
    proposed_at: float
    """Once they are committed, we led at this time."""
    size_bytes: int


def without_body(change: SagaChange) -> SagaChange:
    """The same, of a result without what its answer carried."""
    if isinstance(change, NoteResult | NoteUndo | NoteStuck) and change.result.body:
        return replace(change, result=replace(change.result, body=b"", cut=True))
    return change


class ChangeBatch:
    def __init__(
        self, journal: JournalId, numbers: Iterator[int], needs_body: Callable[[str, str], bool] = lambda *_: False
    ) -> None:
        """`needs_body(saga, step)`: whether the undo of this step is written with its answer."""
        self._journal = journal
        self._numbers = numbers
        self._needs_body = needs_body
        self._waiting: deque[SagaChange] = deque()
        self._waiting_bytes = 0
        self._eager = 0
        """How many of them do not wait for others."""
        self._since = inf
        """When the first of those that wait came."""
        self._lazy: set[int] = set()
        """The identities of waiting changes that wait for others."""
        self._proposed: dict[int, ProposedChanges] = {}
        self._not_before = -inf
        self._wait_s = 0.0
        self.paused = False
        """The journal is about to be handed over, and takes only what ends something."""

    def __len__(self) -> int:
        """Changes that are not committed."""
        return len(self._waiting) + self.under_way

    @property
    def under_way(self) -> int:
        return sum(len(proposed.changes) for proposed in self._proposed.values())

    @property
    def size_bytes(self) -> int:
        """Of the changes that are not committed, about."""
        return self._waiting_bytes + sum(proposed.size_bytes for proposed in self._proposed.values())

    def put(self, change: SagaChange, now: float, *, lazy: bool = False) -> None:
        self._waiting.append(change)
        self._waiting_bytes += change_size(change)
        self._since = min(self._since, now)
        if lazy:
            self._lazy.add(id(change))
        else:
            self._eager += 1

    def due(self) -> float:
        """When the next entry is to be proposed; infinity if nothing waits for that. In the past: now."""
        if not self._waiting or self._proposed or (self.paused and not any(self._takeable())):
            return inf
        at_once = self._eager or self.paused
        return max(self._not_before, -inf if at_once else self._since + LAZY_S)

    def take(self, now: float) -> list[ProposeSagas]:
        """What is to be proposed now."""
        if self.due() > now:
            return []
        taken: list[SagaChange] = []
        size = 0
        for change in self._takeable():
            more = change_size(change)
            if len(taken) >= MAX_CHANGES or (taken and size + more > ENTRY_BYTES):
                break
            taken.append(change)
            size += more
        self._remove(taken)
        ticket = next(self._numbers)
        self._proposed[ticket] = ProposedChanges(tuple(taken), now, size)
        ends = not any(map(begins, taken))
        return [ProposeSagas(self._journal, encode_changes(taken), ticket, ends=ends)]

    def _takeable(self) -> Iterator[SagaChange]:
        """Those that may be proposed now. While the journal takes only what ends something, no change of a saga
        overtakes another one."""
        held: set[str] = set()
        for change in self._waiting:
            saga = saga_of(change)
            if self.paused and (begins(change) or saga in held):
                held.add(saga)
            else:
                yield change

    def _remove(self, changes: Sequence[SagaChange]) -> None:
        gone = {id(change) for change in changes}
        self._waiting = deque(change for change in self._waiting if id(change) not in gone)
        self._waiting_bytes -= sum(map(change_size, changes))
        self._eager -= len(gone - self._lazy)
        self._lazy -= gone
        if not self._waiting:
            self._since = inf

    def owns(self, ticket: int) -> bool:
        return ticket in self._proposed

    def settled(self, ticket: int, *, committed: bool) -> ProposedChanges | None:
        """What became of an entry; None if it is not ours. Another leader goes on if its outcome is unknown."""
        if committed:
            self._wait_s = 0.0
        return self._proposed.pop(ticket, None)

    def refused(self, ticket: int, code: str, now: float) -> tuple[SagaChange, ...]:
        """An entry was not accepted. Returns the changes of it that are given up; the others go again."""
        proposed = self._proposed.pop(ticket, None)
        if proposed is None:
            return ()
        given_up = tuple(filter(begins, proposed.changes)) if code in GIVES_UP else ()
        again = [change for change in proposed.changes if not (given_up and begins(change))]
        if code == FULL and not given_up:
            again = [change if self._keeps_body(change) else without_body(change) for change in again]
        self._waiting.extendleft(reversed(again))
        self._waiting_bytes += sum(map(change_size, again))
        self._eager += len(again)
        self._since = min(self._since, now)
        if not given_up:
            self._wait_s = REFUSED.after(self._wait_s) if self._wait_s else REFUSED.first_s
            self._not_before = now + self._wait_s
        return given_up

    def _keeps_body(self, change: SagaChange) -> bool:
        return isinstance(change, NoteResult) and self._needs_body(change.saga, change.step)

    def withdraw_decision(self, saga: str) -> bool:
        """Take back a decision that waits. False: there is none."""
        found = [change for change in self._waiting if isinstance(change, DecideSaga) and change.saga == saga]
        self._remove(found)
        return bool(found)

    def drop(self, saga: str) -> None:
        """Forget what waits of this saga: it was not begun."""
        self._remove([change for change in self._waiting if saga_of(change) == saga])
