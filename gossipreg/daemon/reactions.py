"""What follows from each event and change that the core reports, in one written order."""

import trio

from gossipreg.core.effects import Event
from gossipreg.daemon.client_calls import LocalApi
from gossipreg.daemon.ending import Ending
from gossipreg.daemon.keeping import Keeping
from gossipreg.daemon.log_events import in_words, log_event
from gossipreg.daemon.logs import Log
from gossipreg.daemon.own_addresses import FollowAddresses
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.services import Services
from gossipreg.daemon.troubles import Troubles


class Reactions:
    def __init__(
        self, pump: Pump, local: LocalApi, services: Services, addresses: FollowAddresses, keeping: Keeping,
        ending: Ending, troubles: Troubles, log: Log, *, cluster: str,
    ) -> None:  # fmt: skip
        """React to all that the pump reports from now on. Gateways follow `pump.changes` by themselves while they run.
        `cluster` is ours."""
        self.synced = trio.Event()
        """Set when this sidecar is synced for the first time."""
        self._cluster = cluster
        self._log = log
        self._troubles = troubles
        self._addresses = addresses
        self._keeping = keeping
        self._ending = ending
        pump.changes.follow("state", local.state.look)
        pump.changes.follow("watches", local.watches.publish)
        pump.members.follow("state", local.state.look)
        pump.changes.follow("aliases", services.health.look_at_aliases)
        pump.events.follow("event", self._on_event)

    def _on_event(self, event: Event) -> None:
        match event.kind:
            case "synced":
                self.synced.set()
            case "moved":
                self._addresses.changed()
            case "generation_raised":
                self._keeping.keep_generation(int(dict(event.fields)["generation"]))
        self._troubles.on_event(event, in_words(event, cluster=self._cluster))
        log_event(self._log, event, cluster=self._cluster, leaving=self._ending.leaving)
