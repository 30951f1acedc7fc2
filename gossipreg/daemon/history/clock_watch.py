"""The clocks of the history, and whether the wall clock was set: then it moves by other steps than the one that only
runs."""

import time
from collections.abc import Callable

from gossipreg.daemon.clock import boot_s

SET_BY_S = 1.0
"""Less is the drift that a time server corrects."""
KEEP_AFTER_SET_S = 3600.0
"""For so long after the start, and after the clock was set, no line is thrown away for its age: the clock may be wrong,
and be set back yet."""


class ClockWatch:
    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = boot_s) -> None:
        """Both clocks in seconds; `monotonic` never goes back."""
        self.wall = wall
        self.monotonic = monotonic
        self._ahead_s = wall() - monotonic()
        self._set_at = monotonic()

    def set_by(self) -> float:
        """By how much the wall clock was set since the last call, in seconds; 0: it was not. To be called every few
        seconds."""
        now = self.monotonic()
        ahead_s = self.wall() - now
        by_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        if abs(by_s) < SET_BY_S:
            return 0.0
        self._set_at = now
        return by_s

    def keep_from(self, keep_s: float) -> float | None:
        """The wall time from which on lines are kept for `keep_s`; None: all are, for now."""
        if self.monotonic() - self._set_at < KEEP_AFTER_SET_S:
            return None
        return self.wall() - keep_s
