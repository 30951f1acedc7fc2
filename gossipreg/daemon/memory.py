"""Memory that goes back to the system: what only the start needed, and what a crowd of clients took."""

import gc
import sys
from contextlib import suppress

THRESHOLD = gc.get_threshold()[0]
"""Objects that are made between two collections: Python's own choice, 700 in most releases."""
START_THRESHOLD = 10_000
"""The same during a start."""


def collect_seldom() -> None:
    """Look for garbage seldom until `settle_memory`: nearly all that a start makes stays, and looking for the rest
    takes 7 % of its CPU time. Without any collection the sidecar would keep 0.9 MiB more."""
    gc.set_threshold(START_THRESHOLD)


def settle_memory() -> None:
    """Give back the memory that only the start or the join needed, about 1 MiB. Nearly all other objects stay, so later
    collections need not look at them."""
    gc.set_threshold(THRESHOLD)
    gc.collect()
    gc.freeze()
    give_back_memory()


def give_back_memory() -> None:
    """Give the free memory between used pieces back to the system; after a crowd of clients it can be a lot."""
    if sys.platform == "linux":
        import ctypes  # trio has loaded it

        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
