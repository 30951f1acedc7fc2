"""Who looks on: checkers, recorders, and what measures.

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
