"""Services, or this whole sidecar, that an operator has taken out of the answers until maintenance is ended.

Owns the list of them, with the reasons. A service in maintenance has that health whatever its checks say; the checks go
on. A sidecar in maintenance announces it in its own entry (status draining), and every member then treats all its
services as in maintenance.

Maintenance belongs to an id, not to a registration. It stays when a program under `exec` or `register --attach` ends
and comes back, and over a restart with a data directory. Only `deregister` ends it together with the service.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gossipreg.callers import Caller
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.data_directory import drop_maintenance, keep_maintenance
from gossipreg.daemon.kept import Statement
from gossipreg.daemon.logs import Log
from gossipreg.daemon.params import remark
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.store import Store, Write
from gossipreg.errors import NotFound, TooLarge
from gossipreg.model import Health

if TYPE_CHECKING:
    from gossipreg.core.node import Node

EVERYTHING = ""
"""In place of a service's id: the sidecar itself."""
KEPT_MAX = 8192
"""Ids in maintenance at once: twice as many as there can be services, since some wait for a program to come back."""


class Maintenance:
    def __init__(self, node: "Node", pump: Pump, store: Store, log: Log, audit: Audit) -> None:
        self._node = node
        self._pump = pump
        self._store = store
        self._log = log
        self._audit = audit
        self._reasons: dict[str, str] = {}

    def start(self, kept: Mapping[str, str]) -> None:
        """As it was when this sidecar ended; before any service is announced."""
        self._reasons = dict(kept)
        if EVERYTHING in self._reasons:
            reason = self._reasons[EVERYTHING]
            self._pump.order(lambda now: self._node.drain(True, now, reason))
            self._log.warning("maintenance", message="this sidecar starts in maintenance: all its services are out of "
                              "the answers until `gossipreg maint --off`", reason=reason)  # fmt: skip

    def reason(self, id: str) -> str | None:
        """The reason; None if it is not in maintenance."""
        return self._reasons.get(id)

    def all(self) -> dict[str, str]:
        """Every id in maintenance, the oldest first, with the reason."""
        return dict(self._reasons)

    def shown(self, id: str, health: Health) -> tuple[Health, str]:
        """The health to announce for a service whose checks have this health, and the reason if it is in
        maintenance."""
        reason = self._reasons.get(id)
        return (health, "") if reason is None else (Health.MAINTENANCE, reason)

    def check(self, id: str, reason: str | None, *, missing: NotFound | None) -> None:
        """Raise `missing`, the error for a service that is not registered, unless it is in maintenance; raise TooLarge
        if there are too many already."""
        if id != EVERYTHING and missing is not None and (reason is not None or id not in self._reasons):
            raise missing
        if reason is not None and id not in self._reasons and len(self._reasons) >= KEPT_MAX:
            raise TooLarge(f"{KEPT_MAX} services of this sidecar are in maintenance already: end some with --off")

    def set(self, id: str, reason: str | None, then: Callable[[], None], *, by: Caller) -> Write[bool]:
        """Begin maintenance with this reason, or (None) end it. `then` announces it at once, and it is written after
        that: a full disk must not prevent anybody from taking a service out. The result is whether it is durable.
        Raises BadParams for a reason with characters that cannot be seen."""
        if reason is not None:
            remark("reason", reason)

        def apply() -> None:
            changed = self._reasons.get(id) != reason
            self._reasons.pop(id, None)
            if reason is not None:
                self._reasons[id] = reason
            if id == EVERYTHING:
                self._pump.order(lambda now: self._node.drain(reason is not None, now, reason or ""))
            if changed:
                self._write_line(id, reason, by)
            then()

        return self._store.apply_first(f"maintenance {id}", lambda: self._as_kept(id), apply)

    def _write_line(self, id: str, reason: str | None, by: Caller) -> None:
        who = self._audit.record("maint on" if reason is not None else "maint off", id, by)
        what = "this sidecar with all its services" if id == EVERYTHING else f"the service {id}"
        if reason is None:
            self._log.info("maintenance_over", id=id, message=f"{what} is back in the answers", **who)
        else:
            self._log.warning("maintenance", id=id, reason=reason, message=f"{what} is out of the answers", **who)

    def forget(self, id: str) -> None:
        """The service was deregistered."""
        if self._reasons.pop(id, None) is not None:
            self._store.commit_later(f"maintenance {id}", lambda: self._as_kept(id))

    def _as_kept(self, id: str) -> list[Statement]:
        reason = self._reasons.get(id)
        return [drop_maintenance(id) if reason is None else keep_maintenance(id, reason)]
