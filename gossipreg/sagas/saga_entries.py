"""The entry of a journal that is about sagas: values and bytes.

One kind of entry, which carries a list of changes of any sagas of its journal, in their order: so the beginning of a
saga rides in the entry of its first intent, a step's result in that of the next intent, and a busy journal has few
entries. Each change is one msgpack array `[operation, saga id, ...]`; elements behind the known ones are ignored.

A change that makes no sense where it is applied (a step of a saga that is decided, say) changes nothing, on every
replica, and the other changes of its entry hold all the same.
"""

from dataclasses import dataclass
from enum import IntEnum

from gossipreg.sagas.saga_model import BegunSaga, Decision, HandDecision, StepIntent, StepResult

SAGA_ENTRY = 48
"""The kind of the entry: beside `journal.model.EntryKind` and `events.entries.EventEntryKind`."""
MAX_CHANGES = 1024


class SagaOperation(IntEnum):
    """A release that adds one puts it into entries of another kind. A voter of an older release goes out of service at
    an entry of a kind that it does not know, and an operation that it does not know it ignores: its state would differ
    from then on."""

    BEGIN = 1
    INTEND = 2
    RESULT = 3
    DECIDE = 4
    UNDO_RESULT = 5
    STUCK = 6
    BY_HAND = 7
    EXPIRE = 8
    TRIED = 9


@dataclass(frozen=True, slots=True)
class BeginSaga:
    saga: BegunSaga


@dataclass(frozen=True, slots=True)
class IntendStep:
    """Of a saga that runs: from now on its command may be sent. With `options.after` it waits for the commit."""

    saga: str
    step: StepIntent
    wall_ms: int


@dataclass(frozen=True, slots=True)
class NoteResult:
    """DONE, REFUSED, UNKNOWN before the decision (later ones are kept for people and change no state, but for a step
    with `unknown=REPEAT` that is being repeated); AFTER_DONE after the commit."""

    saga: str
    step: str
    result: StepResult
    wall_ms: int


@dataclass(frozen=True, slots=True)
class DecideSaga:
    """COMMIT holds only where every step is DONE, or REFUSED and optional; else nothing changes."""

    saga: str
    decision: Decision
    reason: str
    """Why it was aborted, for people."""
    wall_ms: int


@dataclass(frozen=True, slots=True)
class NoteUndo:
    """UNDONE."""

    saga: str
    step: str
    result: StepResult
    wall_ms: int


@dataclass(frozen=True, slots=True)
class NoteStuck:
    """An undo, or what comes after the commit, has had its attempts: a person should look. It is retried."""

    saga: str
    step: str
    result: StepResult
    wall_ms: int


@dataclass(frozen=True, slots=True)
class NoteTried:
    """An undo, or what comes after the commit, was tried so often in vain, by all leaders: the next one counts on, so
    that it is stuck in the end though no leader stays for long."""

    saga: str
    step: str
    attempts: int


@dataclass(frozen=True, slots=True)
class DecideByHand:
    saga: str
    step: str
    """Empty: all that are open."""
    decision: HandDecision
    who: str
    why: str
    wall_ms: int


@dataclass(frozen=True, slots=True)
class ExpireSagas:
    """Sagas that ended too long ago at this led time are forgotten."""


SagaChange = (
    BeginSaga | IntendStep | NoteResult | DecideSaga | NoteUndo | NoteStuck | NoteTried | DecideByHand | ExpireSagas
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class UnreadChange:
    """What stands in an entry and is no change that this release can read. It changes nothing."""

    saga: str
    reason: str
    """For people."""
