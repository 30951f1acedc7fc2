"""The announcement in our row of the services registered here.

Owns the list of withheld services. A service that named no address has this host's, and is withheld while no address of
this host is known: a loopback address would send every reader on another host to itself.
"""

from typing import TYPE_CHECKING

from gossipreg.daemon.pump import Pump
from gossipreg.model import Address, Health, RegisteredService, Version

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class Announced:
    def __init__(self, node: "Node", pump: Pump) -> None:
        self._node = node
        self._pump = pump
        self._withheld: dict[str, None] = {}
        """By id."""

    def host(self) -> str:
        """The default address of services that named none; empty while none is known."""
        addresses = self._node.addresses
        return addresses[0].host if addresses else ""

    def register(self, service: RegisteredService, health: Health, reason: str) -> Version:
        """Announce the service, or withhold it while it has no address. Raises TooLarge; then nothing changed."""
        id = service.id
        if service.address:
            version = self._pump.command(lambda now: self._node.register(service, health, now, reason))
            self._withheld.pop(id, None)
            return version
        if id not in self._withheld:
            if id in self._node.own_services:
                self._pump.order(lambda now: self._node.deregister(id, now))
            self._withheld[id] = None
        return self._node.version

    def check_room(self, service: RegisteredService) -> None:
        """Raise TooLarge if `register` would, as things are now."""
        if service.address:
            self._node.check_room(service)

    def set_health(self, id: str, health: Health, reason: str) -> None:
        if id not in self._withheld:
            self._pump.command(lambda now: self._node.set_health(id, health, now, reason))

    def deregister(self, id: str) -> None:
        if id in self._withheld:
            del self._withheld[id]
        else:
            self._pump.order(lambda now: self._node.deregister(id, now))


def shown_address(service: RegisteredService) -> str:
    """The address of a service, for the log."""
    host = service.address or "(not known yet)"
    return str(Address(host, service.port)) if service.port else host
