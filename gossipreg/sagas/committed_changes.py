"""What follows once changes of sagas are committed, or were not taken.

Owns: which part hears of which fact, in their order. Never knows: what a part does then.
"""

from collections.abc import Sequence

from gossipreg.sagas.change_batch import ProposedChanges
from gossipreg.sagas.decided_sagas import DecidedSagas
from gossipreg.sagas.declared_sagas import DeclaredSagas
from gossipreg.sagas.running_sagas import RunningSagas
from gossipreg.sagas.saga_context import SagaContext
from gossipreg.sagas.saga_effects import TellSagaOver
from gossipreg.sagas.saga_entries import BeginSaga, DecideByHand, DecideSaga, IntendStep, SagaChange
from gossipreg.sagas.saga_facts import (
    ChangeIgnored,
    DecidedByHand,
    SagaBegun,
    SagaDecided,
    SagaEnded,
    SagaFact,
    StepIntended,
    StepSettled,
    StepStuck,
)
from gossipreg.sagas.saga_model import BegunSaga, Decision
from gossipreg.sagas.saga_replies import SagaReplies


class CommittedChanges:
    def __init__(
        self, context: SagaContext, running: RunningSagas, declared: DeclaredSagas, decided: DecidedSagas,
        replies: SagaReplies,
    ) -> None:  # fmt: skip
        self._context = context
        self._running = running
        self._declared = declared
        self._decided = decided
        self._replies = replies

    def committed(self, facts: Sequence[SagaFact], proposed: ProposedChanges) -> None:
        """An entry of ours is committed, and has changed this."""
        by_hand: dict[str, list[str]] = {}
        for fact in facts:
            if isinstance(fact, DecidedByHand):
                by_hand.setdefault(fact.saga, []).append(fact.step)
            self._on_fact(fact, proposed)
        ignored = {fact.place: fact.reason for fact in facts if isinstance(fact, ChangeIgnored)}
        for place, change in enumerate(proposed.changes):
            if isinstance(change, DecideByHand):
                self._replies.decided.by_hand(change, by_hand.get(change.saga, []), ignored.get(place, ""))

    def _on_fact(self, fact: SagaFact, proposed: ProposedChanges) -> None:
        context = self._context
        match fact:
            case SagaBegun(saga):
                self._running.begun(saga)
            case StepIntended(saga, step):
                self._running.intended(saga, step, proposed.proposed_at)
            case StepSettled(saga, step, state):
                self._decided.settled(saga, step, state)
            case SagaDecided(saga, decision):
                self._running.decided(saga, decision)
                if decision is Decision.ABORT:
                    self._log_aborted(saga)
            case StepStuck(saga, step):
                context.log("saga_stuck", saga, step=step)
            case DecidedByHand(saga, step, decision):
                self._decided.by_hand(saga, step, decision)
                context.log("saga_by_hand", saga, step=step, decision=decision.name.lower())
            case ChangeIgnored(place, saga, step, reason):
                self._on_ignored(proposed.changes[place] if place < len(proposed.changes) else None, saga, step, reason)
            case SagaEnded(saga, decision, begun) if begun is not None:
                self._tell_over(saga, decision, begun)
            case _:
                pass  # it is forgotten: nothing of it is kept here

    def _tell_over(self, saga: str, decision: Decision, begun: BegunSaga) -> None:
        ended = self._context.machine.ended(saga)
        if ended is not None:
            self._context.effects.append(
                TellSagaOver(
                    self._context.ref(saga), begun, decision, ended.decided_wall_ms, ended.ended_wall_ms, ended.steps
                )
            )

    def _log_aborted(self, saga: str) -> None:
        found = self._context.machine.find(saga)
        if found is not None:
            self._context.log("saga_aborted", saga, reason=found.reason)

    def _on_ignored(self, change: SagaChange | None, saga: str, step: str, reason: str) -> None:
        """What we proposed made no sense there. It may be late, as a result is after the decision."""
        match change:
            case IntendStep():
                self._replies.fail(saga, step, "refused", f"step {step!r} was not taken: {reason}")
                self._running.not_intended(saga, step, reason)
            case BeginSaga():
                self._running.given_up(change, reason)
                self._replies.not_begun(saga, "busy", f"the saga was not begun: {reason}")
            case DecideSaga():
                self._running.not_decided(saga)

    def give_up(self, change: SagaChange, code: str, text: str) -> None:
        """The journal did not take this, and will not in a moment."""
        self._running.given_up(change, text)
        match change:
            case BeginSaga(begun):
                self._replies.not_begun(begun.id, code, text)
            case IntendStep(saga, intent):
                self._replies.fail(saga, intent.name, code, text)
                self._declared.wait(saga)
