"""What the sagas of a sidecar ask of the world, and what they tell. Their parts return lists of these."""

from dataclasses import dataclass

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_messages import SagaMessage
from gossipreg.sagas.saga_model import BegunSaga, Decision, SagaCommand, SagaRef


@dataclass(frozen=True, slots=True)
class ProposeSagas:
    """Append this (of the kind SAGA_ENTRY) to a journal that is led here: `Journals.propose`. What was refused comes
    back at once."""

    journal: JournalId
    data: bytes
    ticket: int
    ends: bool
    """It ends something, and so may use the room that is kept for that."""


@dataclass(frozen=True, slots=True)
class OpenSagaJournal:
    """Open the journal of this sidecar: `Journals.open`. What comes of it comes back at once."""


@dataclass(frozen=True, slots=True)
class ProveLeadership:
    """`Journals.confirm` with this number; `Confirmed` follows, or never: whoever asked asks again after a while."""

    journal: JournalId
    number: int


@dataclass(frozen=True, slots=True)
class CommandsUnderWay:
    """The count of commands of this journal that are unanswered: `Journals.acts`, with the deliveries of events."""

    journal: JournalId
    count: int


@dataclass(frozen=True, slots=True)
class SendCommand:
    """Send this request once, to one passing instance of its service, and report `Sagas.command_done` with this number.
    No retry, no redirect, no other instance; over after `timeout_s`, whatever comes."""

    number: int
    command: SagaCommand
    headers: tuple[tuple[str, str], ...]
    """To be added: `idempotency-key`, `traceparent`, `tracestate`, `gossipreg-undoes`, `gossipreg-attempt`."""
    timeout_s: float
    avoid: tuple[str, ...]
    """Instances (`address:port`) that failed an attempt of this command: others first."""
    saga: SagaRef | None = None
    """What it is for: for reports and spans, as the following two."""
    step: str = ""
    work: str = ""
    """`step`, `repeat`, `undo` or `after`."""


@dataclass(frozen=True, slots=True)
class SendSagaMessage:
    """Send this to that member, which may be ourselves. If it cannot be delivered, the stream is reported as closed."""

    node: NodeId
    message: SagaMessage


@dataclass(frozen=True, slots=True)
class ReadEndedSagas:
    """Read the stories of ended sagas, which are on the disk alone: `Journals.read_records` with these keys and this
    number. Where too much is read already that is refused: `Sagas.refused` with this number."""

    journal: JournalId
    number: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SagaCallAnswered:
    """The answer of `Sagas.call` with this ticket. `code` is empty where `result` (msgpack) is the answer; otherwise
    `result` is the error's text, packed, with what else it says (`saga_calls.py`)."""

    ticket: int
    code: str
    result: bytes


@dataclass(frozen=True, slots=True)
class LogSagas:
    """One line of the log for operators. The daemon counts the kinds that the sagas do not count themselves."""

    kind: str
    fields: tuple[tuple[str, str | int | float], ...] = ()


@dataclass(frozen=True, slots=True)
class TellSagaOver:
    """A saga of a journal that is led here has ended, and that is committed: for its span."""

    saga: SagaRef
    begun: BegunSaga
    decision: Decision
    decided_wall_ms: int
    ended_wall_ms: int
    steps: int


SagaEffect = (
    ProposeSagas | OpenSagaJournal | ProveLeadership | CommandsUnderWay | SendCommand | SendSagaMessage
    | ReadEndedSagas | SagaCallAnswered | LogSagas | TellSagaOver
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CommandDone:
    """What came of a SendCommand: an input, not an effect."""

    number: int
    sent: bool
    """False: nothing of the request left this host, for certain (no passing instance, connection refused, a secret
    that is not there)."""
    status: int
    """0: no whole answer came."""
    body: bytes
    """At most MAX_RESULT_BYTES of it."""
    cut: bool
    content_type: str
    retry_after_s: float
    """As the answer says; 0: it says nothing."""
    instance: str
    """`address:port`; empty: none was asked."""
    text: str
    """For people: what failed."""
