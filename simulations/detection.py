"""When the members detect that one of them has failed, and that it is back.

Owns: the times at which each member suspects the subject, holds it dead, and holds it alive again, and the figures over
several losses. Never knows: the fault.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gossipreg.core.effects import Effect, Event
from gossipreg.model import Rank
from simulations.host import Host
from simulations.observer import Observer
from simulations.scenario import Figure
from simulations.world import World


class Detection(Observer):
    """Observes the state that the other members hold of one member, the subject."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._subject: Host | None = None
        self._id = ""
        self.suspected: dict[int, float] = {}
        """World time, by the number of the observing member; a member declared dead without a suspicion counts too."""
        self.dead: dict[int, float] = {}
        self.back: dict[int, float] = {}
        """When a member that held the subject dead held it alive again."""
        world.watch(self)

    def about(self, subject: Host) -> None:
        """Make this member the subject, and forget the times of the former one."""
        self._subject, self._id = subject, subject.id.hex()
        self.suspected, self.dead, self.back = {}, {}, {}

    def all_know(self, others: int) -> Callable[[], bool]:
        """Return a condition: at least this many members hold the subject dead."""
        return lambda: len(self.dead) >= others

    def on_effect(self, host: Host, effect: Effect) -> None:
        if host is self._subject or type(effect) is not Event or dict(effect.fields).get("id") != self._id:
            return
        match effect.kind:
            case "member_suspect":
                self.suspected.setdefault(host.number, self._world.now)
            case "member_dead":
                self.suspected.setdefault(host.number, self._world.now)
                self.dead.setdefault(host.number, self._world.now)
            case "member_alive" if host.number in self.dead:
                self.back.setdefault(host.number, self._world.now)

    def after(self, host: Host) -> None:
        """Note a gossiped suspicion: it causes no event, but is a state in the table."""
        subject = self._subject
        if subject is not None and host is not subject and subject.id in host.node.touched:
            row = host.node.table.rows.get(subject.id)
            if row is not None and row.liveness.rank is Rank.SUSPECT:
                self.suspected.setdefault(host.number, self._world.now)


@dataclass(slots=True)
class Losses:
    """How soon the loss of several members, one after the other, was detected."""

    first_suspicion: list[float] = field(default_factory=list)
    """Seconds from the loss until one other member suspects it."""
    first: list[float] = field(default_factory=list)
    """... until one holds it dead."""
    known: list[float] = field(default_factory=list)
    """... until each other member does, a sample each."""
    last: list[float] = field(default_factory=list)
    """... until the last of them does, if all do."""
    knew: list[int] = field(default_factory=list)
    """The number of members that held it dead."""

    def add(self, detection: Detection, start: float, others: int) -> None:
        """Add the times of the loss that began at `start`."""
        times = [at - start for at in detection.dead.values()]
        self.first_suspicion += [min(detection.suspected.values()) - start] if detection.suspected else []
        self.first += [min(times)] if times else []
        self.known += times
        self.last += [max(times)] if len(times) == others else []
        self.knew.append(len(times))

    def figures(self) -> list[Figure]:
        return [
            Figure("first_suspicion", "s", tuple(self.first_suspicion)),
            Figure("first", "s", tuple(self.first)),
            Figure("known", "s", tuple(self.known)),
            Figure("last", "s", tuple(self.last)),
        ]
