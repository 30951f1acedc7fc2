"""Redis Streams: a master and one replica of Debian's Redis on loopback, each with an append-only file that is synced
before every answer.

WAIT counts replicas that have the event in memory; WAITAOF, which counts disks, needs Redis 7.2, and Debian 12 has 7.0.
(With `appendfsync always` the replica of 7.0.15 syncs before it reports, as strace shows; no document promises that.)
Left out are snapshots, rewrites of the append-only file, and the delay of 5 s before a replica gets the first data.
"""

import os
import shutil
import socket

from scripts.benchmarks.events.peer import ROOT, ProgramsPeer
from scripts.tools.programs import free_port

PROGRAM = "redis-server"
LIBRARIES = ROOT / ".venv" / "peers" / "usr" / "lib"
"""Of Debian's packages, where scripts/bench unpacked them."""
READ_BYTES = 65536


class RedisPeer(ProgramsPeer):
    name = "redis"
    servers = 2
    durable = "fsync of the master; WAIT 1: the replica has it, of which only its memory is promised"
    clients = "scripts.benchmarks.events.redis_clients"

    @property
    def place(self) -> str:
        return str(self._port)

    def launch(self) -> None:
        self._port = free_port()
        self.server("master", self._command(self._port))
        self.until(lambda: replication(self._port).get("role") == "master", "master")
        self.server("replica", [*self._command(free_port()), "--replicaof", "127.0.0.1", str(self._port)])
        self.until(lambda: "state=online" in replication(self._port).get("slave0", ""), "replica")

    def _command(self, port: int) -> list[str]:
        libraries = ":".join(map(str, sorted(path for path in LIBRARIES.glob("*-linux-gnu*") if path.is_dir())))
        return [
            "env", f"LD_LIBRARY_PATH={libraries}", shutil.which(PROGRAM) or PROGRAM,
            "--bind", "127.0.0.1", "--port", str(port),
            "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0",
            "--save", "", "--repl-diskless-sync-delay", "0",
        ]  # fmt: skip


def replication(port: int) -> dict[str, str]:
    """The section `replication` of what the server says of itself; empty if it does not answer."""
    data = b""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as stream:
            stream.sendall(b"INFO replication\r\nQUIT\r\n")
            while more := stream.recv(READ_BYTES):
                data += more
    except OSError:
        return {}
    return fields_of(data.decode(errors="replace"))


def fields_of(info: str) -> dict[str, str]:
    """The `name:value` lines of an answer to INFO."""
    lines = (line.partition(":") for line in info.splitlines())
    return {name: value for name, colon, value in lines if colon}


def missing() -> str | None:
    """The reason why it cannot be measured here, if there is one."""
    if shutil.which(PROGRAM) is None:
        return f"there is no `{PROGRAM}` here: on Debian and Ubuntu scripts/bench fetches it with apt-get"
    if not os.access(ProgramsPeer.python, os.X_OK):
        return "there are no Python clients of Redis and NATS here: scripts/bench fetches them from PyPI"
    return None
