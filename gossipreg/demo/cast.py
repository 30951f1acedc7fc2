"""All that the demonstration has: the hosts, the links between them, the customers and the teller."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gossipreg.demo.crowd import Crowd
from gossipreg.demo.hosts import DemoHost
from gossipreg.demo.layout import ProgramPlan
from gossipreg.demo.links import Links
from gossipreg.demo.lookout import Lookout
from gossipreg.demo.orders import Orders
from gossipreg.demo.teller import Teller, enumerated

BOUND_S = 30.0
"""A claim that is not true by then counts as a fault: the slowest takes a few seconds, but machines may be busy."""


@dataclass(slots=True)
class Cast:
    hosts: Sequence[DemoHost]
    links: Links
    lookout: Lookout
    orders: Orders
    crowd: Crowd
    teller: Teller
    folder: Path
    key: Path
    faults: list[str] = field(default_factory=list)
    """Claims that did not come true."""

    def host(self, name: str) -> DemoHost:
        return next(host for host in self.hosts if host.name == name)

    def program(self, name: str) -> tuple[DemoHost, ProgramPlan]:
        return next((host, one) for host in self.hosts for one in host.plan.programs if one.name == name)

    def start(self, host: DemoHost) -> None:
        """Start what does not run of this host."""
        host.start(self.key, [one.advertised for one in self.hosts])

    def beside(self, name: str) -> list[str]:
        """The hosts from which this one can be seen: their sidecars answer, and no cut lies between."""
        observers = self.lookout.observers(name)
        side = self.links.side_of(name, observers)
        return [other for other in observers if other in side]

    def report(
        self,
        event: str,
        found: dict[str, float],
        observers: Sequence[str],
        claim: str,
        *,
        whom: str = "others",
        **facts: object,
    ) -> None:
        """Tell when each observer knew what is claimed: `claim` follows "All 4 WHOM know"."""
        late = [name for name in observers if name not in found]
        if not observers:
            self.teller.tell(event, f"Nobody is left who could know {claim}.", seconds=None, **facts)
        elif late:
            text = f"After {BOUND_S:g} s {enumerated(late)} did not know {claim}."
            self.faults.append(text)
            self.teller.tell(event, text, seconds=None, late=late, **facts)
        else:
            who = f"All {len(observers)} {whom} know" if len(observers) > 1 else f"{observers[0]} knows"
            text = f"{who} {claim} after {max(found.values()):.1f} s."
            self.teller.tell(event, text, seconds=round(max(found.values()), 2), observers=list(observers), **facts)
