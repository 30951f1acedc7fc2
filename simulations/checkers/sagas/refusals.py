"""Invariant: a step counts as refused only if it had no effect, for certain."""

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_facts import StepSettled
from gossipreg.sagas.saga_model import SagaRef, StepState, step_key
from simulations.checkers.sagas.checker import SagaChecker
from simulations.orchestrating.participant import Instance
from simulations.orchestrating.process import SagaProcess

_UNCLEAR = (401, 403, 404, 408, 409, 423, 425, 429)


class RefusalsCertain(SagaChecker):
    """When a refusal is committed at most one attempt of the step, by any leader, can have reached a participant, and
    its answer refused it. A participant never does what counts as refused."""

    name = "refusals_certain"

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, AppliedEntry) or effect.entry.kind != SAGA_ENTRY:
            return
        for fact in effect.result if isinstance(effect.result, tuple) else ():
            if isinstance(fact, StepSettled) and fact.state is StepState.REFUSED:
                self._check(process, step_key(SagaRef(effect.journal, fact.saga), fact.step))

    def _check(self, process: SagaProcess, key: str) -> None:
        arrived = [attempt for attempt in self.ledger.attempts.get(key, ()) if attempt.may_have_arrived]
        if len(arrived) > 1:
            self.fail(f"{key} counts as refused, and {len(arrived)} attempts may have reached it", process.host)
        done = arrived[0].done if arrived else None
        if arrived and (done is None or not 300 <= done.status < 500 or done.status in _UNCLEAR):
            answer = "unanswered" if done is None or not done.status else f"answered {done.status}"
            self.fail(f"{key} counts as refused, and its attempt was {answer}", process.host)

    def on_held(self, instance: Instance, key: str) -> None:
        step = self.ledger.step(key)
        if step is not None and step.state is StepState.REFUSED:
            self.fail(f"{instance.name} does {key}, which counts as refused", instance.host)
