"""Observers: checkers, recorders, and measurements.

Owns: what can be seen of a run from outside. Never knows: what an observer is for. An observer changes nothing: a run
is the same with it and without it.
"""

from gossipreg.core.effects import Effect
from gossipreg.model import Address
from simulations.host import Host


class Observer:
    """Base class. The world calls these methods; an observer overrides those that it needs."""

    def on_effect(self, host: Host, effect: Effect) -> None:
        """The node of this member returned this effect. It is never a Send."""

    def on_arrival(self, host: Host, datagram: bytes, source: Address) -> None:
        """The node of this member receives this datagram next."""

    def after(self, host: Host) -> None:
        """The node of this member has handled an input; `host.node.touched` has the rows that it changed."""

    def on_fault(self, what: str, hosts: tuple[Host, ...]) -> None:
        """A fault of these members begins or ends."""


class Observers:
    """All observers of a world, by method. Only methods that an observer overrides are called, so that the others cost
    nothing."""

    def __init__(self) -> None:
        self.effect: list[Observer] = []
        self.arrival: list[Observer] = []
        self.step: list[Observer] = []
        self.fault: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Call this observer from now on."""
        kind = type(observer)
        if kind.on_effect is not Observer.on_effect:
            self.effect.append(observer)
        if kind.on_arrival is not Observer.on_arrival:
            self.arrival.append(observer)
        if kind.after is not Observer.after:
            self.step.append(observer)
        if kind.on_fault is not Observer.on_fault:
            self.fault.append(observer)
