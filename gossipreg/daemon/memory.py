"""Memory that goes back to the system: what only the start needed, and what a crowd of clients took."""

import gc
import sys
from contextlib import suppress


def settle_memory() -> None:
    """Give back the memory that only the start needed, about 1 MiB. All other objects stay, so later collections need
    not look at them."""
    gc.collect()
    gc.freeze()
    give_back_memory()


def give_back_memory() -> None:
    """Give the free memory between used pieces back to the system; after a crowd of clients it can be a lot."""
    if sys.platform == "linux":
        import ctypes  # trio has loaded it

        with suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
