"""The ways to break sagas on purpose, for the test of their checkers (`simulations/selftest.py`).

Owns: what is broken, each by replacing one function of `gossipreg.sagas` or `gossipreg.journal`, or of a participant.
Never knows: how a run is made.
"""

from dataclasses import replace
from math import inf
from typing import Any

from gossipreg.journal.leadership_proof import LeadershipProof
from gossipreg.journal.leading import Leading
from gossipreg.journal.proven_questions import ProvenQuestions
from gossipreg.sagas import running_sagas
from gossipreg.sagas.command_attempts import CommandAttempts, CommandWork
from gossipreg.sagas.ended_sagas import EndedSagas
from gossipreg.sagas.journal_sagas import EXPIRE_AGAIN_S, JournalSagas
from gossipreg.sagas.live_sagas import LiveSaga
from gossipreg.sagas.open_saga import OpenSaga
from gossipreg.sagas.program_leases import ProgramLeases
from gossipreg.sagas.running_sagas import RunningSagas
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_forwarding import SagaForwarding
from gossipreg.sagas.saga_model import StepState
from gossipreg.sagas.saga_replies import SagaReplies
from gossipreg.sagas.step_commands import lasting_task
from simulations.breaks import Break
from simulations.journaling.breaks import established_at_once
from simulations.orchestrating.key_ledger import KeyLedger, KeyState
from simulations.scenario import Case
from simulations.scenarios import saga


def proven_at_once(_: Any) -> Any:
    return lambda _self, _due: True


def given_at_once(_: Any) -> Any:
    return lambda _self, _caller, give, **_unless: give()


def spoken_for_at_once(ready: Any) -> Any:
    def broken(self: ProvenQuestions[Any], now: float) -> Any:
        for waiting in self._waiting.values():
            waiting.waits.clear()
        return ready(self, now)

    return broken


def any_no_refuses(outcome: Any) -> Any:
    return lambda status, *, sent, first: outcome(status, sent=sent, first=first or 400 <= status < 500)


def nothing_open(_: Any) -> Any:
    return property(lambda _self: [])


def undoes_at_once(decide: Any) -> Any:
    """What is done is undone when the abort is proposed."""

    def broken(self: RunningSagas, live: Any, decision: Any, reason: str = "") -> None:
        decide(self, live, decision, reason)
        context = self._context
        found = context.machine.open.get(live.ref.id)
        if found is None or not reason:
            return
        for step in found.steps.values():
            if step.state is StepState.DONE and step.intent.undo is not None:
                undo = step.intent.undo
                task = lasting_task(CommandWork.UNDO, live.ref, step.intent, undo, live.begun, context.tuning)
                if task.id not in context.attempts:
                    context.attempts.begin(task, context.now)

    return broken


def forgets_by_the_wall(forget_old: Any) -> Any:
    """An ended saga is forgotten, too, once the clock of a wall says so."""

    def broken(self: EndedSagas, led_ms: int, records: Any) -> list[str]:
        latest = max((one.ended_wall_ms for one in self._by_id.values()), default=0)
        forgotten = []
        while self._order and latest - self._by_id[self._order[0]].ended_wall_ms > self._kept_ms:
            forgotten.append(self._forget_oldest(records))
        return [*forgotten, *forget_old(self, led_ms, records)]

    return broken


def looks_at_once(_: Any) -> Any:
    """It looks once a second."""
    again_s = EXPIRE_AGAIN_S - 1.0
    return lambda self: inf if self._machine.oldest_ended_led_ms is None else self._expire_not_before - again_s


def goes_on(end: Any) -> Any:
    """A decision does not end the attempts of a step that failed before."""

    def broken(self: CommandAttempts, id: Any) -> Any:
        task = self._tasks.get(id)
        failed = task is not None and task.last is not None and not 200 <= task.last.status < 300
        return task if failed and id.work is CommandWork.STEP else end(self, id)

    return broken


def all_undone(_: Any) -> Any:
    def begin_undo(self: OpenSaga) -> None:
        for step in self.steps.values():
            if not step.intent.options.after:
                step.state = StepState.UNDOING

    return begin_undo


def never_over(_: Any) -> Any:
    def begin(self: ProgramLeases, saga: str, _now: float) -> None:
        self._holders[saga] = None

    return begin


