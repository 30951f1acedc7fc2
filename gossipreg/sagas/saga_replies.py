"""The answers of calls about sagas, at the leader of their journal.

Owns: what each call begins, and when it can be answered; `decided_replies.py` has what is decided. Never knows: how a
saga goes on.

A call is looked at when it comes, and again whenever its saga changed: whatever it asks for is begun once, and it is
answered as soon as what it asks for is known. So the same call again, from a program whose connection broke or whose
leader was replaced, joins what is there.
"""

from collections.abc import Callable
from functools import partial
from math import inf

from gossipreg.errors import Busy, OutcomeUnknown, RequestError, Unavailable
from gossipreg.sagas.decided_replies import DecidedReplies
from gossipreg.sagas.final_step import is_final_intent
from gossipreg.sagas.live_sagas import LiveSaga, LiveStep, SagaCaller
from gossipreg.sagas.running_sagas import KnownSaga, RunningSagas
from gossipreg.sagas.saga_calls import (
    AbortAsked,
    AfterAsked,
    AskedSaga,
    BeginAsked,
    CommitAsked,
    HandAsked,
    RunAsked,
    StepAsked,
    WaitAsked,
)
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_model import Decision, StepState
from gossipreg.sagas.saga_questions import SagaQuestions
from gossipreg.sagas.saga_shapes import step_answer
from gossipreg.sagas.saga_templates import ResultMissing, TemplateValues
from gossipreg.sagas.step_checks import StepsFailed, missing_needs
from gossipreg.sagas.step_intent import intent_of
from gossipreg.sagas.step_order import shown
from gossipreg.sagas.waiting_calls import WaitingCall

_SAYS_WHERE = (StepAsked, AfterAsked, CommitAsked)
"""Calls of a saga's program: it is where they come from."""
_DECIDES = (CommitAsked, AbortAsked, HandAsked)
MAJORITY_OF_THREE = 2
"""Disks that hold what a journal with three voters has, at least."""
SPARE_BEGINNINGS = 64
"""At about this many callers whose saga does not run any more, all callers are looked through, and these forgotten."""


