"""When a part without a clock is advanced: at its deadline, at another one once it is woken, later after a failure."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from types import SimpleNamespace

import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.daemon.part_timers import PartTimers
from gossipreg.daemon.pump import AFTER_BUG_S


class Part:
    """Notes when it is advanced."""

    def __init__(self) -> None:
        self.due = inf
        self.advanced: list[float] = []
        self.fails = 0
        self.bugs: list[str] = []
        pump = SimpleNamespace(now=lambda: trio.current_time() + 1000.0, bug=lambda where, _: self.bugs.append(where))
        self.timers = PartTimers(pump, "part", deadline=lambda: self.due, advance=self._advance)  # type: ignore[arg-type]
        self.began = 0.0

    def _advance(self, now: float) -> None:
        self.advanced.append(round(now - self.began, 6))
        if self.fails:
            self.fails -= 1
            raise ValueError("oh")
        self.due = inf

    def set(self, after_s: float) -> None:
        self.due = self.began + after_s
        self.timers.wake()


@asynccontextmanager
async def running() -> AsyncIterator[Part]:
    part = Part()
    part.began = trio.current_time() + 1000.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(part.timers.run)
        await trio.testing.wait_all_tasks_blocked()
        yield part
        nursery.cancel_scope.cancel()


async def test_a_part_is_advanced_when_it_is_due(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with running() as part:
        part.set(5.0)
        await trio.sleep(4.9)
        assert part.advanced == []
        await trio.sleep(0.2)
        part.set(7.0)
        await trio.sleep(10.0)
        assert part.advanced == [5.0, 7.0]


async def test_a_part_that_is_woken_is_advanced_at_its_new_time(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with running() as part:
        part.set(5.0)
        part.set(2.0)
        await trio.sleep(3.0)
        part.set(20.0)
        part.set(30.0)
        await trio.sleep(40.0)
        assert part.advanced == [2.0, 30.0]


async def test_a_part_that_is_never_due_is_left_alone(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with running() as part:
        part.set(5.0)
        part.due = inf
        part.timers.wake()
        await trio.sleep(1000.0)
        assert part.advanced == []


async def test_a_part_that_fails_is_advanced_again_a_little_later(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with running() as part:
        part.fails = 2
        part.set(5.0)
        await trio.sleep(10.0)
        assert part.advanced == [5.0, 5.0 + AFTER_BUG_S, 5.0 + 2 * AFTER_BUG_S]
        assert part.bugs == ["part", "part"]


async def test_to_wake_a_part_before_it_runs_is_harmless(autojump_clock: MockClock) -> None:
    del autojump_clock
    part = Part()
    part.set(1.0)
    assert part.advanced == []
