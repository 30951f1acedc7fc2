"""Functions that wait for a change: of threads, and of the loops of asyncio and trio.

There is no lock that two callers share. A signal handler may wait for a service while the thread that it interrupted
is adding a waiter, and would wait for that thread for ever. Single operations of a dict are atomic.
"""

from _thread import allocate_lock
from collections.abc import Callable
from time import monotonic

LONGEST_S = 4_000_000.0
"""Some 46 days: a lock takes no timeout that is much longer."""


class Waiters:
    def __init__(self) -> None:
        self._calls: dict[object, Callable[[], object]] = {}

    def add(self, call: Callable[[], object]) -> object:
        """Have this called at the next change, once, on the watcher's thread; return what `remove` takes."""
        token = object()
        self._calls[token] = call
        return token

    def on_change(self, call: Callable[[], object]) -> Callable[[], None]:
        """As `add`; return what cancels that."""
        token = self.add(call)
        return lambda: self.remove(token)

    def remove(self, token: object) -> None:
        self._calls.pop(token, None)

    def wake(self) -> None:
        for token in list(self._calls):
            if (call := self._calls.pop(token, None)) is not None:
                call()


def wait_until(waiters: Waiters, ready: Callable[[], bool], deadline: float, before: Callable[[], bool]) -> bool:
    """Block this thread until `ready`, which is asked at each change, or until `deadline` (of `monotonic`); return
    whether it is ready. `before` is called before each wait, and returns False if waiting is of no use. Signals are
    handled meanwhile."""
    while not ready():
        changed = allocate_lock()
        changed.acquire()
        token = waiters.add(changed.release)
        try:
            if not before() or ready():  # only now: what `before` begins may call the waiters at once
                return ready()
            left_s = deadline - monotonic()
            if left_s <= 0 or not changed.acquire(timeout=min(left_s, LONGEST_S)):
                return ready()
        finally:
            waiters.remove(token)
    return True
