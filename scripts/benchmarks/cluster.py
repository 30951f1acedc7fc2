"""A cluster of real processes that rows are measured on: what each kind has to offer.

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
from scripts.benchmarks.views import LONGEST_S, Ears, Stream, View, Views

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
