"""The health of the services registered here, from their checks, the sidecar's own checks and maintenance.

Owns the health that is announced of a service: the worst of its checks and of the sidecar's own, or maintenance. Also
owns what follows from the result of a check, and what is shown of checks. Never knows how a service is registered, or
kept.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING

from gossipreg.daemon.aliases import Aliases
from gossipreg.daemon.announced import Announced
from gossipreg.daemon.checks.schedule import Checks, Runner
from gossipreg.daemon.checks.spec import Kind
from gossipreg.daemon.entries import Entry
from gossipreg.daemon.health_report import failing, log_health
from gossipreg.daemon.kept import Moment
from gossipreg.daemon.known_health import KnownHealth
from gossipreg.daemon.logs import Log
from gossipreg.daemon.maintenance import Maintenance
from gossipreg.daemon.node_checks import NODE, NodeChecks
from gossipreg.daemon.store import Store
from gossipreg.model import Change, Health, Version
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class ServiceHealth:
    def __init__(
        self, node: "Node", announced: Announced, store: Store, log: Log, entries: Mapping[str, Entry],
        maintenance: Maintenance, *, rng: Random, runners: Mapping[Kind, Runner], now: Callable[[], Moment],
        bug: Callable[[str, Exception], None], expired: Callable[[str, str], None],
        changed: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`expired(id, why)`: a service failed for so long that it is to be taken out. `changed(NODE)`: the sidecar has
        other checks of its own."""
        self._announced = announced
        self._log = log
        self._entries = entries
        self._maintenance = maintenance
        self._expired = expired
        aliases = Aliases(node, lambda: self.node_checks.health)
        self.checks = Checks(
            changed=self._checked, expired=self._take_out, kept_out=self._kept_out, rng=rng, bug=bug,
            spoke=lambda *which: self.known.spoke(*which), runners={**runners, "alias": aliases.run},
        )  # fmt: skip
        self.known = KnownHealth(store, self.checks.statuses, now)
        self.node_checks = NodeChecks(store, log, self.checks, self.announce_all, lambda: changed(NODE))

    # -- what is announced -------------------------------------------------------------------------------------------

    def register(self, entry: Entry) -> Version:
        """Announce the service as it is now. Raises TooLarge; then nothing changed."""
        return self._announced.register(entry.registration.service, *self._shown(entry))

    def announce(self, id: str) -> None:
        """Announce the health of a service again if it is registered."""
        if id in self._entries:
            self._announced.set_health(id, *self._shown(self._entries[id]))

    def announce_all(self) -> None:
        """The health of the sidecar's own checks changed."""
        for id in self._entries:
            self.announce(id)

    def _shown(self, entry: Entry) -> tuple[Health, str]:
        """The health to announce, and why it is in maintenance."""
        return self._maintenance.shown(entry.id, max(entry.health, self.node_checks.health))

    # -- what checks say ---------------------------------------------------------------------------------------------

    def look_at_aliases(self, changes: Sequence[Change]) -> None:
        """Run the checks that alias these changed instances at once."""
        for change in changes:
            self.checks.look_at_aliases(change.instance.service.id)

    def _checked(self, id: str, health: Health) -> None:
        """The health from the checks of this service changed."""
        self._write_line(id, health, before=HEALTH_NAMES[self._of(id)])
        if id == NODE:
            self.node_checks.health = health
            self.announce_all()
        else:
            self._entries[id].health = health
            self.announce(id)
        self.known.changed(id)

    def _kept_out(self, id: str) -> None:
        """The first result of one of its checks kept it out of the answers."""
        self._write_line(id, self._of(id))

    def _take_out(self, id: str, why: str) -> None:
        """A check of the sidecar itself takes out nothing for good, as with Consul's agents."""
        if id != NODE:
            self._expired(id, why)

    def _of(self, id: str) -> Health:
        return self.node_checks.health if id == NODE else self._entries[id].health

    def _write_line(self, id: str, health: Health, **fields: str) -> None:
        log_health(self._log, self.checks, id, health, **fields)

    # -- before a hold -----------------------------------------------------------------------------------------------

    def endpoints(self) -> list[tuple[str, str, int]]:
        """(id, host, port) of the services that are in the answers and say where they listen."""
        services = [entry.registration.service for entry in self._entries.values() if entry.health < Health.CRITICAL]
        return [(service.id, service.address, service.port) for service in services if service.port]

    def refuses(self, id: str) -> None:
        """Take a service out of the answers that refused a connection: nobody checks it during the hold."""
        if id in self._entries:
            self._log.warning(
                "service_refuses", id=id, message="it refuses connections, so it leaves the answers during the restart"
            )
            self._checked(id, Health.CRITICAL)
            self.known.forget(id)  # the earlier results of its checks must not count after the restart

    # -- for people --------------------------------------------------------------------------------------------------

    def failing(self) -> list[Shape]:
        """The checks that do not pass, for `info`; no more than a few."""
        ill = (id for id, entry in self._entries.items() if entry.health is not Health.PASSING)
        return failing(self.checks, [NODE, *ill])
