"""The two control planes, each with a sidecar that knows 200 services with 5 instances each.

Owns that everything that is started ends. Never knows what is measured of them (`row.py`).
"""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gossipreg.client import Client
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.mesh.stream_load import COMMON
from scripts.benchmarks.stop import Stop
from scripts.tools.machine import cpu_s, private_dirty_kib
from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar, Sidecars

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class MeshLoad:
    services: int = 200
    instances: int = 5
    streams: int = 100
    callers: int = 10
    """Real gRPC clients of the common service, a process each, while one of its instances is killed."""
    calls_a_second: float = 50.0


class Child:
    """A program that prints `ready`, and answers lines with lines."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        if (line := self.heard()) != "ready":
            raise Failed(f"{module} did not get ready: {line!r}")

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.heard()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class ControlPlane:
    """A context manager."""

    name: str
    flags: Sequence[str] = ()

    def __init__(self, stop: Stop, load: MeshLoad) -> None:
        self._stop = stop
        self.load = load
        self.port = free_port()
        self._started = ExitStack()

    def __enter__(self) -> Self:
        try:
            with self._stop.held():
                cluster = self._started.enter_context(Sidecars("local"))
            self.sidecar: Sidecar = cluster.start("mesh", *self._flags()).wait_ready()
            self._fill()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        with self._stop.held():
            self._started.close()

    def _flags(self) -> list[str]:
        return []

    def start(self) -> None:
        """Start what answers the streams."""

    @property
    def pid(self) -> int:
        """Of the process that answers them."""
        raise NotImplementedError

    def child(self, module: str, *arguments: str) -> Child:
        with self._stop.held():
            one = Child(module, *arguments)
            self._started.callback(one.kill)
        return one

    def _fill(self) -> None:
        """The addresses of the other services have nobody: they are asked for, and not called."""
        with Client(str(self.sidecar.socket)) as client:
            for number in range(1, self.load.services):
                for instance in range(self.load.instances):
                    client.call(
                        "register", name=f"svc-{number}", id=f"{number}-{instance}", port=9000 + instance,
                        address=f"127.2.{number}.1",
                    )  # fmt: skip

    def register(self, port: int) -> None:
        self.sidecar.call("register", name=COMMON, id=f"more-{port}", port=port, address="127.0.0.1")

    def deregister(self, port: int) -> None:
        self.sidecar.call("deregister", id=f"more-{port}")

    def bootstrap(self) -> dict[str, Any]:
        creds = [{"type": "insecure"}]
        return {"xds_servers": [{"server_uri": f"127.0.0.1:{self.port}", "channel_creds": creds,
                                 "server_features": ["xds_v3"]}], "node": {"id": "bench"}}  # fmt: skip

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def memory_mib(self) -> float:
        return private_dirty_kib(self.pid) / 1024


class OurPlane(ControlPlane):
    name = "gossipreg"

    def _flags(self) -> list[str]:
        return ["--xds", f"127.0.0.1:{self.port}"]

    @property
    def pid(self) -> int:
        return self.sidecar.process.pid


class MinimalPlane(ControlPlane):
    name = "grpcio"

    def start(self) -> None:
        self._child = self.child("scripts.benchmarks.mesh.minimal_control", str(self.sidecar.socket), str(self.port))

    @property
    def pid(self) -> int:
        return self._child.process.pid
