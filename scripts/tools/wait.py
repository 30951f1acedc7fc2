"""Wait for a condition, without sleeping longer than needed, with a bound that nothing that works comes near."""

import selectors
import time
from collections.abc import Callable

from gossipreg.errors import NotSynced, Unreachable

BOUND_S = 60.0
"""Nothing that works takes so long, on any machine."""


def wait_for(
    condition: Callable[[], bool], bound_s: float = BOUND_S, pause_s: float = 0.02, *, what: str = ""
) -> float:
    """Wait until the condition holds; returns the seconds. A sidecar that does not answer yet, or is not synced, counts
    as a condition that does not hold. Raises AssertionError, which names `what`, when the bound has passed."""
    start = time.perf_counter()
    while True:
        try:
            if condition():
                return time.perf_counter() - start
        except (Unreachable, NotSynced):
            pass
        if time.perf_counter() - start > bound_s:
            raise AssertionError(f"not within {bound_s:g} s" + (f": {what}" if what else ""))
        with selectors.DefaultSelector() as selector:  # a pause that a signal ends
            selector.select(pause_s)
