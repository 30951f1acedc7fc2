"""A saga in a program, for asyncio and trio: as `saga.py`, with waiting in the loop.

    async with registry.saga("create-order") as saga:
        await saga.step("reserve", "stock", "PUT", "/reservations/{key}", undo=("DELETE", "/reservations/{key}"))

A block that is cancelled aborts its saga, in spite of the cancellation, for at most 5 s. One that is cancelled in its
end, while it commits, may be committed or not.
"""

from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any, NoReturn, Self, TypeVar

from gossipreg.client.loops import checkpoint, running_trio
from gossipreg.client.sagas.aio_caller import AsyncCaller, AsyncSagaLines, follow_in_loop
from gossipreg.client.sagas.aio_together import together
from gossipreg.client.sagas.keeper import KEEPER
from gossipreg.client.sagas.program_saga import ProgramSaga, SagaFlow
from gossipreg.client.sagas.saga import STEPS_AT_ONCE
from gossipreg.client.sagas.saga_answers import StepAnswer
from gossipreg.client.sagas.saga_call import CALL_S
from gossipreg.client.sagas.saga_step import NOT_WRITTEN, NotWritten, SagaStep, UndoGiven, checked_steps

T = TypeVar("T")


class AsyncSaga(ProgramSaga):
    """Made by `AsyncRegistry.saga`. Tasks of one loop may share it inside its block."""

    def __init__(self, caller: AsyncCaller, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._caller = caller
        self.lines: AsyncSagaLines = caller.lines()

    async def __aenter__(self) -> Self:
        """As `Saga.__enter__`."""
        await checkpoint()
        self._places = self._caller.places
        await self._places.take(monotonic() + CALL_S)
        try:
            await self._follow(self.beginning())
        except BaseException:
            self._end()
            raise
        return self

    async def step(
        self, name: str, service: str, method: str, path: str, *, json: object = NOT_WRITTEN,
        body: bytes | str | None = None, headers: Mapping[str, str] | None = None,
        undo: UndoGiven | NotWritten | None = NOT_WRITTEN, harmless: bool = False, optional: bool = False,
        timeout: float | None = None, attempt_timeout: float | None = None, unknown: str = "undo",
        needs: Iterable[str] | None = None,
    ) -> StepAnswer:  # fmt: skip
        """As `Saga.step`."""
        return await self._follow(self.taking(SagaStep(
            name, service, method, path, json, body, headers, undo, harmless, optional, timeout, attempt_timeout,
            unknown, needs,
        )))  # fmt: skip

    async def steps(self, steps: Iterable[SagaStep]) -> list[StepAnswer]:
        """As `Saga.steps`."""
        checked = checked_steps(steps)
        for step in checked:
            step.template()
        answers: list[StepAnswer | None] = [None] * len(checked)
        errors: list[BaseException | None] = [None] * len(checked)
        waiting = iter(range(len(checked)))

        async def work() -> None:
            for index in waiting:
                try:
                    answers[index] = await self._follow(self.taking(checked[index]))
                except Exception as error:
                    errors[index] = error

        await together([work] * min(len(checked), STEPS_AT_ONCE))
        for error in filter(None, errors):
            raise error
        return [answer for answer in answers if answer is not None]

    async def after(
        self, name: str, service: str, method: str, path: str, *, json: object = NOT_WRITTEN,
        body: bytes | str | None = None, headers: Mapping[str, str] | None = None,
        attempt_timeout: float | None = None, needs: Iterable[str] | None = None,
    ) -> None:  # fmt: skip
        """As `Saga.after`."""
        step = SagaStep(name, service, method, path, json, body, headers, None,
                        attempt_timeout=attempt_timeout, needs=needs)  # fmt: skip
        await self._follow(self.adding(step))

    async def abort(self, reason: str) -> NoReturn:
        """As `Saga.abort`."""
        await self._follow(self.aborting_for(reason))

    async def __aexit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """As `Saga.__exit__`."""
        try:
            if error is None:
                try:
                    await checkpoint()
                except BaseException as cancelled:
                    await self._abort_for(cancelled)
                    raise
                await self._follow(self.leaving(None))
            else:
                await self._abort_for(error)
        finally:
            if not self.is_inherited:
                self._end()

    async def _abort_for(self, error: BaseException) -> None:
        trio = running_trio()
        if trio is None:  # asyncio has delivered its cancellation, and goes on
            await self._follow(self.leaving(error))
            return
        with trio.CancelScope(shield=True):
            await self._follow(self.leaving(error))

    async def _follow(self, flow: SagaFlow[T]) -> T:
        found = await follow_in_loop(self.lines, flow)
        if self.is_open:
            KEEPER.keep(self.lines, self.saga)
        return found

    def _end(self) -> None:
        KEEPER.forget(self.lines)
        self.lines.end(decided=self.is_decided)
        self._places.give_back()
