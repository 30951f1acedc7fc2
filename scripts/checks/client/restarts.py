"""The sidecar of the programs, killed and stopped many times. The next restart comes when the one before is over."""

import threading
from pathlib import Path
from random import Random
from typing import Self

from scripts.tools.sidecars import Sidecars
from scripts.tools.wait import wait_for

AWAY_S = (0.0, 1.0)
"""Between the end of one sidecar and the start of the next one."""


class Restarts:
    """A context manager: a sidecar, and the thread that restarts it. It keeps nothing, so each time it is another
    member."""

    def __init__(self, sidecars: Sidecars, times: int, seconds: float, rng: Random) -> None:
        """`seconds`: in which it is restarted so many times, if each restart is quick enough."""
        self.sidecar = sidecars.start("home")
        self.done = 0
        self.faults: list[str] = []
        self._sidecars = sidecars
        self._times = times
        self._every_s = seconds / (times + 1)
        self._rng = rng
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._restart_many, daemon=True)

    @property
    def socket(self) -> Path:
        return self.sidecar.socket

    def wait_synced(self, names: set[str]) -> None:
        """Wait until it is synced with these members."""
        self.sidecar.wait_ready()
        wait_for(lambda: self.sidecar.call("info")["synced"] and self.sidecar.alive() >= names)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _restart_many(self) -> None:
        others = self.sidecar.alive() - {self.sidecar.name}
        try:
            while self.done < self._times and not self._stop.wait(self._every_s):
                if self.done % 2:
                    self.sidecar.end()
                else:
                    self.sidecar.kill()
                self._sidecars.all.remove(self.sidecar)
                self.sidecar.close()
                self._stop.wait(self._rng.uniform(*AWAY_S))
                self.sidecar = self._sidecars.start("home")
                self.wait_synced(others)
                self.done += 1
        except Exception as error:  # the check has to end, and to say so
            self.faults.append(f"the sidecar cannot be restarted: {type(error).__name__}: {error}")
