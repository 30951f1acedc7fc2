"""Turns inside trio's own wait: what a datagram or a timer of the node asks for is done without a task that wakes up.

Owns: the wait for input of a trio run in which somebody takes turns. Never knows what a turn does.

A turn of trio that begins with a datagram calls 40 functions of trio, one that begins with a deadline 100, and most
datagrams and timers of a sidecar wake nobody else. So the descriptor of the socket is registered in trio's epoll, and
what stands in place of trio's I/O manager takes the turns while it waits. It returns to trio when a descriptor of trio
is ready, a deadline of trio has come, or a turn has made a task runnable. A turn therefore has no current task: it may
set events, cancel scopes and start tasks in a nursery, but nothing that asks who calls.

The names that this takes from trio are private (tried with trio 0.27 to 0.35). Where one is missing, where the clock or
the I/O manager is another, and in guest mode, whose wait is in a thread, `take_turns_in_wait` says so.
"""

import select
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, Protocol

import trio

MORE_EVENTS = 64
"""Events that one wait may return beyond those of trio's descriptors: for ours, and for its own wake-up."""


class Turns(Protocol):
    def due_in_s(self) -> float:
        """Seconds until the next turn is due if the descriptor stays silent; 0 or less: now."""

    def take_turn(self) -> bool:
        """Take a turn. Returns False if there is no next one."""


async def take_turns_in_wait(turns: Turns, descriptor: int | None) -> bool:
    """Have turns taken whenever the descriptor is ready or a turn is due, until `take_turn` returns False. Raises what
    they raise. Returns False at once, without a turn, where trio does not allow it, or without a descriptor."""
    wait = _wait_with_turns() if descriptor is not None else None
    if wait is None or descriptor is None:
        return False
    taker = _Taker(turns)
    wait.add(descriptor, taker)
    try:
        await taker.over.wait()
    finally:
        wait.remove(descriptor)
    if taker.failure is not None:
        raise taker.failure
    return True


class _Taker:
    def __init__(self, turns: Turns) -> None:
        self.over = trio.Event()
        self.failure: Exception | None = None
        """Raised by the task that waits for the end. Raised here it would be an internal error of trio."""
        self._due_in_s = turns.due_in_s
        self._take_turn = turns.take_turn

    def due_in_s(self) -> float:
        try:
            return self._due_in_s()
        except Exception as failure:
            self.failure = failure
            self.over.set()
            return 0.0

    def take(self) -> None:
        if self.over.is_set():
            return
        try:
            if self._take_turn():
                return
        except Exception as failure:
            self.failure = failure
        self.over.set()


class _WaitWithTurns:
    """In place of trio's I/O manager, which does all but the wait."""

    def __init__(self, runner: Any) -> None:
        self.trios: Any = runner.io_manager
        self._runner = runner
        self._runnable = runner.runq
        self._epoll = self.trios._epoll
        self._waited_for = self.trios._registered
        self._takers: dict[int, _Taker] = {}
        self._next_deadline: Callable[[], float] = runner.deadlines.next_deadline
        self._until: Callable[[float], float] = runner.clock.deadline_to_sleep_time
        self.process_events = self.trios.process_events
        self.wait_readable = self.trios.wait_readable
        self.wait_writable = self.trios.wait_writable

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trios, name)

    def add(self, descriptor: int, taker: _Taker) -> None:
        self._epoll.register(descriptor, select.EPOLLIN)
        self._takers[descriptor] = taker
        self._runner.io_manager = self

    def remove(self, descriptor: int) -> None:
        del self._takers[descriptor]
        with suppress(OSError):  # closed already
            self._epoll.unregister(descriptor)
        if not self._takers:
            self._runner.io_manager = self.trios

    def get_events(self, timeout: float) -> list[tuple[int, int]]:
        """As trio's own: the events of its descriptors, after `timeout` seconds at the latest."""
        until, left = perf_counter() + timeout, timeout
        while True:
            dues = {descriptor: taker.due_in_s() for descriptor, taker in self._takers.items()}
            sleep_s = max(0.0, min(left, *dues.values()))
            events: list[tuple[int, int]] = self._epoll.poll(sleep_s, len(self._waited_for) + MORE_EVENTS)
            ready = [descriptor for descriptor, _ in events if descriptor in dues]
            for descriptor, due_in_s in dues.items():
                if due_in_s <= 0 or descriptor in ready or (not events and due_in_s <= sleep_s):
                    self._takers[descriptor].take()
            if ready:
                events = [event for event in events if event[0] not in ready]
            if events or self._runnable or timeout <= 0:
                return events
            left = min(until - perf_counter(), self._until(self._next_deadline()))  # a turn may have set a deadline
            if left <= 0:
                return []


def _wait_with_turns() -> _WaitWithTurns | None:
    """The wait of the present run, or None where it cannot be had."""
    try:
        from trio._core._io_epoll import EpollIOManager
        from trio._core._run import GLOBAL_RUN_CONTEXT, SystemClock

        runner: Any = GLOBAL_RUN_CONTEXT.runner
        manager: Any = runner.io_manager
        if isinstance(manager, _WaitWithTurns):
            return manager
        if runner.is_guest or type(runner.clock) is not SystemClock or type(manager) is not EpollIOManager:
            return None
        return _WaitWithTurns(runner)
    except (ImportError, AttributeError):
        return None