class SagaReplies:
    def __init__(
        self, context: SagaContext, running: RunningSagas, questions: SagaQuestions, has_takeover: Callable[[], bool]
    ) -> None:
        self._context = context
        self._running = running
        self._has_takeover = has_takeover
        self.decided = DecidedReplies(context, questions, self._run_began)
        self._beginnings: dict[SagaCaller, str] = {}
        """The callers for whom a saga by code was begun, and its id: of those that run, and some others."""

    # -- new sagas -----------------------------------------------------------------------------------------------------

    def begin(self, asked: BeginAsked, caller: SagaCaller) -> None:
        live = self._context.live.get(asked.id)
        if live is not None and live.beginner == caller:
            self._begun_once_proven(caller, live.ref.id)
        elif not self._refuse_known(asked.id, asked.name, asked.input, caller):
            self._running.begin(asked, caller)
            self._remember(caller, asked.id)
            self._begun_once_proven(caller, asked.id)

    def _remember(self, caller: SagaCaller, id: str) -> None:
        live = self._context.live
        self._beginnings[caller] = id
        if len(self._beginnings) > 2 * len(live) + SPARE_BEGINNINGS // 2:
            self._beginnings = {
                one.beginner: id for id, one in live.items() if one.beginner is not None and not one.recorded
            }

    def run(self, asked: RunAsked, caller: SagaCaller, size_bytes: int) -> None:
        """`size_bytes`: of its parameters. Raises RequestError."""
        live = self._context.live.get(asked.id)
        again = live is not None and live.beginner == caller
        if not again and self._refuse_known(asked.id, asked.definition.name, asked.input, caller):
            return
        self._make_room(caller, size_bytes)
        if not again:
            self._running.run(asked, caller)
        self._wait(asked.id, asked, caller, size_bytes)

    def _refuse_known(self, id: str, name: str, input: bytes, caller: SagaCaller) -> bool:
        if self._running.known(id, name, input) is None:
            return False
        self._context.once_proven(caller, partial(self._say_known, id, name, input, caller))
        return True

    def _say_known(self, id: str, name: str, input: bytes, caller: SagaCaller) -> None:
        """It is proven that we lead. If the saga was forgotten meanwhile, the same call comes again, and begins it."""
        known, context, ref = self._running.known(id, name, input), self._context, self._context.ref(id)
        if known is None:
            text = f"saga {ref} was forgotten meanwhile, since its program waited for it no longer"
            context.refuse(caller, Unavailable.code, text)
        elif known.same:
            text = f"saga {ref} is {_standing(known)} already: it is not begun again"
            decision = None if known.decision is None else known.decision.name.lower()
            state = known.state.name.lower()
            least = (MAJORITY_OF_THREE if self._has_takeover() else 1) if known.committed else 0
            fields = {**self._begun(id, least), "state": state, "decision": decision}
            context.refuse(caller, "exists", text, **fields)
        else:
            text = f"saga {ref} has another name or input: give this one an id of its own"
            context.refuse(caller, "conflict", text, saga=str(ref), id=id)

    def _begun_once_proven(self, caller: SagaCaller, id: str) -> None:
        """Nothing of it is in the journal: another leader may have begun one of this id. If its program waits no
        longer, it is forgotten: else the same id again would be told that it runs."""
        self._context.once_proven(
            caller, partial(self._context.reply, caller, self._begun(id, 0)),
            unwanted=partial(self._unwanted, id, caller),
        )  # fmt: skip

    def _unwanted(self, id: str, caller: SagaCaller) -> None:
        live = self._context.live.get(id)
        if live is not None and live.beginner == caller and not (live.recorded or live.has_program):
            self._running.decide(live, Decision.ABORT)

    def _begun(self, id: str, copies: int) -> dict[str, object]:
        answer = {"saga": str(self._context.ref(id)), "id": id, "state": "running", "copies": copies}
        return {**answer, "takeover": self._has_takeover()}

    def _make_room(self, caller: SagaCaller, size_bytes: int) -> None:
        """For a call, which may be here already: it was sent again. Raises Busy."""
        waiting = self._context.waiting
        if (before := waiting.find(caller)) is not None:
            waiting.remove(before)
        waiting.check_room(size_bytes)

    def _wait(
        self, saga: str, asked: AskedSaga | RunAsked, caller: SagaCaller, size_bytes: int, until: float = inf
    ) -> None:
        self._context.waiting.add(caller, saga, asked, size_bytes, self._context.now, until)
        self._context.touch(saga)

    # -- calls about a saga --------------------------------------------------------------------------------------------

    def ask(self, asked: AskedSaga, caller: SagaCaller, size_bytes: int) -> None:
        """It is looked at when this input ends. `size_bytes`: of its parameters. Raises Busy."""
        context, id = self._context, asked.saga.id
        try:
            self._make_room(caller, size_bytes)
        except Busy as error:
            self._note_not_taken(asked, str(error))
            raise
        if isinstance(asked, _SAYS_WHERE):
            context.leases.here(id, caller.node)
        until = context.now + asked.timeout_ms / 1000 if isinstance(asked, WaitAsked) else inf
        self._wait(id, asked, caller, size_bytes, until)

    def look(self, saga: str, copies: int) -> None:
        """Answer the calls about this saga that can be answered. `copies`: disks that have the last entry."""
        for call in self._context.waiting.of(saga):
            try:
                answered = self._look(call, copies)
            except StepsFailed as error:
                answered = self._refuse(call, error.code, str(error), steps=error.steps)
            except RequestError as error:
                if isinstance(error, Busy):
                    self._note_not_taken(call.asked, str(error))
                answered = self._refuse(call, error.code, str(error))
            if answered:
                self._context.waiting.remove(call)

    def abandoned(self, caller: SagaCaller) -> None:
        """Nobody waits for the answer of this call any more. What it has begun goes on. A decision that was asked for
        is made all the same, and such a call ends with it. A beginning is forgotten, also where its answer is on its
        way: no program gets that. Where a program has it all the same, as by another call, it ends with that one."""
        self._context.held.abandoned(caller)
        if (begun := self._beginnings.pop(caller, None)) is not None:
            self._unwanted(begun, caller)
        call = self._context.waiting.find(caller)
        if call is None or isinstance(call.asked, _DECIDES):
            return
        if not call.joined:
            self._note_not_taken(call.asked, "nobody waited for it any more when it could have begun")
        self._context.waiting.remove(call)

    def _note_not_taken(self, asked: AskedSaga | RunAsked, why: str) -> None:
        """A step for which there is no room now, or that did not begin, may be missed in what follows; one that cannot
        be taken as it is was never a part of the saga."""
        if isinstance(asked, (StepAsked, AfterAsked)):
            live, step = self._context.live.get(asked.saga.id), asked.step
            if live is not None and step.name not in live.steps:
                live.note_not_taken(step.name, step.options, why)

    def fail(self, saga: str, step: str, code: str, text: str) -> None:
        """The journal did not take this step."""
        for call in self._context.waiting.of(saga):
            if isinstance(call.asked, (StepAsked, AfterAsked)) and call.asked.step.name == step:
                self._refuse(call, code, text)
                self._context.waiting.remove(call)

    def not_begun(self, saga: str, code: str, text: str) -> None:
        """The journal did not take the beginning of this saga, so nothing of it is there. Whoever decides it is
        answered when it is looked at again, if there is something to decide."""
        live = self._context.live.get(saga)
        for call in self._context.waiting.of(saga):
            match call.asked:
                case WaitAsked():
                    continue
                case CommitAsked() if live is not None and live.not_taken:
                    continue
                case AbortAsked() if live is not None:
                    continue
                case AbortAsked():
                    self._reply_aborted(call)
                case _:
                    self._refuse(call, code, text)
            self._context.waiting.remove(call)

    def end(self, text: str) -> None:
        """We do not lead any more. What was put into the journal may be committed all the same."""
        calls = [(call.caller, self._may_be_done(call)) for call in self._context.waiting.take_all()]
        for caller, may_be_done in [*calls, *self._context.held.take_all()]:
            if may_be_done:
                text_of_call = f"{text}: it may have been carried out or not; `gossipreg saga show` says"
                self._context.refuse(caller, OutcomeUnknown.code, text_of_call)
            else:
                self._context.refuse(caller, "unavailable", text)

    def _may_be_done(self, call: WaitingCall) -> bool:
        """Whether something of it was put into the journal."""
        live = self._context.live.get(call.saga)
        match call.asked:
            case RunAsked():
                return True
            case CommitAsked() | AbortAsked():
                return live is None or live.deciding is not None
        return call.joined

    def _look(self, call: WaitingCall, copies: int) -> bool:
        """Whether it is answered."""
        live = self._context.live.get(call.saga)
        if isinstance(call.asked, WaitAsked):
            return self.decided.look_wait(call, call.asked, live)
        if live is None:
            return self.decided.look(call, copies)
        match call.asked:
            case StepAsked():
                return self._look_step(call, call.asked, live)
            case AfterAsked():
                return self._look_after(call, call.asked, live)
            case CommitAsked():
                return self._look_commit(call, live)
            case AbortAsked(_, reason):
                return self._look_abort(call, live, reason)
            case HandAsked(_, decision):
                verb = decision.name.lower().replace("_", " ")
                tries = f"saga {live.ref} is not decided, and tries its steps by itself"
                text = f"{tries}: there is nothing to {verb} yet; wait for its decision, or abort it"
                return self._refuse(call, "refused", text)
            case RunAsked():
                return live.committed and self._run_began(call, copies)
        return False

    # -- of a saga that runs -------------------------------------------------------------------------------------------

    def _look_step(self, call: WaitingCall, asked: StepAsked, live: LiveSaga) -> bool:
        step = self._take(call, asked, live)
        if step is None or not step.settled or step.result is None:
            return False
        if step.state is StepState.REFUSED and not self._is_durable(live, step):
            return False
        self._context.reply_once_proven(call, step_answer(step.result))
        return True

    def _is_durable(self, live: LiveSaga, step: LiveStep) -> bool:
        """Whether the journal has its result. A program that hears of a refusal takes another way: no leader may do
        this step after that."""
        open = self._context.machine.open.get(live.ref.id)
        recorded = None if open is None else open.steps.get(step.intent.name)
        return recorded is not None and recorded.state is step.state

    def _look_after(self, call: WaitingCall, asked: AfterAsked, live: LiveSaga) -> bool:
        step = self._take(call, asked, live)
        if step is None or not step.committed:
            return False
        self._context.reply_once_proven(call, {})
        return True

    def _take(self, call: WaitingCall, asked: StepAsked | AfterAsked, live: LiveSaga) -> LiveStep | None:
        """Begin this step, or join the one that was. Raises RequestError."""
        name = asked.step.name
        if call.joined:
            return live.steps.get(name)
        if live.deciding is not None:
            raise _Decided(f"saga {live.ref} is being decided: it takes no more steps")
        try:
            intent = intent_of(asked.step, _values(live, name))
        except ResultMissing:
            if live.inherits:
                return None  # its program was told a result that this leader has yet to learn
            raise
        step = live.steps.get(name)
        if step is None and live.inherits and (is_final_intent(intent) or missing_needs(live, intent)):
            return None  # so is one that has to be done before it
        if step is None:
            self._running.intend(live, intent)
        elif step.intent != intent:
            raise _StepConflict(f"step {name!r} of saga {live.ref} has another command: give this one its own name")
        call.joined = True
        return live.steps[name]

    def _look_commit(self, call: WaitingCall, live: LiveSaga) -> bool:
        if live.deciding is not None or live.inherits:
            return False
        if live.open_steps:
            text = f"saga {live.ref} cannot commit: {_in_the_way(live)}"
            return self._refuse(call, "not_done", text, steps=live.open_steps)
        if live.not_taken:
            missing = [*live.not_taken]
            why = f"{shown(missing)} not taken ({live.not_taken[missing[0]]}): take it again, or abort"
            return self._refuse(call, "not_done", f"saga {live.ref} cannot commit: {why}", steps=missing)
        self._running.decide(live, Decision.COMMIT)
        return False

    def _look_abort(self, call: WaitingCall, live: LiveSaga, reason: str) -> bool:
        recorded = live.recorded
        self._running.decide(live, Decision.ABORT, reason or "its program aborted it")
        if not recorded:
            self._reply_aborted(call)
        return not recorded

    def _reply_aborted(self, call: WaitingCall) -> None:
        """Say that a saga is aborted that is not in the journal, as far as is known here."""
        self._context.once_proven(call.caller, partial(self._context.reply, call.caller, {"state": "aborted"}))

    def _run_began(self, call: WaitingCall, copies: int) -> bool:
        self._context.reply_once_proven(call, self._begun(call.saga, copies))
        return True

    def _refuse(self, call: WaitingCall, code: str, text: str, **more: object) -> bool:
        """Refuse a call about a saga that runs, or is not there: another leader may know more."""
        self._context.refuse_once_proven(call.caller, code, text, **more)
        return True


