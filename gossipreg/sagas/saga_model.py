"""What a saga and its steps are: values, their bounds, and the states between which they move.

    saga     RUNNING -> COMMITTED -> ENDED (all that comes after it is done, or was skipped)
             RUNNING -> ABORTED   -> ENDED (all that may have happened is undone, or was skipped)

    step     INTENDED -> DONE | REFUSED | UNKNOWN, before the decision
             an aborted saga: INTENDED, DONE, UNKNOWN -> UNDOING -> UNDONE | SKIPPED; REFUSED stays
             one with unknown=REPEAT, too: UNDOING -> REFUSED, where its command turns out to have had no effect
             after the commit: AFTER -> AFTER_DONE | SKIPPED

A step is intended when its command and its undo are durable: only then may its command be sent. STUCK is no state but a
mark: it is retried, more rarely, and a person should look.
"""

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from gossipreg.journal.model import JOURNAL_ID_BYTES, JournalId

MAX_SAGA_BYTES = 128
"""Of the id of a saga."""
MAX_STEP_BYTES = 64
"""Of the name of a step."""
MAX_NAME_BYTES = 64
"""Of the name of a saga, which says what kind it is: `create-order`."""
MAX_STEPS = 256
"""Of one saga, with those that come after the commit."""
MAX_INPUT_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024
"""Of a command."""
MAX_RESULT_BYTES = 64 * 1024
"""Of an answer's body: what is longer is cut, and the step is done all the same."""
MAX_DEFINITION_BYTES = 64 * 1024
MAX_INTENT_BYTES = 160 * 1024
"""Of a step as it is recorded, command and undo together: with the beginning of its saga it fits into one entry."""
MAX_HEADERS = 32
MAX_HEADER_BYTES = 4096
"""Of one header, name and value together."""
MAX_PATH_BYTES = 4096
MAX_STEP_RECORD_BYTES = 192 * 1024
"""Of a step as it is recorded, with all that stands around command and undo."""
MAX_METHOD_BYTES = 32
MAX_CONTENT_TYPE_BYTES = 255
MAX_INSTANCE_BYTES = 255
MAX_TRACEPARENT_BYTES = 255
MAX_TEXT_BYTES = 512
"""Of a reason, and of why an attempt failed."""
MAX_OPEN_SAGAS = 10_000
"""Of one journal: more are refused as `busy`."""
MAX_OPEN_BYTES = 64 * 1024 * 1024
"""Of the open sagas of one journal, with their commands and results, which are in memory."""
MAX_ENDED_SAGAS = 10_000
"""That a journal remembers."""
MAX_STORIES_BYTES = 64 * 1024 * 1024
"""Of the stories of ended sagas, on the disk: then the oldest go, and their sagas are still remembered."""
MAX_HAND_NOTES = 8
"""Decisions by people that are kept of one step: the last ones."""

TRACEPARENT = re.compile(r"[!-~]+")
"""What a header can hold; what it means is for the participants."""
SAGA_ID = re.compile(r"[A-Za-z0-9_:@=+-][A-Za-z0-9_:@=+.-]*")
_JOURNAL_START = re.compile(rf"[0-9a-fA-F]{{4,{2 * JOURNAL_ID_BYTES}}}")
STEP_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


class SagaRef(NamedTuple):
    """One saga of the cluster. Its id is unique in its journal alone."""

    journal: JournalId
    id: str

    def __str__(self) -> str:
        """As people and participants see it: `JOURNAL.ID`."""
        return f"{self.journal.hex()}.{self.id}"


def step_key(saga: SagaRef, step: str) -> str:
    """The `Idempotency-Key` of a step's command: the same for all attempts, whoever sends them."""
    return f"{saga}/{step}"


def undo_key(saga: SagaRef, step: str) -> str:
    return f"{step_key(saga, step)}/undo"


def read_saga(text: str) -> SagaRef | None:
    """The saga of this `JOURNAL.ID`; None where it is none, as for a bare id."""
    journal, dot, id = text.partition(".")
    try:
        raw = bytes.fromhex(journal)
    except ValueError:
        return None
    if not dot or len(raw) != JOURNAL_ID_BYTES or len(journal) != 2 * JOURNAL_ID_BYTES or not SAGA_ID.fullmatch(id):
        return None
    return SagaRef(JournalId(raw), id)


