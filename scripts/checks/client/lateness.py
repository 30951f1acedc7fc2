"""How late this machine is: a thread that wants to sleep for a moment, and notes how much longer that took.

What is late here is late in every program. So it tells a slow client from a machine that has no time.
"""

import threading
from time import monotonic
from typing import Self

SLEEP_S = 0.02


class Lateness:
    """A context manager."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._noted: list[tuple[float, float]] = []
        """(when, by how many seconds)"""
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _note(self) -> None:
        before = monotonic()
        while not self._stop.wait(SLEEP_S):
            now = monotonic()
            self._noted.append((now, max(0.0, now - before - SLEEP_S)))
            before = now

    def between(self, began: float, ended: float) -> list[float]:
        """By how many seconds each sleep was late that ended in this time."""
        return [late_s for at, late_s in self._noted if began <= at <= ended]
