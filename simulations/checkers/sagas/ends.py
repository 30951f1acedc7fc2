"""Invariant: every saga ends once its journal is led and participants can be reached; a lost program is noticed."""

from collections.abc import Iterator

from simulations.checkers.sagas.checker import SagaChecker
from simulations.checkers.sagas.saga_ledger import CommittedSaga
from simulations.orchestrating.process import SagaProcess

LED_S = 20.0
"""From the end of the faults until each journal is led, and each owner has its journal back, at most: times begin anew
with each leader."""
_SLACK_S = 20.0


class SagasEnd(SagaChecker):
    """Once faults have ended each saga that a journal has ends. One whose program is lost is decided `lost_s` after
    that, whatever its own timeout is."""

    name = "sagas_end"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._connected: dict[str, SagaProcess] = {}
        """By saga: the sidecar at which its program is."""
        self._lost: dict[str, float] = {}
        """Since when it has none."""
        self._healed = 0.0

    def on_program(self, process: SagaProcess, saga: str, *, here: bool) -> None:
        if here:
            self._connected[saga] = process
            self._lost.pop(saga, None)
        elif self._connected.pop(saga, None) is not None:
            self._lost[saga] = self.world.now

    def on_end(self, process: SagaProcess) -> None:
        for saga in [saga for saga, at in self._connected.items() if at is process]:
            del self._connected[saga]
            self._lost[saga] = self.world.now

    def begin(self) -> None:
        """All faults have ended."""
        self._healed = self.world.now

    def open(self) -> Iterator[CommittedSaga]:
        """Yield the sagas that have not ended. Fails if one should be decided by now."""
        for name, saga in self.ledger.sagas.items():
            if saga.ended_at is not None:
                continue
            if saga.decision is None and name in self._lost:
                self._check_lost(name, self._lost[name])
            yield saga

    def _check_lost(self, name: str, since: float) -> None:
        begins = max(since, self._healed + LED_S)
        if self.world.now > begins + self.orchestrating.tuning.lost_s + _SLACK_S:
            self.fail(f"the program of {name} is lost for {self.world.now - since:.1f} s, and it is not decided")

    def at_rest(self) -> None:
        for saga in self.open():
            leader = self.orchestrating.journaling.leader(saga.ref.journal)
            stands = "running" if saga.decision is None else saga.decision.name.lower()
            steps = ", ".join(f"{name} {step.state.name.lower()}" for name, step in saga.steps.items())
            members = [] if leader is None else [leader.host]
            self.fail(f"{saga.ref} has not ended: it is {stands}: {steps or 'no step'}", *members)
