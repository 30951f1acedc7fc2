"""Waiting in asyncio or in trio, whichever runs here: for an event that another thread sets, with a timeout."""

import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class LoopEvent(NamedTuple):
    set: Callable[[], None]
    """Any thread may call this, once or more."""
    wait: Callable[[float], Awaitable[None]]
    """Return when it is set, or after so many seconds."""


def loop_event() -> LoopEvent:
    """An event of the running loop. Raises RuntimeError if none runs."""
    trio = running_trio()
    return _asyncio_event() if trio is None else _trio_event(trio)


async def checkpoint() -> None:
    """Let trio run other tasks and cancel this one, as each of its own functions does. Nothing in asyncio."""
    trio = running_trio()
    if trio is not None:
        await trio.lowlevel.checkpoint()


async def wait_for_changes(
    on_change: Callable[[Callable[[], None]], Callable[[], object]], ready: Callable[[], bool], timeout_s: float,
    before: Callable[[], bool] = lambda: True,
) -> bool:  # fmt: skip
    """Wait until `ready`, which is asked at each change; return whether it is ready in time. `on_change(call)` has
    `call` called once, at the next change, from any thread, and returns what cancels that. `before` is called before
    each wait, and returns False if waiting is of no use."""
    await checkpoint()
    deadline = monotonic() + timeout_s
    while not ready():
        event = loop_event()
        cancel = on_change(event.set)
        try:
            left_s = deadline - monotonic()
            if not before() or ready() or left_s <= 0:
                return ready()
            await event.wait(left_s)
        finally:
            cancel()
    return True


async def sleep(delay_s: float) -> None:
    trio = running_trio()
    if trio is not None:
        await trio.sleep(delay_s)
    else:
        import asyncio

        await asyncio.sleep(delay_s)


async def wait_ready(descriptor: int, timeout_s: float, *, to_write: bool = False) -> None:
    """Return when this can be read, or written, or after so many seconds."""
    trio = running_trio()
    if trio is not None:
        with trio.move_on_after(timeout_s):
            await (trio.lowlevel.wait_writable if to_write else trio.lowlevel.wait_readable)(descriptor)
        return
    import asyncio

    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if to_write else (loop.add_reader, loop.remove_reader)

    def set() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await ready
    finally:
        remove(descriptor)


class LoopTasks(NamedTuple):
    """Starts tasks in one loop, from any thread."""

    start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
    """Raises RuntimeError if the loop has ended."""
    is_over: Callable[[], bool]
    """Whether the loop has ended."""


def loop_tasks() -> LoopTasks:
    """Of the running loop. Raises RuntimeError if none runs."""
    trio = running_trio()
    return _asyncio_tasks() if trio is None else _trio_tasks(trio)


async def within(timeout_s: float, run: Callable[[A], Awaitable[T]], argument: A) -> T:
    """Run this; raise TimeoutError, and cancel it, if it has not ended after `timeout_s`."""
    trio = running_trio()
    if trio is None:
        import asyncio

        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await run(argument)
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"not ended within {timeout_s:.3g} s") from error  # the error of asyncio has no text
            raise
    try:
        with trio.fail_after(timeout_s):
            return await run(argument)
    except trio.TooSlowError as error:
        raise TimeoutError(f"not ended within {timeout_s:.3g} s") from error


def running_trio() -> Any:
    """The module trio, if a loop of trio runs here; else None."""
    trio: Any = sys.modules.get("trio")
    return trio if trio is not None and _in_trio(trio) else None


def _in_trio(trio: Any) -> bool:
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


def _trio_event(trio: Any) -> LoopEvent:
    event, token = trio.Event(), trio.lowlevel.current_trio_token()

    def set() -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(event.set)

    async def wait(timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            await event.wait()

    return LoopEvent(set, wait)


def _asyncio_event() -> LoopEvent:
    import asyncio

    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def set() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(event.set)

    async def wait(timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):  # `wait_for` of Python 3.11 may lose a cancellation
                await event.wait()

    return LoopEvent(set, wait)


def _trio_tasks(trio: Any) -> LoopTasks:
    token = trio.lowlevel.current_trio_token()

    def is_over() -> bool:
        try:
            token.run_sync_soon(lambda: None)
        except trio.RunFinishedError:
            return True
        return False

    return LoopTasks(lambda run: token.run_sync_soon(trio.lowlevel.spawn_system_task, run), is_over)


def _asyncio_tasks() -> LoopTasks:
    import asyncio

    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()  # the loop itself would forget them

    def begin(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = loop.create_task(run())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def start(run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop.call_soon_threadsafe(begin, run)

    return LoopTasks(start, loop.is_closed)
