"""A checker: an observer that knows one invariant and fails the run if it does not hold.

Owns: the three moments at which a checker is called, and the text of a failure. Never knows: any one invariant.

    after      an input of a member was handled (or an effect came of it): what must hold at every moment
    tick       four times a period: what must not last, and what is too expensive to check after every input
    at_rest    the faults have ended and the bound has passed: what must hold then
"""

from collections.abc import Iterator
from typing import ClassVar, NoReturn

from gossipreg.core.node import Node
from gossipreg.core.table.content import Content
from gossipreg.core.table.row import Row, State
from gossipreg.model import NodeId
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import CheckFailed
from simulations.world import START, World


class Broken(CheckFailed):
    """An invariant did not hold: the checker's name, the members concerned, the time, and the observation."""

    def __init__(self, checker: str, members: tuple[str, ...], at_s: float, what: str) -> None:
        super().__init__(f"{checker}: {what}\n  members {', '.join(members) or '-'}; at {at_s:.3f} s")
        self.checker = checker
        self.members = members
        self.at_s = at_s
        """Virtual seconds since the beginning."""
        self.what = what

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the full message when the failure is pickled by a worker process."""
        return _again, (self.checker, self.members, self.at_s, self.what, str(self))


def _again(checker: str, members: tuple[str, ...], at_s: float, what: str, message: str) -> Broken:
    broken = Broken(checker, members, at_s, what)
    broken.args = (message,)
    return broken


class Checker(Observer):
    name: ClassVar[str]
    also_for_swim: ClassVar[bool] = True
    """Whether SWIM and Lifeguard, which are run for comparison, keep the invariant too."""

    def __init__(self, world: World) -> None:
        self.world = world

    def tick(self) -> None:
        """Called every quarter of a period."""

    def at_rest(self) -> None:
        """Called once the cluster should be at rest."""

    def fail(self, what: str, *members: Host) -> NoReturn:
        raise Broken(self.name, tuple(host.name for host in members), self.world.now - START, what)

    def called(self, id: NodeId) -> str:
        """Return a member's name, for people."""
        host = self.world.by_id.get(id)
        return id.hex()[:8] if host is None else host.name

    def owner(self, id: NodeId) -> list[Host]:
        """Return the machine of this member, if there is one; to be listed in a failure."""
        host = self.world.by_id.get(id)
        return [] if host is None else [host]

    def changed(self, host: Host) -> Iterator[Row]:
        """Yield the rows of others that this member's last input has changed."""
        table = host.node.table
        for id in host.node.touched:
            row = table.rows.get(id)
            if row is not None and row is not table.own:
                yield row

    def declared_dead(self, host: Host) -> Iterator[NodeId]:
        """Yield the members that this one has declared dead in its last input."""
        node = host.node
        for id in node.touched:
            row = node.table.rows.get(id)
            if row is None or row.state is not State.DEAD:
                continue
            if row.reporter == host.id and row.changed_at == node.inspect().now:
                yield id

    def running(self) -> list[tuple[Host, Node]]:
        """Return the members that are up, with their nodes."""
        return [(host, host.node) for host in self.world.hosts if host.up]


def stored(row: Row) -> list[Content]:
    """Return the stored contents of a row: the content, and the full row that is being pulled to replace it."""
    return [content for content in (row.content, row.shadow) if content is not None and content.head >= 0]
