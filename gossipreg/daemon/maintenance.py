"""Services, or this whole sidecar, taken out of the answers by an operator until told otherwise, over restarts too.

Owns which they are and why. A service in maintenance has that health whatever its checks say, which go on; a sidecar in
maintenance says so in its own entry (draining), and everybody takes all its services to be.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gossipreg.daemon.data_directory import Statement, drop_maintenance, keep_maintenance
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.store import Store
from gossipreg.model import Health

if TYPE_CHECKING:
    from gossipreg.core.node import Node

EVERYTHING = ""
"""In place of a service's id: the sidecar itself."""


class Maintenance:
    def __init__(self, node: "Node", pump: Pump, store: Store) -> None:
        self._node = node
        self._pump = pump
        self._store = store
        self._reasons: dict[str, str] = {}

    def start(self, kept: Mapping[str, str]) -> None:
        """As it was when this sidecar ended; before any service is announced."""
        self._reasons = dict(kept)
        if EVERYTHING in self._reasons:
            self._pump.order(lambda now: self._node.drain(True, now))

    def reason(self, id: str) -> str | None:
        """Why; None where it is not."""
        return self._reasons.get(id)

    def shown(self, id: str, health: Health) -> Health:
        """What is told of a service that is well or ill like this."""
        return Health.MAINTENANCE if id in self._reasons else health

    async def set(self, id: str, reason: str | None, then: Callable[[], None]) -> None:
        """None: it is over. `then` tells it, when it is on the disk."""

        def apply() -> None:
            self._reasons.pop(id, None)
            if reason is not None:
                self._reasons[id] = reason
            if id == EVERYTHING:
                self._pump.order(lambda now: self._node.drain(reason is not None, now))
            then()

        await self._store.commit([drop_maintenance(id) if reason is None else keep_maintenance(id, reason)], apply)

    def forget(self, id: str) -> None:
        """There is no such service any more."""
        if self._reasons.pop(id, None) is not None:
            self._store.commit_later(f"maintenance {id}", lambda: self._as_kept(id))

    def _as_kept(self, id: str) -> list[Statement]:
        reason = self._reasons.get(id)
        return [drop_maintenance(id) if reason is None else keep_maintenance(id, reason)]
