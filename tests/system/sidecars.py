"""Real sidecars for the whole-system tests and the benchmark: started, watched and ended by process id.

Every cluster is sealed with a key of its own, on loopback, on ports that the kernel chooses, in a folder of its own.
Nothing here sleeps: it waits for the ready line, for changes on watches, or for an answer, each with a generous bound.
"""

import base64
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from gossipreg.client.connection import Client
from gossipreg.errors import NotSynced, Unreachable
from gossipreg.wire import rpc

COMMAND = [sys.executable, "-m", "gossipreg.cli"]
BOUND_S = 30.0
"""Nothing that works takes so long, on any machine."""


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

    def wait_ready(self) -> Self:
        """Read the ready line. Fails with the log where the sidecar ends, or is silent."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            line = self.process.stdout.readline() if selector.select(BOUND_S) else b""
        if line.startswith(b"ready "):
            self.ready = dict(field.split("=", 1) for field in line.decode().split()[1:])
        elif line.startswith(b"{"):
            self.ready = json.loads(line)
        else:
            raise AssertionError(f"{self.name} did not get ready: {line!r}\n{self.log.read_text()}")
        return self

    @property
    def gossip(self) -> str:
        return self.ready["gossip"]

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
        names = {one.name for one in [first, *others]}
        for one in [first, *others]:
            wait_for(lambda one=one: {name for name, state in one.states().items() if state == "alive"} >= names)  # type: ignore[misc]
        return [first, *others]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for one in self.all:
            one.close()
        self._folder.cleanup()


def wait_for(condition: Callable[[], bool], bound_s: float = BOUND_S, pause_s: float = 0.02) -> float:
    """Wait until the condition holds; how long it took. A sidecar that does not answer yet, or is not synced, does not
    hold it."""
    start = time.perf_counter()
    while True:
        try:
            if condition():
                return time.perf_counter() - start
        except (Unreachable, NotSynced):
            pass
        if time.perf_counter() - start > bound_s:
            raise AssertionError(f"not within {bound_s} s")
        with selectors.DefaultSelector() as selector:  # a pause that a signal ends
            selector.select(pause_s)


class Asker(threading.Thread):
    """Looks up `web` all the time, which must have one instance in every answer, whatever happens meanwhile."""

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__()
        self._socket = str(sidecar.socket)
        self._over = threading.Event()
        self._answers: Counter[int] = Counter()
        """How many there were with so many instances."""

    def run(self) -> None:
        with Client(self._socket, timeout_s=BOUND_S) as client:
            while not self._over.wait(0.002):
                self._answers[len(client.call("lookup", name="web"))] += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self.join()
        assert set(self._answers) == {1}, self._answers
        assert self._answers[1] > 10


class Watchers:
    """One watch of all services on each of several sidecars, read together: when did a change arrive where?"""

    def __init__(self, sidecars: list[Sidecar]) -> None:
        self._selector = selectors.DefaultSelector()
        for one in sidecars:
            stream = socket.socket(socket.AF_UNIX)
            stream.connect(str(one.socket))
            stream.sendall(rpc.encode_request(1, "watch", {}))
            stream.setblocking(False)
            self._selector.register(stream, selectors.EVENT_READ, (one, rpc.Decoder(rpc.MAX_REPLY_BYTES)))
        self.drain(0.2)

    def changes(self, bound_s: float) -> Iterator[tuple[Sidecar, dict[str, Any], float]]:
        """(where, change, perf_counter when it was read), until the bound has passed."""
        end = time.perf_counter() + bound_s
        while (left := end - time.perf_counter()) > 0:
            for key, _ in self._selector.select(left):
                sidecar, decoder = key.data
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                at = time.perf_counter()
                if not data:  # this sidecar ended
                    self._selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    continue
                for message in decoder.feed_untrusted(data):
                    if message[0] == "notification":
                        yield sidecar, message[2]["change"], at

    def drain(self, seconds: float) -> None:
        for _ in self.changes(seconds):
            pass

    def arrivals(self, kind: str, service_id: str, wanted: int, since: float, bound_s: float) -> dict[str, float]:
        """Seconds after `since` at which each sidecar's watch told this change; ends when `wanted` have."""
        seen: dict[str, float] = {}
        for sidecar, change, at in self.changes(bound_s):
            if change["kind"] == kind and change["instance"]["id"] == service_id:
                seen.setdefault(sidecar.name, at - since)
                if len(seen) >= wanted:
                    break
        return seen

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
