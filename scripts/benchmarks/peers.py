"""Clusters of other programs: one process is one member, on a fixed port of 127.0.0.1."""

import subprocess
import time

from scripts.benchmarks.cluster import Cluster, Member
from scripts.benchmarks.stop import Stop

FIRST_PORT = 17000


class PeerCluster(Cluster):
    """Members on fixed ports of 127.0.0.1: a member that comes back has its old name and port."""

    def __init__(self, stop: Stop, program: str) -> None:
        super().__init__(stop)
        self.program = program
        self._ports: dict[str, int] = {}
        self._unfinished: dict[str, bytes] = {}

    def launch(self, name: str) -> Member:
        port = self._ports.setdefault(name, FIRST_PORT + len(self._ports))
        up = next((self._ports[one.name] for one in self.members.values() if one.ready_at is not None), None)
        self._unfinished[name] = b""
        started_at = time.perf_counter()
        process = subprocess.Popen(
            [self.program, *self.arguments(name, port, up)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        return Member(name, process, started_at)

    def arguments(self, name: str, port: int, seed: int | None) -> list[str]:
        raise NotImplementedError

    def line(self, member: Member, line: bytes, at: float) -> None:
        raise NotImplementedError

    def on_output(self, member: Member, data: bytes, at: float) -> None:
        *lines, self._unfinished[member.name] = (self._unfinished[member.name] + data).split(b"\n")
        for line in lines:
            self.line(member, line, at)

    def end(self, member: Member) -> None:
        super().end(member)
        if member.process.stdin is not None:
            member.process.stdin.close()
