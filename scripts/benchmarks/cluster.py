"""A cluster of real processes to measure: what every kind of cluster can do.

Owns the processes: each is noted as soon as it is started, and ended by its id when the cluster ends. Never knows what
is measured: that is `rows.py`.
"""

import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Self

from scripts.benchmarks.stop import Stop
from scripts.benchmarks.views import LONGEST_S, Listener, Stream, View, Views

READY_S = 120.0
"""No member takes so long to start, even when all start at once on a small machine."""
SETTLED_S = 120.0
"""By then every member knows all others, or never will."""


class Failed(Exception):
    """The cluster cannot be measured; the text is one line for a person."""


class Member:
    """One process of a cluster. `ready_at` is None until its socket answers."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], started_at: float) -> None:
        self.name = name
        self.process = process
        self.started_at = started_at
        self.ready_at: float | None = None
        self.streams: list[Stream] = []

    def signal(self, number: signal.Signals) -> None:
        """Send it and return: the other members have to find out what it did."""
        self.process.send_signal(number)


class Cluster(ABC):
    """A context manager. Members start with the first as their seed; views are kept from a member's start on."""

    kind: ClassVar[str]
    look_s: ClassVar[float] = LONGEST_S
    """The pause between two calls of `look_for_ready`, seconds; output of a member ends it sooner."""

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self.listener = Listener()
        self.views = Views(self.listener)
        self.members: dict[str, Member] = {}
        self._started: list[Member] = []

    # -- each kind of cluster has its own ----------------------------------------------------------------------------

    @abstractmethod
    def launch(self, name: str) -> Member:
        """Start a process and return at once; its output says when it is ready."""

    @abstractmethod
    def on_output(self, member: Member, data: bytes, at: float) -> None:
        """Read what the member wrote to its stdout."""

    @abstractmethod
    def update(self, member: Member, number: int) -> str:
        """Ask it to change something that it gossips, without waiting; the mark by which others will know it."""

    @abstractmethod
    def leave(self, member: Member) -> None:
        """Ask it to leave gracefully, without waiting."""

    def look_for_ready(self, member: Member) -> bool:
        """Whether its socket answers. A kind of cluster whose output does not say so has to find out here."""
        return member.ready_at is not None

    def trouble(self, member: Member) -> str:
        """The reason why it ended, in a few words."""
        return f"exit code {member.process.poll()}"

    # -- all kinds share ---------------------------------------------------------------------------------------------

    def start(self, name: str) -> Member:
        """Returns at once."""
        with self.stop.held():
            member = self.launch(name)
            self._started.append(member)
        self.members[name] = member
        self.views.begin(name)
        assert member.process.stdout is not None
        member.streams.append(member.process.stdout)
        self.listener.listen(member.process.stdout, lambda data, at: self.on_output(member, data, at))
        return member

    def wait_ready(self, members: Iterable[Member]) -> None:
        end = time.perf_counter() + READY_S
        for member in members:
            while not self.look_for_ready(member):
                if member.process.poll() is not None or time.perf_counter() > end:
                    raise Failed(f"{self.kind} {member.name} did not get ready: {self.trouble(member)}")
                self.listener.turn(self.look_s)

    def grow(self, n: int) -> list[Member]:
        """n members, started together once the first is up; each knows all."""
        first = self.start("n0")
        self.wait_ready([first])
        others = [self.start(f"n{number}") for number in range(1, n)]
        self.wait_ready(others)
        self.settle()
        return [first, *others]

    def settle(self) -> None:
        """Wait until every member knows all others. Raises Failed if one never does."""
        names = self.members.keys()

        def knows_all(_observer: str, view: View) -> bool:
            return view.keys() == names

        came = self.views.until(self.members, knows_all, SETTLED_S)
        if missing := [name for name in self.members if name not in came]:
            unknown = sorted(names ^ self.views.of[missing[0]].keys())
            raise Failed(f"{self.kind} {missing[0]} does not agree on {', '.join(unknown)} after {SETTLED_S:g} s")

    def end(self, member: Member) -> None:
        """Kill it, if it still runs, and forget it."""
        for stream in member.streams:
            self.listener.stop_listening(stream)
            stream.close()
        member.streams.clear()
        self.views.end(member.name)
        member.process.kill()  # a stopped process dies of it too
        member.process.wait()
        if self.members.get(member.name) is member:
            del self.members[member.name]

    def close_streams(self) -> None:
        """Close all watches. The output of the processes is still read."""
        for member in self.members.values():
            for stream in member.streams[1:]:
                self.listener.stop_listening(stream)
                stream.close()
            del member.streams[1:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self.stop.held():
            for member in self._started:
                self.end(member)
            self.listener.close()
            self.clean_up()

    def clean_up(self) -> None:  # noqa: B027  # most have nothing to do
        """All processes have ended."""
