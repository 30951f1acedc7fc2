"""When the members come to know what happened to one of them.

Owns: the times at which each suspects it, takes it for dead, and takes it for alive again. Never knows: what was done.
"""

from collections.abc import Callable

from gossipreg.core.effects import Effect, Event
from gossipreg.model import Rank
from simulations.host import Host
from simulations.world import Observer, World


class Knowing(Observer):
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
            row = host.node.replica.rows.get(subject.id)
            if row is not None and row.liveness.rank is Rank.SUSPECT:
                self.suspected.setdefault(host.number, self._world.now)