def read_short_saga(text: str) -> tuple[str, str] | None:
    """(the beginning of the journal in hex, the id) of a saga that is named so, as `3f9c.order-7`; None where it is
    not. A bare id may look the same."""
    journal, dot, id = text.partition(".")
    if not dot or not _JOURNAL_START.fullmatch(journal) or not SAGA_ID.fullmatch(id):
        return None
    return journal.lower(), id


class SagaState(IntEnum):
    RUNNING = 0
    COMMITTED = 1
    """Decided: what comes after it is under way."""
    ABORTED = 2
    """Decided: its undo is under way."""
    ENDED = 3


class SagaKind(IntEnum):
    BY_CODE = 0
    """A program takes its steps, and it is aborted when that program is lost."""
    DECLARED = 1
    """Its definition is in the journal: whoever leads goes on."""


class Decision(IntEnum):
    COMMIT = 1
    ABORT = 2


class StepState(IntEnum):
    INTENDED = 0
    DONE = 1
    """2xx."""
    REFUSED = 2
    """It had no effect, for certain."""
    UNKNOWN = 3
    """It may have had its effect: its time is over, and no answer settled it."""
    UNDOING = 4
    UNDONE = 5
    SKIPPED = 6
    """A person decided that it is not undone (or, after the commit, not done)."""
    AFTER = 7
    """To be done once the saga has committed."""
    AFTER_DONE = 8


class WhenUnknown(IntEnum):
    """What an abort does with a step whose outcome is unknown."""

    UNDO = 0
    REPEAT = 1
    """Repeat its command until it answers, and undo it then: its undo is rendered from its own result."""


class HandDecision(IntEnum):
    """What a person decides about a step of a decided saga."""

    RETRY = 1
    """Try it at once, and count its attempts anew."""
    SKIP = 2
    """It is not undone (not done, after the commit); the others are."""
    GIVE_UP = 3
    """Nothing more is undone or done of this saga."""


@dataclass(frozen=True, slots=True)
class SagaCommand:
    """An HTTP request to a service of the registry, rendered. `secret:NAME` as a header's value is filled in by whoever
    sends."""

    service: str
    method: str
    path: str
    """From `/` on, with the query."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class StepOptions:
    timeout_ms: int = 30_000
    """From its intent until it is unknown."""
    attempt_timeout_ms: int = 5_000
    optional: bool = False
    """The saga may commit where it was refused."""
    unknown: WhenUnknown = WhenUnknown.UNDO
    after: bool = False
    """It begins after the commit, is tried until it is done, and is never undone."""
    harmless: bool = False
    """There is nothing to undo. A step without an undo that is not harmless is the last before the commit."""


@dataclass(frozen=True, slots=True)
class StepIntent:
    """A step as it is recorded before its first attempt."""

    name: str
    command: SagaCommand
    undo: SagaCommand | None
    """None: nothing is to be undone, or the undo needs the step's own result (`undo_template`)."""
    options: StepOptions = field(default_factory=StepOptions)
    undo_template: bytes = b""
    """With `unknown=REPEAT` alone: the undo as the program or definition wrote it, rendered once the result is known
    (`saga_templates.py`)."""
    needs: tuple[str, ...] = ()
    """Steps whose results its command or undo was rendered from, or that it comes after: undone after it."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step, an undo, or what comes after the commit."""

    state: StepState
    status: int = 0
    """Of the last answer; 0: there was none."""
    body: bytes = b""
    content_type: str = ""
    cut: bool = False
    """The body was longer than MAX_RESULT_BYTES."""
    attempts: int = 0
    text: str = ""
    """For people: why it is not done."""
    instance: str = ""
    """`address:port` of the last one that was asked."""


@dataclass(frozen=True, slots=True)
class BegunSaga:
    """A saga as it was begun."""

    id: str
    name: str
    kind: SagaKind
    input: bytes
    """JSON."""
    timeout_ms: int
    """From its beginning until its decision: then it is aborted."""
    definition: bytes = b""
    """Of a declared one: as `saga_definition.encode_definition` gives it."""
    wall_ms: int = 0
    """When it began, by the clock of the sidecar where it did: shown, never compared."""
    traceparent: str = ""
    strict: bool = False
    """Undo one step after the other, in reverse; else what does not need each other is undone at the same time."""
    tracestate: str = ""
    """Goes with `traceparent`."""
