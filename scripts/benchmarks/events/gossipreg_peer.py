"""gossipreg: three sidecars on loopback, each with a journal of its own that has three copies.

An event is acknowledged once the leader's disk and one of the two others have it synced.
"""

import sys

from scripts.benchmarks.events.peer import ProgramsPeer
from scripts.tools.sidecars import Sidecars


class GossipregPeer(ProgramsPeer):
    name = "gossipreg"
    servers = 3
    durable = "fsync of the leader and one of two others (three copies)"
    clients = "scripts.benchmarks.events.gossipreg_clients"
    python = sys.executable

    @property
    def place(self) -> str:
        return ",".join(str(one.socket) for one in self._cluster.all)

    def launch(self) -> None:
        with self._stop.held():
            self._cluster = self._started.enter_context(Sidecars())
        for number in range(self.servers):
            with self._stop.held():
                one = self._cluster.start(
                    f"n{number}", "--data-dir", str(self.folder / f"data{number}"), "--host-id", f"host{number}"
                )
            one.wait_ready()
        for one in self._cluster.all:
            self.until_synced(one.name)

    def until_synced(self, name: str) -> None:
        [one] = [one for one in self._cluster.all if one.name == name]
        (self.folder / name).mkdir(exist_ok=True)
        self.until(lambda: bool(one.call("info")["synced"]), name)
