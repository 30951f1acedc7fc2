"""Invariant: a saga is decided once; it commits only where every step is done, or refused and optional."""

from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.sagas.saga_codec import decode_changes
from gossipreg.sagas.saga_entries import SAGA_ENTRY, DecideSaga
from gossipreg.sagas.saga_facts import SagaDecided
from gossipreg.sagas.saga_model import Decision, SagaRef, StepState
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import CommittedSaga, CommittedStep
from simulations.orchestrating.key_ledger import KeyState
from simulations.orchestrating.process import SagaProcess


class OneDecision(SagaChecker):
    """The first decision in the journal holds, and no later entry changes it. When a saga commits, what is done is in
    the books of the participants, and what was refused is not."""

    name = "one_decision"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._decided: dict[str, Decision] = {}
        self._at: dict[tuple[object, int], None] = {}

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        """The ledger has applied this entry."""
        if not isinstance(effect, AppliedEntry) or effect.entry.kind != SAGA_ENTRY:
            return
        if (effect.journal, effect.entry.index) in self._at or not isinstance(effect.result, tuple):
            return
        self._at[effect.journal, effect.entry.index] = None
        wanted = [change for change in decode_changes(effect.entry.data) if isinstance(change, DecideSaga)]
        for fact in effect.result:
            if isinstance(fact, SagaDecided):
                self._on_decided(process, self.ledger.sagas[str(SagaRef(effect.journal, fact.saga))], fact.decision)
        for change in wanted:
            name = str(SagaRef(effect.journal, change.saga))
            if name in self.ledger.sagas and name not in self._decided and change.decision is Decision.ABORT:
                self.fail(f"the abort of {name} did not hold, and nothing else has decided it", process.host)

    def _on_decided(self, process: SagaProcess, saga: CommittedSaga, decision: Decision) -> None:
        name = str(saga.ref)
        if name in self._decided:
            before = self._decided[name].name.lower()
            self.fail(f"{name} is decided twice: {before}, then {decision.name.lower()}", process.host)
        self._decided[name] = decision
        if decision is not Decision.COMMIT:
            return
        for step in saga.steps.values():
            if not step.allows_commit:
                self.fail(f"{name} commits, and {step.intent.name} is {step.state.name.lower()}", process.host)
            if not step.intent.options.after:
                self._check_books(process, step)

    def _check_books(self, process: SagaProcess, step: CommittedStep) -> None:
        state = next((one.state for _, one in self.orchestrating.records() if one.key == step.key), KeyState.NEW)
        if (step.state is StepState.DONE) != (state is KeyState.HELD):
            what = f"{step.saga.ref} commits: {step.intent.name} is {step.state.name.lower()}"
            self.fail(f"{what}, and {state.value} at {step.intent.command.service}", process.host)
