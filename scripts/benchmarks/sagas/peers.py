"""The programs whose sagas are measured, with what each of them needs: a context manager each.

Owns that everything that is started ends. Never knows what is measured of them (`row.py`).
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from gossipreg.errors import GossipregError
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.events.peer import ClientProgram
from scripts.benchmarks.sagas.client_side import SERVICE
from scripts.benchmarks.stop import Stop
from scripts.tools.programs import free_port, running_program
from scripts.tools.sidecars import Sidecar, Sidecars
from scripts.tools.wait import wait_for

ROOT = Path(__file__).parents[3]
DBOS_PYTHON = ROOT / ".venv" / "peers" / "sagas" / "bin" / "python"
"""Of the virtual environment with DBOS, made by scripts/bench."""


class SagasPeer:
    """Services, and what takes sagas of three steps over them."""

    name: str
    durable: str
    servers: int

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._started = ExitStack()

    def __enter__(self) -> Self:
        try:
            with self._stop.held():
                self.folder = Path(self._started.enter_context(tempfile.TemporaryDirectory(prefix="sagas-")))
                self.port = free_port()
                service = [sys.executable, "-m", "scripts.benchmarks.sagas.saga_service", str(self.port)]
                self._started.enter_context(
                    running_program(["env", f"PYTHONPATH={ROOT}", *service], self.folder / "service.log")
                )
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

    def start(self) -> None:
        """Start what leads the sagas. Raises Failed."""

    def command(self, first: int, count: int) -> Sequence[str]:
        """The program that takes sagas in threads `first` to `first + count - 1`."""
        raise NotImplementedError

    def client(self, running: ExitStack, first: int, count: int) -> ClientProgram:
        with self._stop.held():
            return running.enter_context(ClientProgram(f"{self.name} client", self.command(first, count)))


class DbosPeer(SagasPeer):
    name = "dbos"
    servers = 1
    durable = "fsync of its SQLite database, on one host"

    def command(self, first: int, count: int) -> Sequence[str]:
        module = "scripts.benchmarks.sagas.dbos_sagas"
        return [
            str(DBOS_PYTHON), "-m", module, str(self.port), str(self.folder / "dbos.sqlite"), str(first), str(count)
        ]  # fmt: skip


class GossipregSagas(SagasPeer):
    def __init__(self, stop: Stop, kind: str, copies: int) -> None:
        """`kind` is `by_code` or `declared`."""
        super().__init__(stop)
        self._kind = kind
        self.servers = copies
        self.name = f"{'by code' if kind == 'by_code' else kind}, {copies}"
        others = "the leader" if copies == 1 else "the leader and one of two others"
        self.durable = f"fsync of {others} ({copies} {'copy' if copies == 1 else 'copies'})"

    def start(self) -> None:
        with self._stop.held():
            self.cluster = self._started.enter_context(Sidecars())
        for number in range(self.servers):
            with self._stop.held():
                one = self.cluster.start(
                    f"n{number}", "--data-dir", str(self.folder / f"data{number}"), "--host-id", f"host{number}",
                    "--copies", str(self.servers), "--min-copies", str(self.servers),
                )  # fmt: skip
            one.wait_ready()
        try:
            self._prepare(self.cluster.all)
        except AssertionError as error:
            raise Failed(f"{self.name}: {error}") from None

    def _prepare(self, sidecars: Sequence[Sidecar]) -> None:
        for one in sidecars:
            wait_for(lambda one=one: bool(one.call("info")["synced"]), what=f"{one.name} is in sync")  # type: ignore[misc]
        sidecars[-1].call("register", name=SERVICE, port=self.port, address="127.0.0.1")
        for one in sidecars:
            wait_for(lambda one=one: bool(one.lookup(SERVICE)), what=f"{one.name} knows {SERVICE}")  # type: ignore[misc]
        wait_for(lambda: _is_open(sidecars[0]), what="the journal has its copies")

    def command(self, first: int, count: int) -> Sequence[str]:
        module = "scripts.benchmarks.sagas.gossipreg_sagas"
        return [
            sys.executable, "-m", module, self._kind, str(self.cluster.all[0].socket), str(first), str(count)
        ]  # fmt: skip


def _is_open(sidecar: Sidecar) -> bool:
    """Its journal takes entries: it has as many copies as it was told to want."""
    try:
        sidecar.call("publish", type="warm.up", data=b"")
    except GossipregError:
        return False
    return True


def missing() -> str | None:
    """The reason why DBOS cannot be measured here, if there is one."""
    return None if DBOS_PYTHON.exists() else "there is no DBOS here: scripts/bench fetches it from PyPI"


def decided(output: bytes) -> list[tuple[float, float]]:
    """What a client program has written: (time of the decision, milliseconds until it) of each saga."""
    return [(at, took) for at, took in json.loads(output)]
