"""Invariant: of an aborted saga nothing is in effect once its undo is done, and of a committed one all is."""

from gossipreg.sagas.saga_model import StepState
from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import CommittedStep
from simulations.orchestrating.key_ledger import KeyRecord, KeyState
from simulations.orchestrating.participant import Instance


class WholeOrNothing(SagaChecker):
    """At each effect of a participant: not of a saga that has aborted and ended, unless a person skipped the step or it
    has no undo; and not of what comes after the commit before the commit. At rest the books say of each key what the
    decision of its saga says. Nothing is done twice."""

    name = "whole_or_nothing"

    def on_held(self, instance: Instance, key: str) -> None:
        step = self.ledger.step(key)
        if step is None:
            self.fail(f"{instance.name} does {key}, and its intent is not committed", instance.host)
        saga = step.saga
        if saga.aborted and saga.ended_at is not None and not _may_stay(step):
            self.fail(f"{instance.name} does {key}, and its saga was aborted and has ended", instance.host)
        if step.intent.options.after and (saga.decision is None or saga.aborted):
            self.fail(f"{instance.name} does {key}, and its saga has not committed", instance.host)

    def on_undone(self, instance: Instance, key: str) -> None:
        step = self.ledger.step(key)
        if step is not None and step.intent.options.after:
            self.fail(f"{instance.name} undoes {key}, which comes after the commit", instance.host)

    def at_rest(self) -> None:
        for service, record in self.orchestrating.records():
            self._check(service, record)
        held = {record.key for _, record in self.orchestrating.records() if record.state is KeyState.HELD}
        for saga in self.ledger.sagas.values():
            for step in saga.steps.values():
                missing = step.state in (StepState.DONE, StepState.AFTER_DONE) and step.key not in held
                if missing and not saga.aborted:
                    self.fail(f"{step.key} is {step.state.name.lower()}, and {step.intent.command.service} has it not")

    def _check(self, service: str, record: KeyRecord) -> None:
        step = self.ledger.step(record.key)
        if step is None:
            self.fail(f"{service} has {record.key}, which no journal has")
        if record.effects > 1:
            self.fail(f"{service} has done {record.key} {record.effects} times")
        says = f"{service} has {record.key} as {record.state.value}"
        if record.state is KeyState.HELD and step.saga.aborted and not _may_stay(step):
            self.fail(f"{says}, and its saga was aborted")
        if record.state is KeyState.UNDONE and not step.saga.aborted:
            self.fail(f"{says}, and its saga has committed")


def _may_stay(step: CommittedStep) -> bool:
    return step.state is StepState.SKIPPED or not step.has_undo
