"""A saga in a program, for threads.

    with registry.saga("create-order", timeout=60) as saga:
        saga.step("reserve", "stock", "PUT", "/reservations/{key}", json={"item": "tea"},
                  undo=("DELETE", "/reservations/{key}"))

Owns: the block: its end commits, an exception in it aborts. Never knows: how a call reaches the sidecar.
"""

import contextlib
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self, TypeVar

from gossipreg.client.sagas.keeper import KEEPER
from gossipreg.client.sagas.program_saga import ProgramSaga, SagaFlow
from gossipreg.client.sagas.saga_answers import StepAnswer
from gossipreg.client.sagas.saga_caller import ProgramCaller, follow
from gossipreg.client.sagas.saga_step import NOT_WRITTEN, NotWritten, SagaStep, UndoGiven, checked_steps

T = TypeVar("T")
STEPS_AT_ONCE = 16
"""Steps of one saga that are taken at once; more wait for these."""


class Saga(ProgramSaga):
    """Made by `Registry.saga`. Threads may share it inside its block."""

    def __init__(self, caller: ProgramCaller, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._caller = caller
        self.lines = caller.lines()

    def __enter__(self) -> Self:
        """Begin it. Raises SagaExists, SagaConflict, and what else the sidecar refuses it with."""
        try:
            self._follow(self.beginning())
        except BaseException:
            self.lines.end(decided=False)
            raise
        return self

    def step(
        self, name: str, service: str, method: str, path: str, *, json: object = NOT_WRITTEN,
        body: bytes | str | None = None, headers: Mapping[str, str] | None = None,
        undo: UndoGiven | NotWritten | None = NOT_WRITTEN, harmless: bool = False, optional: bool = False,
        timeout: float | None = None, attempt_timeout: float | None = None, unknown: str = "undo",
        needs: Iterable[str] | None = None,
    ) -> StepAnswer:  # fmt: skip
        """Have the sidecar send a command to a service, and return its answer once it is done.

        `path`, `json`, `body` and `headers` may have {key} (the same for every attempt), {saga}, {step}, {input.a.b}
        and {result.STEP.a.b}. `undo`: (METHOD, PATH) or (METHOD, PATH, JSON): what an abort sends; None: this is the
        last step. `harmless`: it changes nothing. `optional`: the saga may commit if it is refused, and the answer
        says so. `timeout`: the seconds until it is unknown (30); `attempt_timeout`: those of an attempt (5). `unknown`:
        what an abort does with it then: "undo", or "repeat" until it answers, for an undo that needs its result.

        Raises StepRefused, StepUnknown, SagaAborted, BadParams, Unreachable: each ends the block, which aborts.
        """
        return self._follow(self.taking(SagaStep(
            name, service, method, path, json, body, headers, undo, harmless, optional, timeout, attempt_timeout,
            unknown, needs,
        )))  # fmt: skip

    def steps(self, steps: Iterable[SagaStep]) -> list[StepAnswer]:
        """Take these steps at once, and return their answers in the same order. If some fail, the first failure is
        raised once all have ended."""
        checked = checked_steps(steps)
        for step in checked:
            step.template()
        answers: list[StepAnswer | None] = [None] * len(checked)
        errors: list[BaseException | None] = [None] * len(checked)
        waiting = iter(range(len(checked)))  # `next` on it is atomic

        def work() -> None:
            for index in waiting:
                try:
                    answers[index] = self._follow(self.taking(checked[index]))
                except Exception as error:
                    errors[index] = error

        threads = [threading.Thread(target=work, name="gossipreg saga", daemon=True) for _ in checked[1:STEPS_AT_ONCE]]
        with contextlib.suppress(RuntimeError):  # the program ends, or has no more threads: then one after the other
            for thread in threads:
                thread.start()
        work()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        for error in filter(None, errors):
            raise error
        return [answer for answer in answers if answer is not None]

    def after(
        self, name: str, service: str, method: str, path: str, *, json: object = NOT_WRITTEN,
        body: bytes | str | None = None, headers: Mapping[str, str] | None = None,
        attempt_timeout: float | None = None, needs: Iterable[str] | None = None,
    ) -> None:  # fmt: skip
        """Have this command sent once the saga is committed, again and again until it is done: a mail, a confirmation.
        It is never undone. Parameters as of `step`."""
        step = SagaStep(name, service, method, path, json, body, headers, None,
                        attempt_timeout=attempt_timeout, needs=needs)  # fmt: skip
        self._follow(self.adding(step))

    def abort(self, reason: str) -> NoReturn:
        """Undo it, and leave the block: raises SagaAborted."""
        self._follow(self.aborting_for(reason))

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """Commit, or abort if the block raised. Raises SagaAborted, OutcomeUnknown."""
        try:
            self._follow(self.leaving(error))
        finally:
            KEEPER.forget(self.lines)
            self.lines.end(decided=self.is_decided)

    def _follow(self, flow: SagaFlow[T]) -> T:
        found = follow(self.lines, flow)
        if self.is_open:
            KEEPER.keep(self.lines, self.saga)
        return found
