"""What sidecars say to each other about sagas. They travel over the same streams as the messages of replicas.

    calls      SagaCall -> SagaReply: of a program at one sidecar, to whoever leads the journal of its saga;
               CallAbandoned: nobody waits for the reply any more
    programs   ProgramLost: the program that takes the steps of these sagas is gone; ProgramHere: it is (still, or
               again) connected to the sender

A program's saga is leased to its sidecar: by ProgramHere, which the sidecar also sends to each new leader. The lease
ends when the sidecar says so, or its process does; a new leader waits for as long for the first word.

CallAbandoned goes the way of its call, behind it. Where it is lost the stream broke, and with a stream all calls that
came over it are forgotten; where another one leads meanwhile, the call was refused. A leader of an earlier release does
not know it, and waits until it has an answer.
"""

from dataclasses import dataclass

from gossipreg.journal.model import JournalId

MAX_SAGA_CALL_BYTES = 256 * 1024
"""Of the params of a call."""
MAX_SAGA_REPLY_BYTES = 256 * 1024
MAX_SAGA_CODE_BYTES = 64
"""Of the name of a method, and of the code of an error."""
MAX_NAMED_SAGAS = 1024
"""Of one ProgramHere or ProgramLost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaMessage:
    """Base class."""

    journal: JournalId


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCall(SagaMessage):
    number: int
    """Counts up at the sender; the reply has it."""
    method: str
    params: bytes
    """A msgpack map: see `saga_calls.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaReply(SagaMessage):
    number: int
    code: str
    """Empty: it is the result. Otherwise the code of the error."""
    result: bytes
    """A msgpack value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAbandoned(SagaMessage):
    number: int
    """Of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramHere(SagaMessage):
    sagas: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramLost(SagaMessage):
    sagas: tuple[str, ...]
