"""Real sidecars: started, asked, and ended by process id.

Every cluster is sealed with a key of its own, on loopback, on ports that the kernel chooses, in a folder of its own.
Nothing here sleeps: it waits for the ready line or for an answer, each with a generous bound.
"""

import base64
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from gossipreg.client.connection import Client
from scripts.tools.wait import BOUND_S, wait_for

COMMAND = [sys.executable, "-m", "gossipreg.cli"]


class Sidecar:
    """One process of `gossipreg join`, and a client of its socket."""

    def __init__(
        self, folder: Path, name: str, *arguments: str, key_file: Path | None = None, command: list[str] | None = None
    ) -> None:
        """`command` takes the place of `gossipreg`."""
        self.name = name
        self.socket = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        sealed = [] if key_file is None else ["--key-file", str(key_file)]
        given = ["--name", name, "--socket", str(self.socket), *sealed, *arguments]
        bind = [] if "--bind" in arguments else ["--bind", "127.0.0.1:0"]
        self.started_at = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*(command or COMMAND), "join", *given, *bind],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.ready: dict[str, str] = {}

    def wait_ready(self, bound_s: float = BOUND_S) -> Self:
        """Read the ready line. Fails with the log where the sidecar ends, or is silent for so long."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(bound_s) else b""
        if not self.read_ready(line):
            raise AssertionError(f"{self.name} did not get ready: {line!r}\n{self.log.read_text()}")
        return self

    def read_ready(self, line: bytes) -> bool:
        """Take `ready` from the ready line, as text or JSON; whether it is one."""
        if line.startswith(b"ready "):
            self.ready = dict(field.split("=", 1) for field in line.decode().split()[1:])
        elif line.startswith(b"{"):
            self.ready = json.loads(line)
        else:
            return False
        return True

    @property
    def gossip(self) -> str:
        return self.ready["gossip"]

    def port(self, field: str) -> int:
        """The port of the first address in this field of the ready line: `gossip`, `dns`, `http`."""
        return int(self.ready[field].partition(",")[0].rpartition(":")[2])

    @property
    def id(self) -> str:
        return self.ready["id"]

    def call(self, method: str, **params: Any) -> Any:
        with Client(str(self.socket), timeout_s=BOUND_S) as client:
            return client.call(method, **params)

    def lookup(self, name: str) -> list[str]:
        """address:port of each passing instance."""
        return [f"{one['address']}:{one['port']}" for one in self.call("lookup", name=name)]

    def states(self) -> dict[str, str]:
        """The state of each member that it knows, by name."""
        return {member["name"]: member["state"] for member in self.call("members")}

    def alive(self) -> set[str]:
        """The names of the members that it takes for alive."""
        return {name for name, state in self.states().items() if state == "alive"}

    def wait_logged(self, text: str, times: int = 1) -> None:
        """Wait until its log has this text so often: it may log a thing after it has shown it to others."""
        wait_for(lambda: self.log.read_text().count(text) >= times, what=f"{text!r} in the log of {self.name}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Pause the process, as a debugger or a full machine would."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(BOUND_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()  # a stopped process dies of it too
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Sidecars:
    """A sealed cluster; a context manager that leaves no process behind."""

    def __init__(self, profile: str = "lan") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gr-")  # short: a socket's path takes at most 107 bytes
        self.folder = Path(self._folder.name)
        self.key_file = self.folder / "key"
        self.key_file.write_text(base64.b64encode(os.urandom(32)).decode())
        self._profile = profile
        self.all: list[Sidecar] = []

    def start(self, name: str, *arguments: str, seed: bool = True, command: list[str] | None = None) -> Sidecar:
        """Start one more; the first that is up is the seed of the others, unless one is given, or none is wanted."""
        up = next((one for one in self.all if one.process.poll() is None and one.ready), None)
        seeded = [] if up is None or not seed or "--seed" in arguments else ["--seed", up.gossip]
        given = [*seeded, "--profile", self._profile, *arguments]
        sidecar = Sidecar(self.folder, name, *given, key_file=self.key_file, command=command)
        self.all.append(sidecar)
        return sidecar

    def grow(self, n: int) -> list[Sidecar]:
        """n sidecars, started together once the first is up; each knows all."""
        first = self.start("n0").wait_ready()
        others = [self.start(f"n{number}") for number in range(1, n)]
        for one in others:
            one.wait_ready()
        everyone = [first, *others]
        names = {one.name for one in everyone}
        wait_for(lambda: all(one.alive() >= names for one in everyone))
        return everyone

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for one in self.all:
            one.close()
        self._folder.cleanup()


def timed_lookup_ms(client: Client, name: str) -> float:
    """How long one lookup of this service takes."""
    start = time.perf_counter()
    client.call("lookup", name=name)
    return 1000 * (time.perf_counter() - start)
