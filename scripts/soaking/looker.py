"""A client that looks something up at every sidecar all the time, and notes when the machine stood still."""

import threading
import time
from collections import deque

from gossipreg.client.connection import Client
from gossipreg.errors import GossipregError
from scripts.soaking.world import CALL_S, Host, World
from scripts.tools.sidecars import timed_lookup_ms

FREEZE_S = 0.3
"""A machine that stands still for longer may be the cause of what follows."""


class Looker(threading.Thread):
    """Looks something up at every sidecar all the time; keeps how long each took, and when the machine stood still."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._over = threading.Event()
        self.took_ms: deque[float] = deque(maxlen=1_000_000)
        self.failed = 0
        self.freezes: list[tuple[float, float]] = []

    def run(self) -> None:
        slept_at = time.monotonic()
        while not self._over.wait(0.02):
            late_s = time.monotonic() - slept_at - 0.02
            if late_s > FREEZE_S:
                self.freezes.append((time.time() - late_s, late_s))
            for host in self._world.up:
                self._look(host)
            slept_at = time.monotonic()

    def _look(self, host: Host) -> None:
        start = time.perf_counter()
        try:
            with Client(str(host.sidecar.socket), timeout_s=CALL_S) as client:
                client.call("lookup", name="svc0")  # the connection is warm then
                self.took_ms.append(timed_lookup_ms(client, "svc1"))
        except GossipregError:
            if host.state == "up" and time.perf_counter() - start > 1:
                self.failed += 1

    def stop(self) -> None:
        self._over.set()
        self.join()
