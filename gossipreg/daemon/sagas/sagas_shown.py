"""What people see of the sagas here: the section of `info`, the counters, and what an operator has to know.

Owns: sums over the journals that are led here. Never knows: who looks, or what a saga is for.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.journal.model import JournalId
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.open_saga import OpenSaga, OpenStep
from gossipreg.sagas.saga_model import SagaRef, SagaState, step_key
from gossipreg.sagas.sagas import Sagas
from gossipreg.wire.shapes import Shape

STUCK_SHOWN = 20
"""Steps that a person has to look at, in `info`."""


@dataclass(frozen=True, slots=True)
class StuckStep:
    saga: SagaRef
    name: str
    step: str
    reason: str
    """What the last attempt came to."""

    def __str__(self) -> str:
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.name} {self.saga} step {self.step}{why}"


class SagasShown:
    def __init__(
        self, sagas: Sagas, journals: JournalsOfRuntime, programs: SagaPrograms, counts: Counter[str],
        calls: Callable[[], int], commands: Callable[[], int],
    ) -> None:  # fmt: skip
        """`counts` are those of sagas in the daemon; `calls()` are those of programs here that wait, `commands()` those
        that are under way."""
        self._sagas = sagas
        self._journals = journals
        self._programs = programs
        self._counts = counts
        self._calls = calls
        self._commands = commands
        self._used = False

    def _open(self) -> Iterator[tuple[JournalId, OpenSaga]]:
        """Of the journals that are led here."""
        for journal in self._sagas.led:
            machine = self._journals.machine(journal)
            if isinstance(machine, SagasMachine):
                for saga in machine.open.values():
                    yield journal, saga

    def section(self, now: float) -> Shape:
        """The section `sagas` of `info`; empty until something here uses sagas. What was shown once stays."""
        figures = self._figures()
        if not self._is_used(any(figures.values()) or self._counters()):
            return {}
        ages = (self._journals.led_ms(journal, now) - saga.began_led_ms for journal, saga in self._open())
        stuck = {
            step_key(one.saga, one.step): {"name": one.name, "reason": one.reason} for one in self.stuck()[:STUCK_SHOWN]
        }
        oldest_ms = max(ages, default=None)
        oldest = {} if oldest_ms is None else {"oldest_s": round(oldest_ms / 1000, 3)}
        return {**figures, **oldest, "stuck_steps": stuck}

    def _is_used(self, anything: object) -> bool:
        """Whether there is something to show. It stays so: a gauge that goes back to 0 must not vanish from a graph."""
        self._used = self._used or bool(anything)
        return self._used

    def _figures(self) -> dict[str, int]:
        states = Counter(saga.state for _, saga in self._open())
        return {
            "running": states[SagaState.RUNNING],
            "undoing": states[SagaState.ABORTED],
            "finishing": states[SagaState.COMMITTED],
            "stuck": sum(saga.stuck for _, saga in self._open()),
            "commands": self._commands(),
            "programs": len(self._programs),
            "calls": self._calls(),
        }

    def _counters(self) -> dict[str, int]:
        found = Counter(self._counts)
        found.update(self._sagas.counts)
        return dict(sorted(found.items()))

    def counts(self) -> dict[str, int]:
        """Figures and counters, for `info` and the metrics."""
        figures, counters = self._figures(), self._counters()
        if not self._is_used(any(figures.values()) or counters):
            return {}
        return {**{f"sagas_{name}": value for name, value in figures.items()}, **counters}

    def stuck(self) -> list[StuckStep]:
        """The steps that a person has to look at, those of the oldest sagas first."""
        stuck = ((journal, saga) for journal, saga in self._open() if saga.stuck)
        first = nsmallest(STUCK_SHOWN, stuck, key=lambda one: (one[1].began_led_ms, one[0]))
        return [
            StuckStep(SagaRef(journal, saga.id), saga.begun.name, step.name, _reason(saga, step))
            for journal, saga in first for step in saga.steps.values() if step.stuck
        ]  # fmt: skip


def _reason(saga: OpenSaga, step: OpenStep) -> str:
    result = step.undo_result if saga.state is SagaState.ABORTED else step.result
    return "" if result is None else result.text or f"status {result.status}"
