"""A few tasks of which the first that ends well counts, in asyncio and in trio.

    async with racing() as race:
        race.start(run, argument)
        if not await race.wait(0.1):
            race.start(run, other)
            await race.wait(None)
        result = race.take()

What still runs at the end of the block is cancelled, and has ended when the block is left. Results and errors that
nobody took are in the list that was given to `racing`.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from gossipreg.client.loops import LoopEvent, loop_event, running_trio

T = TypeVar("T")
A = TypeVar("A")
Ended = tuple[T | None, BaseException | None]
"""(result, None), or (None, what was raised)."""
LONGEST_S = 1_000_000.0


class Race(Generic[T]):
    """Made by `racing`."""

    def __init__(self, spawn: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        self._spawn = spawn
        self._ended: deque[Ended[T]] = deque()
        self._event: LoopEvent = loop_event()

    def start(self, run: Callable[[A], Awaitable[T]], argument: A) -> None:
        async def runner() -> None:
            try:
                self._ended.append((await run(argument), None))
            except BaseException as error:  # a cancellation too: `run` may have awaited what somebody else cancelled
                self._ended.append((None, error))
                if not isinstance(error, Exception):
                    raise
            finally:
                self._event.set()

        self._spawn(runner)

    async def wait(self, timeout_s: float | None) -> bool:
        """Wait until one has ended that was not taken; return whether one has."""
        if not self._ended:
            await self._event.wait(LONGEST_S if timeout_s is None else timeout_s)
        if not self._ended:
            return False
        self._event = loop_event()
        return True

    def take(self) -> T:
        """The result of the next that has ended; raises what it raised."""
        result, error = self._ended.popleft()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def untaken(self) -> list["Ended[T]"]:
        """How those ended that were not taken."""
        return list(self._ended)


@asynccontextmanager
async def racing(late: list[Ended[Any]]) -> AsyncIterator[Race[Any]]:
    """`late`: gets how those ended that were not taken."""
    trio: Any = running_trio()
    if trio is not None:
        async with trio.open_nursery() as nursery:
            raised: BaseException | None = None
            race = Race[Any](nursery.start_soon)
            try:
                yield race
            except Exception as error:  # not out of the nursery: it would come as a group
                raised = error
            nursery.cancel_scope.cancel()
        late += race.untaken()
        if raised is not None:
            raise raised
        return
    import asyncio

    tasks: list[asyncio.Task[None]] = []

    def spawn(runner: Callable[[], Any]) -> None:
        tasks.append(asyncio.get_running_loop().create_task(runner()))

    race = Race[Any](spawn)
    try:
        yield race
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        late += race.untaken()
