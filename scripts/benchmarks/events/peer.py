"""A program for events that is measured: its servers, and what is measured of it by its client programs.

Owns how client programs are run together, and that they and the servers end. Never knows how a server is configured:
`redis_peer.py` and its like do; nor what a client says to it: `client_side.py` says how the client programs are called.
"""

import json
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Self

from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.events.client_side import QUIET_S
from scripts.benchmarks.events.records import Record, Throughput, decode, throughput
from scripts.benchmarks.stop import Stop
from scripts.tools.programs import running_program
from scripts.tools.wait import BOUND_S, wait_for

ROOT = Path(__file__).parents[3]
CLIENTS = ROOT / ".venv" / "peers" / "events" / "bin"
"""The virtual environment of the client programs, made by scripts/bench."""
BEGIN_S = 0.5
"""The publishers have their times before the first of them comes."""


@dataclass(frozen=True, slots=True)
class Load:
    """What publishers do to measure events a second."""

    publishers: int = 64
    processes: int = 4
    """The processes that they are spread over evenly."""
    size_bytes: int = 1024
    warm_up_s: float = 2.0
    measured_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the one publisher does to measure latencies."""

    events: int = 500
    warm_up: int = 20
    """So many events before these."""
    per_s: int = 20
    size_bytes: int = 1024


class EventsPeer(ABC):
    """A context manager with the servers, which are up and hold nothing once it is entered."""

    name: ClassVar[str]
    servers: ClassVar[int]
    durable: ClassVar[str]
    """What it counts as durable, when it acknowledges an event: for the table."""

    @abstractmethod
    def start(self) -> None:
        """Start the servers and wait until they can be used. Raises Failed if that never comes."""

    @abstractmethod
    def stop(self) -> None:
        """End all that was started, and remove its data. Also after a start that failed."""

    @abstractmethod
    def throughput(self, load: Load) -> Throughput: ...

    @abstractmethod
    def latency(self, pace: Pace) -> list[float | None]:
        """Milliseconds from the call that publishes an event until its handler has it, for each event; None: never."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


class ProgramsPeer(EventsPeer):
    """A peer whose servers are programs, and whose publishers and handlers are those of one module."""

    clients: ClassVar[str]
    """The module of the client programs."""
    python: ClassVar[str] = str(CLIENTS / "python")

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._started = ExitStack()
        self._streams = 0

    @abstractmethod
    def launch(self) -> None:
        """Start the servers with `server`, and wait for them with `until`."""

    @property
    @abstractmethod
    def place(self) -> str:
        """The servers, as the client programs want them."""

    def start(self) -> None:
        with self._stop.held():
            self.folder = Path(self._started.enter_context(tempfile.TemporaryDirectory(prefix="events-")))
        self.launch()

    def stop(self) -> None:
        with self._stop.held():
            self._started.close()

    def server(self, name: str, command: Sequence[str]) -> None:
        """Start a server, with a folder of its own as its working directory and its output in `NAME/log`."""
        (self.folder / name).mkdir()
        try:
            with self._stop.held():
                self._started.enter_context(running_program(command, self.log(name)))
        except FileNotFoundError:
            raise Failed(f"{self.name}: there is no program {command[0]!r}") from None

    def log(self, name: str) -> Path:
        return self.folder / name / "log"

    def until(self, holds: Callable[[], bool], name: str) -> None:
        """Wait for a server. Raises Failed with the end of its log if it does not get ready."""
        try:
            wait_for(holds, what=f"{self.name} {name} is ready")
        except AssertionError as error:
            raise Failed(f"{error}: {last_line(self.log(name))}") from None

    # -- what is measured --------------------------------------------------------------------------------------------

    def throughput(self, load: Load) -> Throughput:
        stream, each = self._prepared(), load.publishers // load.processes
        with ExitStack() as running:
            handler = self._client(running, "handle", stream)
            publishers = [
                self._client(running, "publish", stream, number * each, each, load.size_bytes)
                for number in range(load.processes)
            ]
            for one in (handler, *publishers):
                one.wait_ready()
            first_s = time.perf_counter() + BEGIN_S
            begin_s = first_s + load.warm_up_s
            end_s = begin_s + load.measured_s
            for one in publishers:
                one.tell(f"{first_s} {end_s}")
            bound_s = end_s - time.perf_counter() + BOUND_S
            acked = [record for one in publishers for record in one.records(bound_s)]
            handled = handler.records(QUIET_S + BOUND_S)
        return throughput(acked, handled, begin_s, end_s)

    def latency(self, pace: Pace) -> list[float | None]:
        stream, count = self._prepared(), pace.warm_up + pace.events
        with ExitStack() as running:
            client = self._client(running, "latency", stream, count, pace.per_s, pace.size_bytes)
            client.wait_ready()
            found: list[float | None] = json.loads(client.output(count / pace.per_s + BOUND_S))
        return found[pace.warm_up :]

    def _prepared(self) -> str:
        """A new stream, with its group."""
        self._streams += 1
        stream = f"bench{self._streams}"
        with ExitStack() as running:
            self._client(running, "prepare", stream).output(BOUND_S)
        return stream

    def _client(self, running: ExitStack, what: str, stream: str, *numbers: int) -> "ClientProgram":
        command = [self.python, "-m", self.clients, what, self.place, stream, *map(str, numbers)]
        with self._stop.held():
            return running.enter_context(ClientProgram(f"{self.name} {what}", command))


class ClientProgram:
    """A client program, called as `client_side.py` says. A context manager that ends it."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in __exit__
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._errors, cwd=ROOT, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def wait_ready(self) -> None:
        """Raises Failed with its last line of stderr if it ends without having got ready."""
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            self._process.wait(BOUND_S)
            raise self._failed()

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def output(self, bound_s: float) -> bytes:
        """End its input, and return all that it writes until its end. Raises Failed if it fails, or takes too long."""
        try:
            found, _ = self._process.communicate(timeout=bound_s)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self._name} has not ended after {bound_s:.0f} s") from None
        if self._process.returncode:
            raise self._failed()
        return found

    def records(self, bound_s: float) -> list[Record]:
        return decode(self.output(bound_s))

    def _failed(self) -> Failed:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return Failed(f"{self._name} ended with {self._process.returncode}: {lines[-1] if lines else 'no error text'}")


def last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "its log is empty"
