"""All sagas of one sidecar: composes the journals that are led here, and the calls of the programs here.

Owns: which part gets an input, and the journals that are led here. Never knows: streams, disks, rows, connections. What
is sent to this sidecar itself does not leave it: each input is complete, with all that follows here, before the next.

    call -> saga_forwarding -> the leader of the saga's journal, in most cases ourselves -> journal_sagas -> SagaReply
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgpack import packb

from gossipreg.errors import NotSynced, RequestError, Unavailable
from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    Pausing,
    ProposalOutcome,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import ProvenQuestions
from gossipreg.journal.request_numbers import FIRST_OF_SAGAS, request_numbers
from gossipreg.model import NodeId
from gossipreg.sagas.command_attempts import CommandId
from gossipreg.sagas.early_words import EarlyWords
from gossipreg.sagas.journal_sagas import JournalSagas
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.local_programs import LocalPrograms, ProgramsAgain
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.member_surveys import MemberSurveys, survey_reply
from gossipreg.sagas.saga_calls import (
    NEEDS_NO_PROGRAM,
    AbortAsked,
    AskedCall,
    CommitAsked,
    HandAsked,
    ListAsked,
    ShowAsked,
    StepAsked,
    WaitAsked,
    read_call,
)
from gossipreg.sagas.saga_effects import CommandDone, SagaCallAnswered, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_forwarding import CallDeadline, CallsAgain, ForwardedCall, SagaForwarding, Unled, failed
from gossipreg.sagas.saga_membership import SagaJournals, SagaMembership
from gossipreg.sagas.saga_messages import CallAbandoned, ProgramHere, ProgramLost, SagaCall, SagaMessage, SagaReply
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_survey import ALL_JOURNALS, MAX_UNLED, SagaSurveys, SurveyDeadline
from gossipreg.sagas.saga_tuning import SagaTuning
from gossipreg.timers import Timers

_ID_BITS = 80
"""Of an id that is made here."""
_ENDED = "it forgot its last saga before, so nothing is begun there"


class Sagas:
    def __init__(
        self,
        tuning: SagaTuning,
        *,
        node: NodeId,
        journals: SagaJournals,
        membership: SagaMembership,
        rng: random.Random,
        now_wall_ms: Callable[[], int],
        whereabouts: Callable[[JournalId], str] = lambda _: "",
    ) -> None:
        """`now_wall_ms()` is the clock of the wall, which is shown and never compared; `whereabouts(journal)` tells a
        person where a journal without a leader was last."""
        self._tuning = tuning
        self._node = node
        self._journals = journals
        self._membership = membership
        self._rng = rng
        self._now_wall_ms = now_wall_ms
        self._timers = Timers()
        self._numbers = request_numbers(rng, FIRST_OF_SAGAS)
        self.led: dict[JournalId, JournalSagas] = {}
        """The sagas of the journals that are led here."""
        self._left: dict[JournalId, dict[int, CommandId]] = {}
        """Attempts that were under way when a journal was lost: if we lead it again, nothing is sent beside them."""
        self.counts: Counter[str] = Counter()
        """Of the journals that are led here, by what became of their sagas."""
        self._forwarding = SagaForwarding(self._timers, self._leader, self._why_unled)
        self._surveys = SagaSurveys(
            self._timers, membership.leader, self._known, journals.closed, timeout_s=tuning.survey_timeout_s,
            whereabouts=whereabouts,
        )  # fmt: skip
        self._questions = MemberSurveys(self.led, journals.ended, ProvenQuestions(self._numbers))
        self.programs = LocalPrograms(self._timers, self._leader, lost_s=tuning.lost_s)
        """The programs that are connected here."""
        self._early = EarlyWords()
        self._asked: dict[int, AskedCall] = {}
        """By ticket: the calls of programs here, until they are answered."""

    def next_deadline(self) -> float:
        return min(self._timers.next_due(), self._questions.next_due())

    def _leader(self, journal: JournalId) -> NodeId | None:
        return self._node if journal in self.led else self._membership.leader(journal)

    def _why_unled(self, journal: JournalId) -> Unled:
        """Why nobody is known to lead it. A program that is here has met its leader, or the sidecar has just been
        restarted: it waits."""
        name = f"journal {journal.hex()[:12]}"
        program = journal in self.programs.journals()
        if not self._membership.synced:
            text = f"this sidecar is not synced, so it does not know who leads {name} yet"
            return Unled(NotSynced.code, text, soon=program)
        if program or journal in self._known():
            return Unled(Unavailable.code, f"nobody leads {name} now", soon=True)
        text = "no member that this sidecar knows leads it, or did (see `gossipreg saga list`)"
        return Unled(Unavailable.code, f"no {name} is known here: {text}")

    def _known(self) -> set[JournalId]:
        """The journals that are there, whether they are led or not, as far as is known here."""
        known = {*self._membership.claimed(), *self._journals.kept(), *self.programs.journals()}
        return known.difference(self._journals.ended())

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_journal(self, effect: JournalEffect, now: float) -> list[SagaEffect]:
        """What the journals tell."""
        match effect:
            case Established(journal):
                return self._complete(self._begin(journal, now), now)
            case Deposed(journal, _, reason):
                return self._complete(self._end(journal, reason, now), now)
        about = getattr(effect, "journal", JournalId(b""))
        led = self.led.get(about)
        if led is None:
            return []
        effects = _on_led(led, effect, now)
        if isinstance(effect, Confirmed):
            effects += self._questions.confirmed(about, effect.number, now)
        return self._complete(effects, now)

    def _begin(self, journal: JournalId, now: float) -> list[SagaEffect]:
        machine = self._journals.machine(journal)
        assert isinstance(machine, SagasMachine), "all journals have sagas"
        led = self.led[journal] = JournalSagas(
            self._tuning, journal, machine, self._membership, self._timers, numbers=self._numbers,
            has_takeover=partial(self._journals.has_takeover, journal), led_ms=partial(self._journals.led_ms, journal),
            now_wall_ms=self._now_wall_ms, counts=self.counts, before=self._left.pop(journal, {}),
        )  # fmt: skip
        effects = led.begin(now)
        for node, message in self._early.take(journal):
            effects += led.program(node, message, now)
        return [*effects, *self._leaders_changed(now)]

    def _end(self, journal: JournalId, reason: str, now: float) -> list[SagaEffect]:
        led = self.led.pop(journal, None)
        if led is None:
            return []
        self._questions.lost(journal)
        if left := led.unanswered():
            self._left[journal] = left
        for node, said in led.programs():
            self._early.said(node, said)
        effects = led.end(f"this sidecar does not lead the journal any more: {reason}")
        return [*effects, *self._leaders_changed(now)]

    def _leaders_changed(self, now: float) -> list[SagaEffect]:
        return [*self._forwarding.try_all(now), *self.programs.leaders_changed(now)]

    def refused(self, journal: JournalId, ticket: int, code: str, text: str, now: float) -> list[SagaEffect]:
        """An entry that we proposed, or a read that we asked for, was not accepted."""
        led = self.led.get(journal)
        return [] if led is None else self._complete(led.refused(ticket, code, text, now), now)

    def received(self, node: NodeId, message: SagaMessage, now: float, process: bytes = b"") -> list[SagaEffect]:
        """A message from the process of this member with this boot id. Empty: with that of its row, which may be late
        where another process has just begun."""
        return self._complete(self._receive(node, message, now, process or self._membership.process(node)), now)

    def _receive(self, node: NodeId, message: SagaMessage, now: float, process: bytes) -> list[SagaEffect]:
        match message:
            case SagaCall() if message.journal == ALL_JOURNALS:
                return self._on_survey(SagaCaller(node, process, message.number), message, now)
            case SagaCall():
                led = self.led.get(message.journal)
                if led is not None:
                    asked = self._asked.get(message.number) if node == self._node else None
                    return led.call(SagaCaller(node, process, message.number), message, now, asked)
                return [_reply(node, message, "unavailable", {"text": "this sidecar does not lead that journal now"})]
            case SagaReply():
                return [*self._forwarding.answered(node, message, now), *self._surveys.answered(node, message)]
            case CallAbandoned():
                led = self.led.get(message.journal)
                return [] if led is None else led.abandoned(SagaCaller(node, process, message.number), now)
            case ProgramHere() | ProgramLost():
                led = self.led.get(message.journal)
                if led is not None:
                    return led.program(node, message, now)
                self._early.said(node, message)
        return []

    def _on_survey(self, caller: SagaCaller, call: SagaCall, now: float) -> list[SagaEffect]:
        """A question to all journals that are led here."""
        try:
            asked = read_call(call.method, call.params, self._tuning)
        except RequestError as error:
            return [survey_reply(caller, error.code, {"text": str(error)})]
        if not isinstance(asked, ListAsked | ShowAsked):
            return [survey_reply(caller, "bad_params", {"text": f"{call.method} is about one saga: name it"})]
        return self._questions.ask(caller, asked, now)

    def closed(self, node: NodeId, now: float) -> list[SagaEffect]:
        """The stream to this member broke, or could not be opened."""
        self.programs.closed(node, now)
        self._early.closed(node)
        effects = [*self._forwarding.closed(node, now), *self._surveys.closed(node)]
        self._questions.closed(node)
        for led in [*self.led.values()]:
            effects += led.closed(node, now)
        return self._complete(effects, now)

    def members_changed(self, now: float) -> list[SagaEffect]:
        """The answers of the membership changed."""
        self._early.members_changed(lambda journal: self._leader(journal) not in (None, self._node))
        effects = self._leaders_changed(now)
        for led in [*self.led.values()]:
            effects += led.members_changed(now)
        return self._complete(effects, now)

    def command_done(self, done: CommandDone, now: float) -> list[SagaEffect]:
        """A SendCommand is over. Nothing where its journal is not led here any more."""
        led = next((led for led in self.led.values() if led.owns_command(done.number)), None)
        if led is not None:
            return self._complete(led.command_done(done, now), now)
        for journal, left in [*self._left.items()]:
            if left.pop(done.number, None) is not None and not left:
                del self._left[journal]
        return []

    def advance(self, now: float) -> list[SagaEffect]:
        """Fire the timers that are due."""
        effects: list[SagaEffect] = []
        for name, _ in self._timers.pop_due(now):
            effects += self._complete(self._on_timer(name, now), now)
        return effects + self._complete(self._questions.advance(now), now)

    def _on_timer(self, name: object, now: float) -> list[SagaEffect]:
        match name:
            case CallDeadline(ticket):
                return self._forwarding.on_deadline(ticket)
            case CallsAgain():
                return self._forwarding.on_again(now)
            case SurveyDeadline(ticket):
                return self._surveys.on_deadline(ticket)
            case ProgramsAgain():
                return self.programs.leaders_changed(now)
        led = self.led.get(getattr(name, "journal", JournalId(b"")))
        return [] if led is None else led.on_timer(name, now)

    # -- commands ------------------------------------------------------------------------------------------------------

    def call(
        self, method: str, params: Mapping[str, Any], now: float, journal: JournalId | None = None
    ) -> tuple[int, list[SagaEffect]]:
        """Ask what `saga_calls.py` says; SagaCallAnswered with this ticket follows, at the latest after its time.
        `journal`: where a saga begins; None: in that of this sidecar."""
        ticket = next(self._numbers)
        if method in ("begin", "run") and params.get("id") is None:
            params = {**params, "id": f"{self._rng.getrandbits(_ID_BITS):0{_ID_BITS // 4}x}"}
        try:
            packed = packb(dict(params))
            asked = read_call(method, packed, self._tuning)
        except RequestError as error:
            return ticket, [failed(ticket, error.code, str(error))]
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return ticket, [failed(ticket, "bad_params", f"{method}: the parameters cannot be sent: {error}")]
        self._asked[ticket] = asked
        return ticket, self._complete(self._call(ticket, method, packed, asked, journal, now), now)

    def _call(
        self, ticket: int, method: str, packed: bytes, asked: AskedCall, begins_in: JournalId | None, now: float
    ) -> list[SagaEffect]:
        saga: SagaRef | None = getattr(asked, "saga", None)
        if isinstance(asked, ListAsked) or (isinstance(asked, ShowAsked) and saga is None):
            leaders = {*self._membership.leaders(), *([self._node] if self.led else [])}
            return self._surveys.ask(ticket, method, packed, asked, leaders, now, self._keepers())
        if begins_in is not None and begins_in in self._journals.ended():
            return [failed(ticket, "not_found", f"journal {begins_in.hex()} has ended: {_ENDED}")]
        journal = begins_in if saga is None else saga.journal
        call = ForwardedCall(method, packed, journal, self._timeout_s(asked), once=isinstance(asked, HandAsked))
        return self._forwarding.call(ticket, call, now)

    def _keepers(self) -> set[NodeId]:
        """The members that may remember the end of a journal which nobody leads."""
        unled = sorted(journal for journal in self._known() if self._leader(journal) is None)
        return {node for journal in unled[:MAX_UNLED] for node in self._membership.may_remember(journal)}

    def _timeout_s(self, asked: AskedCall) -> float:
        """How long the call waits for its answer."""
        if isinstance(asked, StepAsked):
            return self._tuning.call_timeout_s + asked.step.options.timeout_ms / 1000
        if isinstance(asked, WaitAsked):
            return self._tuning.call_timeout_s + asked.timeout_ms / 1000
        return self._tuning.call_timeout_s

    def abandon(self, ticket: int, now: float) -> list[SagaEffect]:
        """Nobody waits for this answer any more. What was asked for is carried out all the same, if it has begun."""
        self._asked.pop(ticket, None)
        self._surveys.abandon(ticket)
        return self._complete(self._forwarding.abandon(ticket), now)

    def program_here(self, sagas: Sequence[SagaRef], now: float) -> list[SagaEffect]:
        """The program of these sagas is connected to this sidecar: it began them, or has come back."""
        return self._complete(self.programs.here(sagas, now), now)

    def program_lost(self, sagas: Sequence[SagaRef], now: float) -> list[SagaEffect]:
        """The connection of the program of these sagas closed."""
        return self._complete(self.programs.lost(sagas, now), now)

    def opened(self, journal: JournalId, now: float) -> list[SagaEffect]:
        """Our own journal is open."""
        return self._complete(self._forwarding.opened(journal, now), now)

    def not_opened(self, code: str, text: str, now: float) -> list[SagaEffect]:
        """Our own journal cannot be opened now."""
        return self._complete(self._forwarding.not_opened(code, text, now), now)

    # -- what follows here ---------------------------------------------------------------------------------------------

    def _complete(self, effects: list[SagaEffect], now: float) -> list[SagaEffect]:
        """Carry out what is sent to this sidecar itself; return the rest, in order."""
        for_others: list[SagaEffect] = []
        waiting = deque(effects)
        while waiting or (waiting := deque(self._questions.answers(now))):
            effect = waiting.popleft()
            if isinstance(effect, SendSagaMessage) and effect.node == self._node:
                waiting.extend(self._receive(self._node, effect.message, now, b""))
                continue
            if isinstance(effect, SagaCallAnswered):
                self._answered(effect)
            for_others.append(effect)
        return for_others

    def _answered(self, answer: SagaCallAnswered) -> None:
        """A saga that is decided, or that nobody knows, needs no program any more."""
        asked = self._asked.pop(answer.ticket, None)
        saga: SagaRef | None = getattr(asked, "saga", None)
        ends = isinstance(asked, CommitAsked | AbortAsked) and not answer.code
        if saga is not None and (ends or answer.code in NEEDS_NO_PROGRAM):
            self.programs.decided(saga)


def _on_led(led: JournalSagas, effect: JournalEffect, now: float) -> list[SagaEffect]:
    match effect:
        case AppliedEntry(_, entry, facts) if entry.kind == SAGA_ENTRY and isinstance(facts, tuple):
            led.applied(entry.index, facts)
        case Settled(_, ticket, outcome, index, copies):
            return led.settled(ticket, index, copies, committed=outcome is ProposalOutcome.COMMITTED, now=now)
        case Confirmed(_, number):
            return led.confirmed(number, now)
        case RecordsFound(_, number, values):
            return led.records(number, values, now)
        case Pausing():
            return led.pause(now)
        case Resumed():
            return led.resume(now)
    return []


def _reply(node: NodeId, call: SagaCall, code: str, result: object) -> SagaEffect:
    return SendSagaMessage(node, SagaReply(journal=call.journal, number=call.number, code=code, result=packb(result)))
