"""Turns inside trio's wait, in the real time of real sockets: nothing here asserts how long something takes."""

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from math import inf
from time import monotonic

import pytest
import trio
from trio.abc import Instrument
from trio.testing import MockClock

from gossipreg.daemon.turns_in_wait import take_turns_in_wait

LIMIT_S = 20.0
"""After this the test has failed: what it waits for does not come."""


class NotedTurns:
    """Turns that read a socket, and note what they found."""

    def __init__(self) -> None:
        self.ours, self.peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ours.setblocking(False)
        self.peer.setblocking(False)
        self.due = inf
        self.found: list[bytes] = []
        self.turns = 0
        self.last = False
        self.do: Callable[[], object] = lambda: None

    def due_in_s(self) -> float:
        return self.due - monotonic()

    def take_turn(self) -> bool:
        self.turns += 1
        if self.due <= monotonic():
            self.due = inf
        with suppress(BlockingIOError):
            self.found.append(self.ours.recv(100))
        self.do()
        return not self.last

    def close(self) -> None:
        self.ours.close()
        self.peer.close()


class Steps(Instrument):
    """How often a task ran."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002  # of the interface
        self.count += 1


def trios_manager() -> object:
    from trio._core._run import GLOBAL_RUN_CONTEXT

    return GLOBAL_RUN_CONTEXT.runner.io_manager


@asynccontextmanager
async def taking(*all_turns: NotedTurns) -> AsyncIterator[trio.Nursery]:
    """Turns are taken; the end of the test cancels that."""
    try:
        with trio.fail_after(LIMIT_S):
            async with trio.open_nursery() as nursery:
                for turns in all_turns:
                    nursery.start_soon(take_turns_in_wait, turns, turns.ours.fileno())
                await trio.testing.wait_all_tasks_blocked()
                yield nursery
                nursery.cancel_scope.cancel()
    finally:
        for turns in all_turns:
            turns.close()


async def woken_by(turns: NotedTurns, begin: Callable[[], object]) -> None:
    """Begin something, and return when a turn says so."""
    woken = trio.Event()
    turns.do = woken.set
    begin()
    await woken.wait()


def after(turns: NotedTurns, seconds: float) -> None:
    turns.due = monotonic() + seconds


async def test_a_datagram_gets_a_turn_that_may_wake_a_task() -> None:
    turns = NotedTurns()
    async with taking(turns):
        await woken_by(turns, partial(turns.peer.send, b"ping"))
        assert (turns.found, turns.turns) == ([b"ping"], 1)


async def test_a_due_time_gets_a_turn_that_may_wake_a_task() -> None:
    turns = NotedTurns()
    async with taking(turns):
        await woken_by(turns, partial(after, turns, 0.01))
        assert (turns.found, turns.turns) == ([], 1)


async def test_a_due_time_that_a_task_sets_while_others_run_counts() -> None:
    turns = NotedTurns()
    after(turns, 3600)
    async with taking(turns):
        await woken_by(turns, partial(after, turns, 0))
        assert turns.turns == 1


async def test_turns_run_no_task_of_trio() -> None:
    turns, steps = NotedTurns(), Steps()
    woken = trio.Event()
    counts: list[int] = []

    def go_on() -> None:
        counts.append(steps.count)
        if len(turns.found) < 50:
            turns.peer.send(b"%d" % len(turns.found))
            after(turns, 0.001)
        else:
            woken.set()

    turns.do = go_on
    async with taking(turns):
        trio.lowlevel.add_instrument(steps)
        turns.peer.send(b"first")
        await woken.wait()
        trio.lowlevel.remove_instrument(steps)
    assert len(counts) >= 50
    assert set(counts[1:]) == {counts[0]}


async def test_a_deadline_that_a_turn_sets_is_kept() -> None:
    turns = NotedTurns()
    async with taking(turns):
        with trio.CancelScope(deadline=trio.current_time() + 3600) as scope:

            def sooner() -> None:
                scope.deadline = trio.current_time() + 0.01

            turns.do = sooner
            turns.peer.send(b"sooner")
            await trio.sleep_forever()
        assert scope.cancelled_caught
        assert turns.turns == 1


async def test_a_turn_may_start_a_task() -> None:
    turns, ran = NotedTurns(), trio.Event()

    async def task() -> None:
        ran.set()

    async with taking(turns) as nursery:
        turns.do = partial(nursery.start_soon, task)
        turns.peer.send(b"start")
        await ran.wait()


async def test_a_flood_keeps_neither_descriptors_nor_deadlines_of_trio_back() -> None:
    turns = NotedTurns()
    turns.do = partial(turns.peer.send, b"and another")
    one, other = trio.socket.socketpair()
    with one, other:
        async with taking(turns):
            turns.peer.send(b"first")
            await trio.sleep(0.01)
            before = turns.turns
            await one.send(b"x")
            assert await other.recv(1) == b"x"
            await trio.sleep(0.01)
            assert turns.turns > before > 0


async def test_tasks_that_are_always_runnable_do_not_keep_turns_back() -> None:
    turns = NotedTurns()
    async with taking(turns):
        after(turns, 0.01)
        while not turns.turns:
            await trio.lowlevel.checkpoint()
        turns.peer.send(b"ping")
        while not turns.found:
            await trio.lowlevel.checkpoint()


async def test_a_thread_wakes_trio_during_the_wait() -> None:
    turns = NotedTurns()
    async with taking(turns):
        assert await trio.to_thread.run_sync(lambda: trio.from_thread.run_sync(lambda: 7)) == 7


async def test_a_signal_wakes_trio_during_the_wait() -> None:
    turns = NotedTurns()
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        async with taking(turns):
            turns.do = partial(os.kill, os.getpid(), signal.SIGUSR1)
            turns.peer.send(b"signal")
            assert await anext(aiter(signals)) == signal.SIGUSR1


async def test_two_take_turns_in_one_run() -> None:
    one, other = NotedTurns(), NotedTurns()
    async with taking(one, other):
        await woken_by(one, partial(one.peer.send, b"1"))
        await woken_by(other, partial(after, other, 0.01))
        await woken_by(other, partial(other.peer.send, b"2"))
        assert (one.found, other.found) == ([b"1"], [b"2"])


async def test_the_last_turn_ends_it_and_trio_waits_for_itself_again() -> None:
    before = trios_manager()
    turns, results = NotedTurns(), list[bool]()

    async def take() -> None:
        results.append(await take_turns_in_wait(turns, turns.ours.fileno()))

    async with taking(), trio.open_nursery() as nursery:
        nursery.start_soon(take)
        await trio.testing.wait_all_tasks_blocked()
        assert trios_manager() is not before
        turns.last = True
        turns.peer.send(b"last")
    turns.close()
    assert (results, turns.turns, trios_manager()) == ([True], 1, before)


async def test_a_cancelled_one_leaves_trio_as_it_was() -> None:
    before = trios_manager()
    one, other = NotedTurns(), NotedTurns()
    async with taking(one, other):
        assert trios_manager() is not before
    assert trios_manager() is before


async def test_what_a_turn_raises_is_raised_by_the_task() -> None:
    turns = NotedTurns()

    def fail() -> None:
        raise ZeroDivisionError("a bug in a turn")

    turns.do = fail
    turns.peer.send(b"ping")
    try:
        with trio.fail_after(LIMIT_S), pytest.raises(ZeroDivisionError, match="a bug in a turn"):
            await take_turns_in_wait(turns, turns.ours.fileno())
    finally:
        turns.close()
    assert turns.turns == 1


async def test_what_due_in_s_raises_is_raised_by_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was an internal error of trio, which does not name what failed."""
    before = trios_manager()

    def fail(_: NotedTurns) -> float:
        raise ZeroDivisionError("a bug in a deadline")

    monkeypatch.setattr(NotedTurns, "due_in_s", fail)
    turns = NotedTurns()
    try:
        with trio.fail_after(LIMIT_S), pytest.raises(ZeroDivisionError, match="a bug in a deadline"):
            await take_turns_in_wait(turns, turns.ours.fileno())
    finally:
        turns.close()
    assert (turns.turns, trios_manager()) == (0, before)


async def test_without_a_descriptor_no_turn_is_taken() -> None:
    turns = NotedTurns()
    assert not await take_turns_in_wait(turns, None)
    turns.close()
    assert turns.turns == 0


async def test_virtual_time_takes_no_turns(autojump_clock: MockClock) -> None:  # noqa: ARG001
    turns = NotedTurns()
    assert not await take_turns_in_wait(turns, turns.ours.fileno())
    turns.close()
    assert turns.turns == 0


@pytest.mark.parametrize("missing", ["GLOBAL_RUN_CONTEXT", "SystemClock"])
async def test_a_trio_without_a_name_takes_no_turns(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = NotedTurns()
    with monkeypatch.context() as patch:
        patch.delattr(f"trio._core._run.{missing}")
        found = take_turns_in_wait(turns, turns.ours.fileno())
        with pytest.raises(StopIteration) as ended:
            found.send(None)
    turns.close()
    assert (ended.value.value, turns.turns) == (False, 0)
