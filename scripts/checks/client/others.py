"""How many cores the other programs of this machine take, second by second: what they take, nobody who is judged has.

The machine's time that is not idle (`/proc/stat`, with what its hypervisor gave to others), less the time of this
process and all that it started.
"""

import os
import threading
from pathlib import Path
from time import monotonic
from typing import Self

from scripts.checks.client.holdings import descendants

EVERY_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


class OtherPrograms:
    """A context manager: the thread that looks."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._noted: list[tuple[float, float]] = []
        """(when, how many cores since the time before)"""
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _note(self) -> None:
        before, at = _others_s(), monotonic()
        while not self._stop.wait(EVERY_S):
            others_s, now = _others_s(), monotonic()
            self._noted.append((now, max(0.0, others_s - before) / (now - at)))
            before, at = others_s, now

    def cores(self, began: float, ended: float) -> list[float]:
        """How many cores they took in each part of this time."""
        return [cores for at, cores in self._noted if began <= at <= ended]


def _others_s() -> float:
    return _machine_s() - _own_s()


def _machine_s() -> float:
    """The CPU time of all programs since the start of the machine."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, _fields(Path("/proc/stat"))[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def _own_s() -> float:
    """The CPU time of this process and all that it started; that of children which have ended is their parent's."""
    ticks = 0
    for pid in descendants(os.getpid()):
        try:
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue  # it has just ended
    return ticks / TICKS


def _fields(path: Path) -> list[str]:
    return path.read_text().partition("\n")[0].split()
