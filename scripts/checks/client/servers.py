"""gunicorn and uvicorn with a program that uses the client, and the threads that send them requests."""

import http.client
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import perf_counter

from scripts.checks.client.asking import DEADLINE_S
from scripts.checks.client.fleet import SERVICES
from scripts.checks.client.holdings import MayGrow
from scripts.checks.client.judge import HANGS_S
from scripts.checks.client.records import FAILED, Recorder, error_text
from scripts.tools.programs import free_port
from scripts.tools.wait import wait_for

ROOT = Path(__file__).parents[3]
POOL = 4
"""Threads of a gthread worker."""
PAUSE_S = 0.2
"""The mean pause of a sender between two requests."""
END_S = 20.0
"""A server ends within this time after SIGTERM."""
WORKERS = 2


@dataclass(frozen=True)
class ServerKind:
    name: str
    command: tuple[str, ...]
    ways: tuple[str, ...]
    """The first parts of paths: how the program calls the service."""
    may_grow: MayGrow


def server_kinds(instances: int) -> list[ServerKind]:
    """`instances`: of all services, since pools keep connections to each."""
    gunicorn = ("gunicorn", "--preload", "--workers", str(WORKERS), "--timeout", "60", "--bind", "127.0.0.1:{port}")
    uvicorn = ("uvicorn", "--workers", str(WORKERS), "--log-level", "warning", "--port", "{port}")
    app = "scripts.checks.client.wsgi_app:app"
    pools = MayGrow(others=instances)
    return [
        ServerKind(
            "gthread",
            (*gunicorn, "--worker-class", "gthread", "--threads", str(POOL), app),
            ("call", "requests"),
            MayGrow(others=instances, threads=POOL),
        ),
        ServerKind("sync", (*gunicorn, "--worker-class", "sync", app), ("call", "requests"), pools),
        ServerKind("uvicorn", (*uvicorn, "scripts.checks.client.asgi_app:app"), ("call", "hedged", "httpx"), pools),
    ]


class RunningServer:
    def __init__(self, kind: ServerKind, socket: Path, folder: Path) -> None:
        self.kind = kind
        self.stacks = folder / f"{kind.name}.stacks"
        self.log = folder / f"{kind.name}.log"
        self.port = free_port()
        # HOME: gunicorn keeps a socket there
        environment = {
            **os.environ, "GOSSIPREG_SOCKET": str(socket), "STACKS": str(self.stacks), "HOME": str(folder)
        }  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=self.port) for part in kind.command)],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def wait_ready(self) -> None:
        def answers() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind.name} ended at once:\n{self.log.read_text()}")
            return self.get(f"/{self.kind.ways[0]}/{SERVICES[0]}")[0] == 200

        def is_ready() -> bool:
            try:
                return answers()
            except OSError:
                return False

        wait_for(is_ready, 2 * HANGS_S, what=f"{self.kind.name} answers")

    def get(self, path: str) -> tuple[int, str]:
        """Raises OSError; no answer in HANGS_S is TimeoutError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS_S)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"the server broke off: {error!r}") from error
        finally:
            connection.close()

    def end(self) -> str:
        """SIGTERM, as a deploy does it. Returns what went wrong."""
        self.process.terminate()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            return f"{self.kind.name} has not ended {END_S:g} s after SIGTERM"
        fine = self.process.returncode in (0, -15)  # uvicorn takes the signal again at its end
        return "" if fine else f"{self.kind.name} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}"


class Senders:
    """Threads of this process that send requests to one server: so many that all its workers have some at once."""

    def __init__(self, server: RunningServer, recorder: Recorder, rng: Random, number: int) -> None:
        self._server = server
        self._recorder = recorder
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(f"sender {one} of {server.kind.name}", Random(rng.random())))
            for one in range(number)
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(HANGS_S + DEADLINE_S)

    def _send(self, name: str, rng: Random) -> None:
        while not self._stop.wait(rng.uniform(0, 2 * PAUSE_S)):
            way, service = rng.choice(self._server.kind.ways), rng.choice(SERVICES)
            start = perf_counter()
            try:
                status, text = self._server.get(f"/{way}/{service}")
                answer = text if status == 200 else f"{FAILED}Status{status}: {text}"
            except OSError as error:
                answer = error_text(error)
            self._recorder.note(name, f"{self._server.kind.name} {way}", perf_counter() - start, service, answer)
