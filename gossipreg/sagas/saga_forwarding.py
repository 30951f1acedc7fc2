"""Calls of programs at this sidecar, on their way to whoever leads the journal of their saga.

Owns: the calls that have no answer yet, their deadlines, and when the leader is asked again. Never knows: what a call
does.

A call whose answer is lost may have had its effect. So it is sent again, to the same leader or the next one: a step
joins the one that is under way, a commit may be repeated, and a begin is known by its number. Where no answer comes in
time its outcome is unknown, and the answer says so. What a person decides is sent once. No call goes to two journals.

A call waits for a leader until its time is over, since the next leader of a journal is a moment away. Where this
sidecar has a reason to believe that none comes (no such journal is known, or it knows nothing of other members yet) it
answers after UNLED_S, and says the reason.

A leader that still works on a call for which nobody waits any more is told so.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgpack import packb

from gossipreg.errors import BadParams, OutcomeUnknown
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.retry import Retry
from gossipreg.sagas.saga_effects import OpenSagaJournal, SagaCallAnswered, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_messages import CallAbandoned, SagaCall, SagaReply
from gossipreg.timers import Timers
from gossipreg.wire.packed import one_line_untrusted, unpacked_untrusted

NOBODY_LEADS = "nobody leads the journal of this saga"
MAX_CALLS = 16_384
MAX_CALLS_BYTES = 64 * 1024 * 1024
"""That wait, in all; more are refused as `busy`."""
AGAIN = Retry(first_s=0.05, longest_s=1.0)
"""Before a leader is asked again."""
UNLED_S = 1.0
"""How long a call waits for a leader where there is a reason why none is known. Longer than it takes from a leader that
gives way to the next one: in between nobody claims the journal."""
MAX_FOUND = 4_096
"""How many journals to which a call was sent are remembered. The first of them is forgotten for one more."""
_AGAIN = frozenset({"unavailable", "not_synced", OutcomeUnknown.code})
"""After these the same call is sent once more, as long as there is time."""
_READS = frozenset({"show", "wait"})
"""They change nothing: there is nothing that may have been carried out."""


@dataclass(frozen=True, slots=True)
class CallDeadline:
    ticket: int


@dataclass(frozen=True, slots=True)
class CallsAgain:
    """Send what has no answer again."""


@dataclass(slots=True)
class ForwardedCall:
    """A call that waits for its answer."""

    method: str
    params: bytes
    journal: JournalId | None
    """None: that of this sidecar, which is opened where there is none. Once it was sent, the journal that it was sent
    to: in another one the same saga could run a second time."""
    timeout_s: float
    once: bool = False
    """It is not sent again where it may have been carried out."""
    since: float = 0.0
    """When it came."""
    sent_to: NodeId | None = None
    maybe: bool = False
    """An attempt may have been carried out."""
    code: str = "unavailable"
    text: str = ""
    """Of the last refusal; empty: none came."""


@dataclass(frozen=True, slots=True)
class Unled:
    """Why no leader of a journal is known here."""

    code: str
    text: str
    soon: bool = False
    """A leader is to be expected all the same: the reason is for a call whose time is over."""


class SagaForwarding:
    def __init__(
        self, timers: Timers, leader: Callable[[JournalId], NodeId | None],
        why_unled: Callable[[JournalId], Unled],
    ) -> None:  # fmt: skip
        """`leader(journal)` is the member that leads it now, which may be ourselves; None: nobody is known, and then
        `why_unled(journal)` says why."""
        self._timers = timers
        self._leader = leader
        self._why_unled = why_unled
        self._found: dict[JournalId, None] = {}
        """The journals to which a call was sent: they are there, though nobody may lead them for a moment."""
        self._journal: JournalId | None = None
        self._waiting: dict[int, ForwardedCall] = {}
        self._waiting_bytes = 0
        self._wait_s = 0.0

    def __len__(self) -> int:
        """Calls that have no answer yet."""
        return len(self._waiting)

    def call(self, ticket: int, call: ForwardedCall, now: float) -> list[SagaEffect]:
        """Send it; SagaCallAnswered with this ticket follows."""
        if len(self._waiting) >= MAX_CALLS or self._waiting_bytes + len(call.params) > MAX_CALLS_BYTES:
            return [failed(ticket, "busy", f"{len(self._waiting)} calls wait for their answers: try again in a moment")]
        call.since = now
        self._waiting[ticket] = call
        self._waiting_bytes += len(call.params)
        self._timers.set(CallDeadline(ticket), now + call.timeout_s)
        return self._send(ticket, call, now)

    def opened(self, journal: JournalId, now: float) -> list[SagaEffect]:
        """Our journal is open."""
        self._journal = journal
        return self.try_all(now)

    def not_opened(self, code: str, text: str, now: float) -> list[SagaEffect]:
        """Our journal cannot be opened now."""
        effects: list[SagaEffect] = []
        for ticket, call in [*self._waiting.items()]:
            if call.journal is not None or call.sent_to is not None:
                continue
            call.code, call.text = code, text
            if code not in _AGAIN and not call.maybe:
                self._forget(ticket)
                effects.append(failed(ticket, code, text))
        self._later(now)
        return effects

    def try_all(self, now: float) -> list[SagaEffect]:
        """Send what was not sent, or was refused; the leader may be another one now."""
        effects: list[SagaEffect] = []
        opens = False
        for ticket, call in [*self._waiting.items()]:
            if call.sent_to is None and not (opens and call.journal is None):
                effects += self._send(ticket, call, now)
                opens = opens or (self._journal is None and call.journal is None)
        return effects

    def _send(self, ticket: int, call: ForwardedCall, now: float) -> list[SagaEffect]:
        journal = self._journal if call.journal is None else call.journal
        if journal is None:
            self._later(now)
            return [OpenSagaJournal()]
        leader = self._leader(journal)
        if leader is None:
            self._later(now)
            return []
        call.sent_to, call.journal = leader, journal
        self._found[journal] = None
        if len(self._found) > MAX_FOUND:
            del self._found[next(iter(self._found))]
        return [
            SendSagaMessage(leader, SagaCall(journal=journal, number=ticket, method=call.method, params=call.params))
        ]

    def _later(self, now: float) -> None:
        if self._waiting and CallsAgain() not in self._timers:
            self._wait_s = AGAIN.after(self._wait_s) if self._wait_s else AGAIN.first_s
            self._timers.set(CallsAgain(), now + self._wait_s)

    # -- answers -----------------------------------------------------------------------------------------------------

    def answered(self, node: NodeId, reply: SagaReply, now: float) -> list[SagaEffect]:
        """Nothing where nobody waits for it any more."""
        call = self._waiting.get(reply.number)
        if call is None:
            return []
        call.maybe = call.maybe or reply.code == OutcomeUnknown.code
        if reply.code in _AGAIN and not (call.once and call.maybe):
            if call.sent_to == node:
                call.sent_to = None
            call.code, call.text = reply.code, f"the leader of its journal could not answer{_why_untrusted(reply)}"
            self._later(now)
            return []
        self._wait_s = 0.0
        self._forget(reply.number)
        return [SagaCallAnswered(reply.number, reply.code, reply.result)]

    def closed(self, node: NodeId, now: float) -> list[SagaEffect]:
        """What was sent to this member may be lost, or its answer."""
        effects: list[SagaEffect] = []
        for ticket, call in [*self._waiting.items()]:
            if call.sent_to != node:
                continue
            call.sent_to, call.maybe = None, True
            if call.once:
                effects += self._unknown(ticket, f"the connection to the leader broke before it answered {call.method}")
        self._later(now)
        return effects

    # -- timers ------------------------------------------------------------------------------------------------------

    def on_again(self, now: float) -> list[SagaEffect]:
        """Try once more. Where nobody leads our journal it may be gone with its only disk: then another one is
        opened, for what was sent nowhere yet."""
        effects = [*self.try_all(now), *self._answer_unled(now)]
        ours = any(call.journal is None for call in self._waiting.values())
        if ours and self._journal is not None and self._leader(self._journal) is None:
            effects.append(OpenSagaJournal())
        return effects

    def _answer_unled(self, now: float) -> list[SagaEffect]:
        """Answer the calls for which no leader is to be expected."""
        effects: list[SagaEffect] = []
        for ticket, call in [*self._waiting.items()]:
            journal = call.journal
            if journal is None or journal in self._found or now < call.since + UNLED_S:
                continue
            why = self._why_unled(journal)
            if not why.soon:
                self._forget(ticket)
                effects.append(failed(ticket, why.code, why.text))
        return effects

    def on_deadline(self, ticket: int) -> list[SagaEffect]:
        """The program waits no longer."""
        call = self._waiting.get(ticket)
        return [] if call is None else [*_tell_leader(ticket, call), *self._give_up(ticket, call)]

    def _give_up(self, ticket: int, call: ForwardedCall) -> list[SagaEffect]:
        within = f"within {call.timeout_s:g} s"
        if call.method in _READS and (call.maybe or call.sent_to is not None):
            self._forget(ticket)
            return [failed(ticket, "unavailable", f"no answer from the leader {within}: ask again")]
        if call.maybe or call.sent_to is not None:
            return self._unknown(ticket, f"no answer to {call.method} {within}: it may have been carried out or not")
        self._forget(ticket)
        code, text = call.code, call.text
        if not text and call.journal is not None and self._leader(call.journal) is None:
            why = self._why_unled(call.journal)
            code, text = why.code, why.text
        return [failed(ticket, code, f"no answer to {call.method} {within}: {text or NOBODY_LEADS}")]

    def _unknown(self, ticket: int, text: str) -> list[SagaEffect]:
        self._forget(ticket)
        return [failed(ticket, OutcomeUnknown.code, f"{text}; `gossipreg saga show` says what became of the saga")]

    def abandon(self, ticket: int) -> list[SagaEffect]:
        """Nobody waits for this one any more."""
        call = self._waiting.get(ticket)
        if call is None:
            return []
        self._forget(ticket)
        return _tell_leader(ticket, call)

    def _forget(self, ticket: int) -> None:
        call = self._waiting.pop(ticket)
        self._waiting_bytes -= len(call.params)
        self._timers.cancel(CallDeadline(ticket))
        if not self._waiting:
            self._timers.cancel(CallsAgain())
            self._wait_s = 0.0


def _why_untrusted(reply: SagaReply) -> str:
    """What a leader says of why it could not answer, after a colon; empty if it says nothing that can be read."""
    try:
        said = unpacked_untrusted(reply.result, "the answer")
    except BadParams:
        return ""
    text = one_line_untrusted(said.get("text"), "") if type(said) is dict else ""
    return f": {text}" if text else ""


def _tell_leader(ticket: int, call: ForwardedCall) -> list[SagaEffect]:
    """That nobody waits for this call any more, where a leader has it."""
    if call.sent_to is None or call.journal is None:
        return []
    return [SendSagaMessage(call.sent_to, CallAbandoned(journal=call.journal, number=ticket))]


def failed(ticket: int, code: str, text: str) -> SagaCallAnswered:
    """The answer of a call that came to nothing."""
    return SagaCallAnswered(ticket, code, packb({"text": text}))
