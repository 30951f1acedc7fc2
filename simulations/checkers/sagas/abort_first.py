"""Invariant: no undo before the abort is durable; none of a refused step, or while an attempt of it is under way."""

from gossipreg.journal.effects import Established, JournalEffect
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_effects import SendCommand
from gossipreg.sagas.saga_model import StepState
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import header
from simulations.orchestrating.participant import UNDOES, Instance
from simulations.orchestrating.process import SagaProcess


class AbortFirst(SagaChecker):
    """An undo is sent, and carried out, only of a saga whose abort is committed, and of a step that was intended and
    not refused. When it is sent no attempt of the step is under way at the sender, of those since it leads."""

    name = "abort_first"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._since: dict[tuple[SagaProcess, JournalId], float] = {}

    def on_journal(self, process: SagaProcess, effect: JournalEffect) -> None:
        if isinstance(effect, Established):
            self._since[process, effect.journal] = self.world.now

    def on_command(self, process: SagaProcess, command: SendCommand) -> None:
        undoes = header(command, UNDOES)
        if not undoes:
            return
        step, sends = self.ledger.step(undoes), f"{process.host.name} undoes {undoes}"
        if step is None or not step.saga.aborted:
            self.fail(f"{sends}, and its saga is not aborted", process.host)
        if step.state is StepState.REFUSED:
            self.fail(f"{sends}, which was refused", process.host)
        since = self._since.get((process, step.saga.ref.journal), 0.0)
        for attempt in self.ledger.attempts.get(undoes, ()):
            if attempt.process is process and attempt.done is None and attempt.at >= since:
                self.fail(f"{sends} while an attempt of it is under way", process.host)

    def on_undone(self, instance: Instance, key: str) -> None:
        step = self.ledger.step(key)
        if step is None or not step.saga.aborted:
            self.fail(f"{key} is undone at {instance.name}, and its saga is not aborted", instance.host)
