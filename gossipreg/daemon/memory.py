"""Memory that goes back to the system: what only the start needed, and what a crowd of clients took."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

THRESHOLD = gc.get_threshold()[0]
"""Objects that are made between two collections: Python's own choice, 700 in most releases."""
START_THRESHOLD = 10_000
"""The same during a start."""


def collect_seldom() -> None:
    """Look for garbage seldom until `settle_memory`: nearly all that a start makes stays, and looking for the rest
    takes 7 % of its CPU time. Without any collection the sidecar would keep 0.9 MiB more."""
    gc.set_threshold(START_THRESHOLD)


@contextmanager
def settling() -> Iterator[None]:
    """While this block runs, what outlives a full search for garbage is not searched again. A member that joins makes
    many objects, and nearly all of them stay: searching a table of 100,000 services takes 0.1 s, in which nobody gets
    an answer, and each search of all of it is longer than the one before."""
    gc.callbacks.append(_freeze_what_stays)
    try:
        yield
    finally:
        gc.callbacks.remove(_freeze_what_stays)


def _freeze_what_stays(phase: str, info: dict[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


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
