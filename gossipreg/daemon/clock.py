"""The clock of the core: seconds since boot, with those in which the machine was asleep.

CLOCK_BOOTTIME, so that a suspended laptop knows that it slept. Where there is none (not Linux) the monotonic clock
has to do. Tests hand the pump another clock.
"""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_s() -> float:
    """Seconds since boot, sleep included. Never goes back."""
    return time.clock_gettime(_CLOCK)


def wall_ms() -> int:
    """Milliseconds since 1970: for generations and log lines, never for a decision about time passed."""
    return time.time_ns() // 1_000_000
