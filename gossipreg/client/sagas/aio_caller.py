"""Makes the calls of sagas, for asyncio and trio: as `saga_caller.py`, with waiting in the loop.

Owns: how many sagas of loops run at once, and the tasks that wait for a connection of their saga.
"""

import os
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any, TypeVar

from gossipreg.client.events.aio_publisher import AsyncPlaces, call_in_loop
from gossipreg.client.events.publisher import RegistryClient
from gossipreg.client.loops import LoopEvent, loop_event, sleep
from gossipreg.client.pool import Loan, StreamPool
from gossipreg.client.sagas.program_saga import SagaFlow
from gossipreg.client.sagas.saga_call import ProgramCall
from gossipreg.client.sagas.saga_caller import FURTHER, SAGAS_AT_ONCE
from gossipreg.client.sagas.saga_lines import SagaLines, none_free
from gossipreg.errors import Busy, GossipregError, Unreachable

T = TypeVar("T")


class AsyncSagaLines(SagaLines):
    """As `SagaLines`. The thread of `keeper.py` may use it too."""

    def __init__(self, pool: StreamPool, further: StreamPool) -> None:
        super().__init__(pool, further)
        self._waiting: deque[LoopEvent] = deque()

    async def take_in_loop(self, deadline: float) -> Loan:
        """As `take`."""
        while (loan := self.take_now(monotonic())) is None:
            if monotonic() >= deadline:
                raise none_free()
            event = loop_event()
            self._waiting.append(event)
            try:
                if not self.has_free:
                    await event.wait(max(0.0, deadline - monotonic()))
            except BaseException:
                self._wake()  # the connection that it was woken for is another's
                raise
            finally:
                with suppress(ValueError):
                    self._waiting.remove(event)
        return loan

    def is_cut(self) -> bool:
        """As `SagaLines.is_cut`."""
        is_cut = super().is_cut()
        self._wake()  # a task may wait for what was looked at
        return is_cut

    def give(self, loan: Loan) -> None:
        """As `SagaLines.give`."""
        super().give(loan)
        self._wake()

    def _wake(self) -> None:
        with suppress(IndexError):
            self._waiting.popleft().set()


class AsyncCaller:
    def __init__(self, client: RegistryClient) -> None:
        self._pool = StreamPool(client.open, open_max=SAGAS_AT_ONCE, idle_max=SAGAS_AT_ONCE)
        self._further = StreamPool(client.open, open_max=FURTHER, idle_max=FURTHER)
        self._places: dict[int, AsyncPlaces] = {}
        """By process: a forked child begins anew."""

    def lines(self) -> AsyncSagaLines:
        return AsyncSagaLines(self._pool, self._further)

    @property
    def places(self) -> AsyncPlaces:
        """One for each saga, and for each call without one, so that its first connection never waits for another."""
        pid = os.getpid()
        return self._places.get(pid) or self._places.setdefault(pid, AsyncPlaces(SAGAS_AT_ONCE, "calls about sagas"))

    async def call(self, call: ProgramCall) -> Any:
        """As `ProgramCaller.call`, over any connection."""
        places, lines = self.places, self.lines()
        await places.take(call.deadline)
        try:
            return await call_over_in_loop(lines, call)
        finally:
            lines.end(decided=True)
            places.give_back()

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()
        self._further.close()


async def follow_in_loop(lines: AsyncSagaLines, flow: SagaFlow[T]) -> T:
    """As `saga_caller.follow`."""
    try:
        call = next(flow)
        while True:
            try:
                result = await call_over_in_loop(lines, call)
            except GossipregError as error:
                call = flow.throw(error)
            else:
                call = flow.send(result)
    except StopIteration as over:
        found: T = over.value
        return found


async def call_over_in_loop(lines: AsyncSagaLines, call: ProgramCall) -> Any:
    while True:
        try:
            loan = await lines.take_in_loop(call.deadline)
        except (Unreachable, Busy) as error:
            await sleep(call.unsent(error, monotonic()))
            continue
        try:
            return await call_in_loop(loan.stream, call.method, call.params, call.deadline)
        except GossipregError as error:
            wait_s = call.failed(error, monotonic())
        finally:
            lines.give(loan)
        await sleep(wait_s)
