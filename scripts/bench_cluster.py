"""Clusters of real processes that the rows are measured on: what any has to offer, and the one of sealed sidecars.

Owns the processes: each is noted as soon as it is started, and ended by its id when the cluster ends. Never knows what
is measured: that is `bench_rows.py`.
"""

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Self

from gossipreg.wire import rpc
from scripts.bench_stop import Stop
from scripts.bench_views import LONGEST_S, Ears, Stream, View, Views
from tests.system.sidecars import Sidecar, Sidecars

READY_S = 120.0
"""Nobody takes so long to start, also when all start at once on a small machine."""
SETTLED_S = 120.0
"""By then everyone knows everyone, or never will."""


class Failed(Exception):
    """A cluster that cannot be measured: one line for a person."""


class Member:
    """One process of a cluster. `ready_at` is None until its socket answers."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], started_at: float) -> None:
        self.name = name
        self.process = process
        self.started_at = started_at
        self.ready_at: float | None = None
        self.streams: list[Stream] = []

    def signal(self, number: signal.Signals) -> None:
        """Sent and no more: what it does, the others have to find out."""
        self.process.send_signal(number)


class Cluster(ABC):
    """A context manager. Members start with the first as their seed; views are kept from a member's start on."""

    who: ClassVar[str]
    look_s: ClassVar[float] = LONGEST_S
    """So long between two of `look_for_ready`; where `heard` tells it, news ends the wait."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self.ears = Ears()
        self.views = Views(self.ears)
        self.members: dict[str, Member] = {}
        self._started: list[Member] = []

    # -- what differs ------------------------------------------------------------------------------------------------

    @abstractmethod
    def launch(self, name: str) -> Member:
        """Start a process. Returns at once; `heard` tells when it is ready."""

    @abstractmethod
    def heard(self, member: Member, data: bytes, at: float) -> None:
        """What it wrote on its stdout."""

    @abstractmethod
    def update(self, member: Member, number: int) -> str:
        """Ask it to change something of its own that all are told of; the mark that it will have. Does not wait."""

    @abstractmethod
    def leave(self, member: Member) -> None:
        """Ask it to leave gracefully. Does not wait."""

    def look_for_ready(self, member: Member) -> bool:
        """Whether its socket answers; where `heard` does not tell it, this has to find out."""
        return member.ready_at is not None

    def trouble(self, member: Member) -> str:
        """Why it ended, in a few words."""
        return f"exit code {member.process.poll()}"

    # -- what is the same --------------------------------------------------------------------------------------------

    def start(self, name: str) -> Member:
        """Returns at once."""
        with self.stop.held():
            member = self.launch(name)
            self._started.append(member)
        self.members[name] = member
        self.views.begin(name)
        assert member.process.stdout is not None
        member.streams.append(member.process.stdout)
        self.ears.listen(member.process.stdout, lambda data, at: self.heard(member, data, at))
        return member

    def wait_ready(self, members: Iterable[Member]) -> None:
        end = time.perf_counter() + READY_S
        for member in members:
            while not self.look_for_ready(member):
                if member.process.poll() is not None or time.perf_counter() > end:
                    raise Failed(f"{self.who} {member.name} did not get ready: {self.trouble(member)}")
                self.ears.turn(self.look_s)

    def grow(self, n: int) -> list[Member]:
        """n members, started together once the first is up; each knows all."""
        first = self.start("n0")
        self.wait_ready([first])
        others = [self.start(f"n{number}") for number in range(1, n)]
        self.wait_ready(others)
        self.settle()
        return [first, *others]

    def settle(self) -> None:
        """Wait until everyone knows everyone. Raises Failed where they never do."""
        names = self.members.keys()

        def knows_all(_observer: str, view: View) -> bool:
            return view.keys() == names

        came = self.views.until(self.members, knows_all, SETTLED_S)
        if missing := [name for name in self.members if name not in came]:
            unknown = sorted(names ^ self.views.of[missing[0]].keys())
            raise Failed(f"{self.who} {missing[0]} does not agree on {', '.join(unknown)} after {SETTLED_S:g} s")

    def end(self, member: Member) -> None:
        """Kill it, if it still runs, and forget it."""
        for stream in member.streams:
            self.ears.deafen(stream)
            stream.close()
        member.streams.clear()
        self.views.end(member.name)
        member.process.kill()  # a stopped process dies of it too
        member.process.wait()
        if self.members.get(member.name) is member:
            del self.members[member.name]

    def close_streams(self) -> None:
        """Nobody watches any more; what the processes write is still taken."""
        for member in self.members.values():
            for stream in member.streams[1:]:
                self.ears.deafen(stream)
                stream.close()
            del member.streams[1:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self.stop.held():
            for member in self._started:
                self.end(member)
            self.ears.close()
            self.clean_up()

    def clean_up(self) -> None:  # noqa: B027  # most have nothing to do
        """All processes have ended."""


class SidecarCluster(Cluster):
    """Sealed sidecars, each with one service that has the member's name for its id; a watch at each is its view."""

    who = "gossipreg"

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self._sidecars = Sidecars()
        self._by_name: dict[str, Sidecar] = {}
        self._last_id = 0

    def sidecar(self, name: str) -> Sidecar:
        return self._by_name[name]

    def launch(self, name: str) -> Member:
        sidecar = self._sidecars.start(name, "--service", "bench", "--port", "1", "--id", name, "--weight", "0")
        self._by_name[name] = sidecar
        return Member(name, sidecar.process, sidecar.started_at)

    def heard(self, member: Member, data: bytes, at: float) -> None:
        if data.startswith(b"ready "):
            member.ready_at = at
            self._by_name[member.name].ready = dict(field.split("=", 1) for field in data.decode().split()[1:])
            self._watch(member)

    def trouble(self, member: Member) -> str:
        lines = self._by_name[member.name].log.read_text().splitlines()
        return lines[-1] if lines else super().trouble(member)

    def update(self, member: Member, number: int) -> str:
        self.register(member, "bench", member.name, number)
        return str(number)

    def register(self, member: Member, service: str, id: str, weight: int) -> None:
        """Does not wait."""
        self._request(member, "register", {"name": service, "port": 1, "id": id, "weight": weight})

    def leave(self, member: Member) -> None:
        self._request(member, "leave", {})

    def clean_up(self) -> None:
        self._sidecars.__exit__()

    def _watch(self, member: Member) -> None:
        stream = socket.socket(socket.AF_UNIX)
        member.streams.append(stream)
        stream.connect(str(self._by_name[member.name].socket))
        decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
        self.ears.listen(stream, lambda data, at: self._told(member.name, decoder, data, at))
        self._request(member, "watch", {})

    def _request(self, member: Member, method: str, params: dict[str, Any]) -> None:
        stream = member.streams[1]
        assert isinstance(stream, socket.socket)
        self._last_id += 1
        stream.sendall(rpc.encode_request(self._last_id, method, params))

    def _told(self, observer: str, decoder: rpc.Decoder, data: bytes, at: float) -> None:
        for message in decoder.feed_untrusted(data):
            match message:
                case ("notification", "watch", {"change": change}):
                    gone = change["kind"] == "removed"
                    for one in change.get("instances") or [change["instance"]]:
                        self.views.tell(observer, one["id"], None if gone else str(one["weight"]), at)
                case ("reply", _, (code, text), _):
                    raise Failed(f"{self.who} {observer} answered {code}: {text}")
