"""The commands of a node, given by its own sidecar: services, health, addresses, and leaving.

Owns: the commands. Each is one whole input, as a datagram is: it raises a RequestError and changes nothing, or returns
the effects. Never knows: what happens in an input before and after the part concerned acts (`node.py`).
"""

from abc import abstractmethod

from gossipreg.core.commons import Commons
from gossipreg.core.departure import Departure
from gossipreg.core.effects import Effect
from gossipreg.core.intake import Intake
from gossipreg.core.view import View, check_gone
from gossipreg.model import Address, Health, NodeId, Service, Version


class NodeCommands(View):
    _departure: Departure
    _intake: Intake

    @abstractmethod
    def _begin(self, now: float) -> Commons:
        """An input begins at this time."""

    @abstractmethod
    def _end(self) -> list[Effect]:
        """The input is over: what follows from it, in order."""

    def register(self, service: Service, health: Health, now: float, reason: str = "") -> tuple[Version, list[Effect]]:
        """Add a service of our own, or update the one of that id; `reason`: why it is in maintenance. Raises TooLarge;
        then nothing changed."""
        self._begin(now)
        version = self._own.register(service, health, reason)
        return version, self._end()

    def deregister(self, service_id: str, now: float) -> list[Effect]:
        """Take it out. Raises NotFound."""
        self._begin(now)
        self._own.deregister(service_id)
        return self._end()

    def set_health(self, service_id: str, health: Health, now: float, reason: str = "") -> tuple[Version, list[Effect]]:
        """`reason`: why it is in maintenance. Raises NotFound."""
        self._begin(now)
        version = self._own.set_health(service_id, health, reason)
        return version, self._end()

    def reachable_at(self, addresses: tuple[Address, ...], now: float) -> list[Effect]:
        """These are our addresses from now on, best first."""
        self._begin(now)
        self._own.reachable_at(addresses)
        return self._end()

    def drain(self, on: bool, now: float, reason: str = "") -> list[Effect]:
        """All our services are in maintenance, for this reason, or no longer."""
        self._begin(now)
        self._own.drain(on, reason)
        return self._end()

    def await_acks(self, version: Version, now: float) -> list[Effect]:
        """Ask every living member whether it holds our row at this version; the effect RowAcked says that all do.
        `acks_missing` lists those that have not answered. `stop_awaiting_acks` ends it."""
        self._begin(now)
        self._row_acks.begin(version)
        return self._end()

    def stop_awaiting_acks(self) -> None:
        """Nobody waits for them any more."""
        self._row_acks.end()

    def force_leave(self, id: NodeId, now: float) -> list[Effect]:
        """Declare a member that is dead or suspected here left, for everybody. Raises Refused where it is alive or has
        left, NotFound where it is not known."""
        self._begin(now)
        check_gone(self.member(id, now), own=id == self.id)
        self._intake.declare_left(id)
        return self._end()

    def leave(self, now: float, hold_s: float = 0.0) -> list[Effect]:
        """Tell the cluster that we go (or, with `hold_s`, that we will be back within that time); ends in Departed."""
        self._begin(now)
        self._departure.begin(hold_s)
        return self._end()
