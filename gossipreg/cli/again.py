"""Commands that go on when a sidecar ends, or a leader is away for a moment: attempts with waits between.

Owns: the waits, and until when there is another attempt. Never knows: what is tried.
"""

import time
from collections.abc import Callable
from math import inf
from typing import TypeVar

from gossipreg.errors import Busy, GossipregError, TooLarge, Unreachable
from gossipreg.retry import Retry

RETRIED: tuple[type[GossipregError], ...] = (Unreachable, Busy, TooLarge)
"""The sidecar ended, has no place for us now, or cut us off because we read too slowly."""
RETRY = Retry(0.05, 5.0, growth=1.6)
"""The waits of commands that follow a sidecar for as long as they run."""
Result = TypeVar("Result")


class Again:
    def __init__(
        self, retried: tuple[type[GossipregError], ...] = RETRIED, retry: Retry = RETRY, until: float = inf,
        *, sleep: Callable[[float], None] | None = None,
    ) -> None:  # fmt: skip
        """`retried`: the errors after which there is another attempt. None begins later than `until` (monotonic).
        `sleep(seconds)` waits between attempts, and may raise what ends them."""
        self._retried = retried
        self._retry = retry
        self._until = until
        self._sleep = sleep or time.sleep
        self._wait_s = retry.first_s

    def worked(self) -> None:
        """Something came: the waits begin anew."""
        self._wait_s = self._retry.first_s

    def begin(self, begin: Callable[[], Result]) -> Result:
        """Wait, then call `begin` until it succeeds; return what it returns. Raises what is not retried, and each error
        when the time is up."""
        self._wait()
        return self._attempts(begin)

    def ask(self, ask: Callable[[], Result]) -> Result:
        """As `begin`, at once: an answer counts as something that came."""
        found = self._attempts(ask)
        self.worked()
        return found

    def _attempts(self, attempt: Callable[[], Result]) -> Result:
        while True:
            try:
                return attempt()
            except self._retried:
                if time.monotonic() + self._wait_s >= self._until:
                    raise
            self._wait()

    def _wait(self) -> None:
        self._sleep(self._wait_s)
        self._wait_s = self._retry.after(self._wait_s)
