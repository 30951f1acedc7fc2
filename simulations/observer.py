"""Observers: checkers, recorders, and measurements.

Owns: what can be seen from outside. Never knows: what is looked for. An observer changes nothing: with it and without
it a run is the same.
"""

from gossipreg.core.effects import Effect
from gossipreg.model import Address
from simulations.host import Host


class Observer:
    """Looks on. The world calls; what is not of interest is not overridden."""

    def on_effect(self, host: Host, effect: Effect) -> None:
        """Anything but a Send."""

    def on_arrival(self, host: Host, datagram: bytes, source: Address) -> None:
        """This datagram is handed to the member next."""

    def after(self, host: Host) -> None:
        """An input of this member was handled; `host.node.touched` are the rows that it changed."""

    def on_fault(self, what: str, hosts: tuple[Host, ...]) -> None:
        """Something was done to these members."""


class Observers:
    """All observers of a world, by what they are told. Only a method that the observer overrides is called, so that
    what nobody looks at costs nothing."""

    def __init__(self) -> None:
        self.effect: list[Observer] = []
        self.arrival: list[Observer] = []
        self.step: list[Observer] = []
        self.fault: list[Observer] = []

    def add(self, observer: Observer) -> None:
        """Have this observer told from now on."""
        kind = type(observer)
        if kind.on_effect is not Observer.on_effect:
            self.effect.append(observer)
        if kind.on_arrival is not Observer.on_arrival:
            self.arrival.append(observer)
        if kind.after is not Observer.after:
            self.step.append(observer)
        if kind.on_fault is not Observer.on_fault:
            self.fault.append(observer)
