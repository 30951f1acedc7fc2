"""The clock of the core: seconds since boot, with those in which the machine was asleep.

It is CLOCK_BOOTTIME, so that a suspended laptop knows that it slept; on other systems than Linux the monotonic clock.
Tests hand the pump another clock.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Seconds since boot, sleep included. Never goes back."""
    return time.clock_gettime(_CLOCK)


def wall_ms() -> int:
    """Milliseconds since 1970: for generations and log lines, never for a decision about time passed."""
    return time.time_ns() // 1_000_000