class _Decided(RequestError):
    """A step of a saga that is decided."""

    code = "decided"


class _StepConflict(RequestError):
    """Another step of the saga has this name."""

    code = "conflict"


def _values(live: LiveSaga, step: str) -> TemplateValues:
    results = {name: one.result for name, one in live.steps.items() if one.result is not None}
    return TemplateValues(live.ref, step, live.begun.input, results)


_OPEN = "is still open"
_IN_THE_WAY = {StepState.REFUSED: "was refused", StepState.UNKNOWN: "is unknown"}
"""Of a failed step that forbids the commit, by state: what people are told."""
_MAX_TOLD = 5


def _in_the_way(live: LiveSaga) -> str:
    """Why it cannot commit, and what to do."""
    names = live.open_steps
    states = [live.steps[name].state for name in names]
    told = [f"step {name!r} {_IN_THE_WAY.get(state, _OPEN)}" for name, state in zip(names, states, strict=True)][
        :_MAX_TOLD
    ]
    more = f", and {len(names) - _MAX_TOLD} more" if len(names) > _MAX_TOLD else ""
    waits = not any(state in _IN_THE_WAY for state in states)
    return f"{', '.join(told)}{more}: {'wait for the answer first' if waits else 'abort it'}"


def _standing(known: KnownSaga) -> str:
    if known.decision is None:
        return "running"
    return "committed" if known.decision is Decision.COMMIT else "aborted"
