"""What the processes of a program hold, from /proc, and what they leak.

A process is looked at many times early and late in a run. It leaks if the least that it had late is more than the most
that it had early: requests in flight come and go, so a single look says little.

Owns: what may grow, and by how much.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

UNIX_TABLE = Path("/proc/net/unix")
KINDS = ("pipe:", "anon_inode:[eventfd]", "anon_inode:[eventpoll]")
ZOMBIE_LOOKS = 10
"""A child that has ended may be a zombie until its parent comes to it, but not in so many looks in a row."""


class Holdings(NamedTuple):
    registry: int
    """Descriptors of the kinds that a registry has: unix sockets and `KINDS`. Servers have a steady number."""
    others: int
    """All other descriptors."""
    threads: int


class MayGrow(NamedTuple):
    """By how much a process may hold more late than early."""

    others: int = 0
    """Connections that a pool keeps: one more to each instance, since it may have been asked by one thread early and by
    two at once later."""
    threads: int = 0
    """Of a server that starts threads as it needs them."""


def descendants(pid: int) -> list[int]:
    """The process and all that it started, directly or not, which are still there."""
    children = defaultdict(list)
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                stat = (path / "stat").read_text()
            except OSError:
                continue  # it has just ended
            children[int(stat.rpartition(")")[2].split()[1])].append(int(path.name))
    found = [pid]
    for one in found:
        found.extend(children[one])
    return found


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def holdings(pid: int, unix_inodes: frozenset[str]) -> Holdings | None:
    """What the process holds now; None: it has ended."""
    registry = others = 0
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except OSError:
                continue  # closed just now
            of_registry = target.startswith(KINDS) or target in unix_inodes
            registry, others = registry + of_registry, others + (not of_registry)
        return Holdings(registry, others, len(os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return None


def unix_inodes() -> frozenset[str]:
    """The unix sockets of this machine, as links in /proc name them."""
    return frozenset(f"socket:[{line.split()[6]}]" for line in UNIX_TABLE.read_text().splitlines()[1:])


class Looks:
    """All looks at the processes of one program."""

    def __init__(self, name: str, pid: int, may_grow: MayGrow) -> None:
        self.name = name
        self.pid = pid
        self._may_grow = may_grow
        self._early: dict[int, list[Holdings]] = defaultdict(list)
        self._late: dict[int, list[Holdings]] = defaultdict(list)
        self._zombies: dict[int, int] = {}
        self.forever_zombies: set[int] = set()

    def look(self, inodes: frozenset[str], early: bool) -> None:
        for pid in descendants(self.pid):
            if is_zombie(pid):
                self._zombies[pid] = self._zombies.get(pid, 0) + 1
                if self._zombies[pid] >= ZOMBIE_LOOKS:
                    self.forever_zombies.add(pid)
            elif (now := holdings(pid, inodes)) is not None:
                (self._early if early else self._late)[pid].append(now)

    @property
    def lasting(self) -> list[int]:
        """The processes that were there early and late."""
        return sorted(self._early.keys() & self._late.keys())

    def rows(self) -> Iterator[list[str]]:
        """(what, early, late) for the table: the most that a process had early and the least that it had late, for the
        process in which that differs most."""
        for number, what in enumerate(Holdings._fields):
            pairs = [(_most(self._early[pid], number), _least(self._late[pid], number)) for pid in self.lasting]
            if pairs:
                early, late = max(pairs, key=lambda pair: (pair[1] - pair[0], pair[1]))
                yield [f"{self.name}: {what}", str(early), str(late)]

    def faults(self) -> Iterator[str]:
        allowed = Holdings(0, self._may_grow.others, self._may_grow.threads)
        for pid in self.lasting:
            for number, what in enumerate(Holdings._fields):
                early, late = _most(self._early[pid], number), _least(self._late[pid], number)
                if late > early + allowed[number]:
                    name = what if what == "threads" else f"descriptors ({what})"
                    yield f"{self.name}: process {pid} leaks {name}: it had at most {early}, and now at least {late}"
        for pid in sorted(self.forever_zombies):
            yield f"{self.name}: its child {pid} has ended, and nobody waits for it"


def _most(found: list[Holdings], number: int) -> int:
    return max(one[number] for one in found)


def _least(found: list[Holdings], number: int) -> int:
    return min(one[number] for one in found)
