"""The clock of the core: seconds since boot, with those in which the machine was asleep.

It is CLOCK_BOOTTIME, so that a suspended laptop knows that it slept; on other systems than Linux the monotonic clock.
Tests hand the pump another clock.
"""

import time
from functools import partial

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


boot_s = partial(time.clock_gettime, _CLOCK)
"""Seconds since boot, sleep included. Never goes back. Each turn of the pump asks several times."""


def wall_ms() -> int:
    """Milliseconds since 1970: for generations and log lines, never for a decision about time passed."""
    return time.time_ns() // 1_000_000
