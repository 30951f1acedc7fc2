"""Invariant: what a program is told of its saga is true."""

from gossipreg.sagas.saga_model import Decision, step_key
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import CommittedSaga
from simulations.orchestrating.key_ledger import KeyState
from simulations.orchestrating.process import SagaProcess
from simulations.orchestrating.saga_run import SagaRun, Told

_DECISIONS = {
    ("commit", ""): Decision.COMMIT,
    ("commit", "aborted"): Decision.ABORT,
    ("abort", ""): Decision.ABORT,
    ("abort", "committed"): Decision.COMMIT,
}


class TruthTold(SagaChecker):
    """A decision that is told is in the journal. A step that is told to be done is in the books, or was undone; one
    that is told to be refused is not. A saga that the journal has is not begun once more, nor said to be unknown.
    Something else under a name that was used is refused, and so is a step after the decision. No story, and no list,
    shows a saga as it was before it was asked for."""

    name = "truth_told"

    def on_told(self, process: SagaProcess, told: Told) -> None:
        run, saga = told.run, self._saga(told.run)
        says = f"{process.host.name} answers {told.method} of {run.id} with {told.code or 'yes'}"
        wanted = _DECISIONS.get((told.method, told.code))
        decision = None if saga is None else saga.decision
        unrecorded = told.method == "abort" and saga is None  # it leaves no trace
        if wanted is not None and decision is not wanted and not unrecorded:
            stands = (
                "not in a journal" if saga is None else "not decided" if decision is None else decision.name.lower()
            )
            self.fail(f"{says}, and it is {stands}", process.host)
        if told.method in ("show", "list"):
            self._check_story(process, told, saga, says)
            return
        if told.code == "not_found" and saga is not None and saga.forgotten_at is None:
            self.fail(f"{says}, and a journal has it", process.host)
        if told.changed and told.code == "" and self._was_taken(told):
            self.fail(f"{says}, and it asked for something else", process.host)
        if told.method == "begin" and told.code == "" and self._was_taken(told):
            self.fail(f"{says}, and it had been begun", process.host)
        if told.method == "step" and told.code == "":
            self._check_step(process, told, saga, says)
        if told.method == "wait" and told.code == "" and told.result["state"] == "ended":
            name = None if decision is None else decision.name.lower()
            if told.result["decision"] != name:
                self.fail(f"{says}: {told.result['decision']}, and it is {name}", process.host)

    def _check_story(self, process: SagaProcess, told: Told, saga: CommittedSaga | None, says: str) -> None:
        if saga is None or saga.at >= told.asked_at or saga.forgotten_at is not None:
            return  # there was nothing of it, or there is nothing any more
        if told.code == "not_found":
            self.fail(f"{says}, and a journal had it", process.host)
        decided = saga.decision is not None and saga.decided_at < told.asked_at
        if not told.code and told.result["decision"] is None and decided:
            self.fail(f"{says}: not decided, and it was, before that was asked", process.host)

    def _saga(self, run: SagaRun) -> CommittedSaga | None:
        return None if run.saga is None else self.ledger.sagas.get(str(run.saga))

    def _was_taken(self, told: Told) -> bool:
        """Whether the journal that answers had a saga, or a step, of this name before it was asked. A sidecar that has
        lost its disk opens another journal, and of several calls about a step a later one may arrive first."""
        saga = self.ledger.sagas.get(str(told.result["saga"])) if told.method == "begin" else self._saga(told.run)
        taken = saga if saga is None or told.method == "begin" else saga.steps.get(told.step)
        return taken is not None and taken.at < told.asked_at

    def _check_step(self, process: SagaProcess, told: Told, saga: CommittedSaga | None, says: str) -> None:
        what, step = told.result["state"], None if saga is None else saga.steps.get(told.step)
        if what == "refused" and step is None:
            return  # it was never sent, and its intent is not committed yet
        if saga is None or step is None or told.run.saga is None:
            self.fail(f"{says}: {what}, and its intent is not committed", process.host)
        if saga.decision is not None and step.at < saga.decided_at < told.asked_at:
            self.fail(f"{says}, and it was decided before that was asked", process.host)
        key = step_key(told.run.saga, told.step)
        state = next((record.state for _, record in self.orchestrating.records() if record.key == key), KeyState.NEW)
        undone = saga.aborted and state is KeyState.UNDONE
        if what == "done" and state is not KeyState.HELD and not undone:
            self.fail(f"{says}: done, and it is {state.value} at {step.intent.command.service}")
        if what == "refused" and state is KeyState.HELD:
            self.fail(f"{says}: refused, and {step.intent.command.service} has done it")