def does_what_was_undone(begin: Any) -> Any:
    def broken(self: KeyLedger, key: str) -> Any:
        record = self.of(key)
        if record.state is KeyState.UNDONE:
            record.state, record.answer = KeyState.NEW, None
        return begin(self, key)

    return broken


def told_too_early(look: Any) -> Any:
    def broken(self: SagaReplies, call: Any, live: Any) -> bool:
        answered: bool = look(self, call, live)
        if live.deciding is None:
            return answered
        self._context.reply(call.caller, {"state": "committed"})
        return True

    return broken


def waits_on(_: Any) -> Any:
    return lambda _self, _caller: None


def tells_nobody(abandon: Any) -> Any:
    return lambda self, ticket: abandon(self, ticket)[:0]


def timer_kept(arm: Any) -> Any:
    return lambda self, work, due: arm(self, work, due if due != inf else 1e6)


def one_kept(done: Any) -> Any:
    """One command that was answered counts as under way for ever."""

    def broken(self: CommandAttempts, result: Any) -> Any:
        found = done(self, result)
        if found is not None and -1 not in self._under_way and self._tuning.commands_at_once > 2:
            self._under_way[-1] = found[0]
        return found

    return broken


_CASE = Case(nodes=3, duration_s=12.0)


def _break(what: str, fires: tuple[str, ...], owner: Any, attribute: str, instead: Any, seed: int = 1) -> Break:
    return Break(what, fires, owner, attribute, instead, replace(_CASE, seed=seed), saga.run)


_COMMITS_OPEN = (
    _break("a commit beside an open step", ("one_decision",), LiveSaga, "open_steps", nothing_open),
    _break("... that the state machine takes", ("one_decision",), OpenSaga, "not_done", nothing_open),
)
_EXPIRES_BY_WALL = (
    _break("sagas that expire by the wall", ("nothing_early",), EndedSagas, "forget_old", forgets_by_the_wall),
    _break("... as soon as it says so", ("nothing_early",), JournalSagas, "_expire_due", looks_at_once),
)
_ANSWERS_UNPROVEN = (
    _break("an answer without proof of leadership", ("truth_told",), SagaContext, "once_proven", given_at_once, 124),
    _break("... about all journals", ("truth_told",), ProvenQuestions, "ready", spoken_for_at_once),
)
_PROVEN, _UNDONE, _REFUSED = ("attempts_proven",), ("abort_first",), ("refusals_certain",)
_FORGOTTEN = ("abandoned_forgotten",)

SAGA_BREAKS: tuple[tuple[Break, ...], ...] = (
    (_break("a repeat without proof of leadership", _PROVEN, LeadershipProof, "covers", proven_at_once),),
    _ANSWERS_UNPROVEN,
    (_break("a 4xx on a repeat taken for refused", _REFUSED, running_sagas, "step_outcome", any_no_refuses),),
    _COMMITS_OPEN,
    (_break("undo before the abort is committed", _UNDONE, RunningSagas, "decide", undoes_at_once),),
    _EXPIRES_BY_WALL,
    (_break("sagas before the first entry", ("only_committed",), Leading, "begin", established_at_once),),
    (_break("an attempt after the decision", _PROVEN, CommandAttempts, "end", goes_on),),
    (_break("a refused step is undone", _UNDONE, OpenSaga, "begin_undo", all_undone),),
    (_break("a lease that is forgotten", ("sagas_end",), ProgramLeases, "begin", never_over),),
    (_break("a do after its undo", ("whole_or_nothing",), KeyLedger, "begin", does_what_was_undone),),
    (_break("a commit that is told too early", ("truth_told",), SagaReplies, "_look_commit", told_too_early),),
    (_break("an abandoned call that goes on waiting", _FORGOTTEN, SagaReplies, "abandoned", waits_on, 12),),
    (_break("... of which no leader is told", _FORGOTTEN, SagaForwarding, "abandon", tells_nobody, 12),),
    (_break("a timer of sagas at rest", ("saga_silence",), JournalSagas, "_arm", timer_kept),),
    (_break("a command that is never over", ("sagas_bounded",), CommandAttempts, "done", one_kept),),
)
"""Breaks of one tuple are applied together; the first one names the checkers."""
