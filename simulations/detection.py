"""When the members come to know what happened to one of them.

Owns: the times at which each suspects it, takes it for dead, and takes it for alive again, and what several such losses
add up to. Never knows: what was done.
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
    """Looks on what the others hold of one member at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._subject: Host | None = None
        self._id = ""
        self.suspected: dict[int, float] = {}
        """World time, by the number of the member that suspects; a verdict without a suspicion before it counts."""
        self.dead: dict[int, float] = {}
        self.back: dict[int, float] = {}
        """... that took it for alive after it had taken it for dead."""
        world.watch(self)

    def about(self, subject: Host) -> None:
        """Look at this one from now on."""
        self._subject, self._id = subject, subject.id.hex()
        self.suspected, self.dead, self.back = {}, {}, {}

    def all_know(self, others: int) -> Callable[[], bool]:
        """Whether so many take it for dead."""
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
        """Where suspicion is gossiped there is no event: it stands in the table."""
        subject = self._subject
        if subject is not None and host is not subject and subject.id in host.node.touched:
            row = host.node.table.rows.get(subject.id)
            if row is not None and row.liveness.rank is Rank.SUSPECT:
                self.suspected.setdefault(host.number, self._world.now)


@dataclass(slots=True)
class Losses:
    """How soon several members, lost one after the other, were known to be."""

    first_suspicion: list[float] = field(default_factory=list)
    """Seconds from the loss until one other member suspects it."""
    first: list[float] = field(default_factory=list)
    """... until one takes it for dead."""
    known: list[float] = field(default_factory=list)
    """... until each other member does."""
    last: list[float] = field(default_factory=list)
    """... until the last of them does, where all do."""
    knew: list[int] = field(default_factory=list)
    """How many took it for dead."""

    def add(self, detection: Detection, start: float, others: int) -> None:
        """What came of the loss that began then."""
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
