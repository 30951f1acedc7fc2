"""How many cores the other programs of this machine take, and how many are idle, second by second.

Others: the machine's time that is not idle (`/proc/stat`, with what its hypervisor gave to others), less the time of
this process and all that it started. If nothing is idle, what is slow has waited for a core.
"""

import os
import threading
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Self

from scripts.checks.client.holdings import descendants

EVERY_S = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


class Cores(NamedTuple):
    at: float
    """The end of the time that this is about."""
    others: float
    idle: float


class OtherPrograms:
    """A context manager: the thread that looks."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._noted: list[Cores] = []
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _note(self) -> None:
        busy_s, idle_s = _machine_s()
        own_s, at = _own_s(), monotonic()
        while not self._stop.wait(EVERY_S):
            now, (busy_now_s, idle_now_s), own_now_s = monotonic(), _machine_s(), _own_s()
            others_s = busy_now_s - busy_s - (own_now_s - own_s)
            self._noted.append(Cores(now, max(0.0, others_s) / (now - at), (idle_now_s - idle_s) / (now - at)))
            busy_s, idle_s, own_s, at = busy_now_s, idle_now_s, own_now_s, now

    def cores(self, began: float, ended: float) -> list[Cores]:
        """How many cores they took, and how many were idle, in each part of this time."""
        return [cores for cores in self._noted if began <= cores.at <= ended]


def _machine_s() -> tuple[float, float]:
    """The CPU time of all programs since the start of the machine, and the idle time."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, _fields(Path("/proc/stat"))[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS, (idle + iowait) / TICKS


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
