"""Commands that follow a sidecar for as long as they run: when it ends, they go on with the next one."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from gossipreg.errors import Busy, TooLarge, Unreachable
from gossipreg.retry import Retry

RETRIED = (Unreachable, Busy, TooLarge)
"""The sidecar ended, has no place for us now, or cut us off because we read too slowly."""
RETRY = Retry(0.05, 5.0, growth=1.6)
"""The waits between attempts."""
Followed = TypeVar("Followed")


class Again:
    def __init__(self) -> None:
        self._wait_s = RETRY.first_s

    def worked(self) -> None:
        """Something came: the waits begin anew."""
        self._wait_s = RETRY.first_s

    def begin(self, begin: Callable[[], Followed]) -> Followed:
        """Wait, then call `begin` until it succeeds; return what it returns. Raises what is not in RETRIED."""
        while True:
            time.sleep(self._wait_s)
            self._wait_s = RETRY.after(self._wait_s)
            with suppress(*RETRIED):
                return begin()
