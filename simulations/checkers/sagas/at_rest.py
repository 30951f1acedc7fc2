"""Invariants: sagas at rest send nothing, have no timer and keep nothing."""

from math import inf

from gossipreg.sagas.journal_sagas import JournalSagas
from simulations.checkers.sagas.checker import SagaChecker
from simulations.orchestrating.process import SagaProcess


def _counts(led: JournalSagas) -> tuple[tuple[str, int], ...]:
    return ("acts", led.acting), ("running", led.running), ("open", len(led.machine.open)), ("calls", led.waiting)


class SagaSilence(SagaChecker):
    """Once every saga has ended, and is forgotten, no timer is set and none fires."""

    name = "saga_silence"
    _before = 0

    def begin(self) -> None:
        self._before = self._wakes()

    def at_rest(self) -> None:
        for process in self.orchestrating.running():
            due = process.sagas.next_deadline()
            if due != inf:
                what = f"the sagas of {process.host.name} have a timer at rest, due in {due - process.now:.1f} s"
                self.fail(what, process.host)
        if fired := self._wakes() - self._before:
            self.fail(f"at rest {fired} timers of sagas have fired")

    def _wakes(self) -> int:
        return sum(process.wakes for process in self.orchestrating.processes.values())


class SagasBounded(SagaChecker):
    """No more commands of a journal are under way than the tuning says; at rest none, and nothing is open, waits or is
    leased."""

    name = "sagas_bounded"

    def after(self, process: SagaProcess) -> None:
        most = self.orchestrating.tuning.commands_at_once
        for journal, led in process.sagas.led.items():
            if led.acting > most + 1024:
                what = f"{process.host.name} has {led.acting} commands of journal {journal.hex()[:8]} under way"
                self.fail(what, process.host)

    def at_rest(self) -> None:
        for process in self.orchestrating.running():
            left = {"commands": len(process.commands)} if process.commands else {}
            for journal, led in process.sagas.led.items():
                for name, count in _counts(led):
                    left |= {f"{name} in {journal.hex()[:8]}": count} if count else {}
            if left:
                named = ", ".join(f"{name} {count}" for name, count in left.items())
                self.fail(f"at rest {process.host.name} has {named}", process.host)
