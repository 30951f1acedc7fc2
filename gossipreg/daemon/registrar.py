"""The services registered with this sidecar: taken in, changed and taken out.

Owns the entries, and the steps of a registration: write it to the disk, announce it, begin its checks. Never knows who
may ask for that (`services.py`), how a check is run (`checks/`) or how the disk is written (`service_records.py`).
"""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from msgpack import unpackb

from gossipreg.callers import Caller, the_sidecar
from gossipreg.daemon.admission import Admission
from gossipreg.daemon.announced import Announced, shown_address
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.checks.schedule import Runner
from gossipreg.daemon.checks.spec import CheckSpec, Kind
from gossipreg.daemon.checks.state import Beginning
from gossipreg.daemon.entries import Answer, Entry
from gossipreg.daemon.health_report import ALL_LINES_A_MINUTE
from gossipreg.daemon.kept import Moment
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.maintenance import Maintenance
from gossipreg.daemon.params import registration_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.service_health import ServiceHealth
from gossipreg.daemon.service_records import ServiceRecords
from gossipreg.daemon.store import Store, Write
from gossipreg.errors import NotFound, Refused, RequestError
from gossipreg.feed import Feed
from gossipreg.model import Health, Version
from gossipreg.rights import Rights
from gossipreg.wire.shapes import HEALTH_NAMES

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class Registrar:
    def __init__(self, node: "Node", pump: Pump, store: Store, log: Log, *, allow_cmd_checks: bool, rights: Rights,
                 rng: Random, runners: Mapping[Kind, Runner], now: Callable[[], Moment]) -> None:  # fmt: skip
        """`rng` spreads the checks, `runners` run them; `now` dates the health that is kept of them."""
        self.rights = rights
        self.audit = Audit(pump.now)
        self.sidecar = the_sidecar()
        self.log = log
        self.entries: dict[str, Entry] = {}
        """By id."""
        self.changed: Feed[str] = Feed(pump.bug)
        """The ids of services that were registered, registered anew, or taken out; NODE: one of the sidecar's own
        checks was set or removed."""
        self.records = ServiceRecords(store, self.entries)
        self._announced = Announced(node, pump)
        self.admission = Admission(self._announced.host, self._checks_of, allow_cmd_checks=allow_cmd_checks)
        self.maintenance = Maintenance(node, pump, store, log, self.audit)
        self.health = ServiceHealth(
            node, self._announced, store, log, self.entries, self.maintenance,
            rng=rng, runners=runners, now=now, bug=pump.bug, expired=self._expired, changed=self.changed.publish,
        )  # fmt: skip

    def claim(self, verb: str, id: str, by: Caller) -> int | None:
        """The owner of this id once the caller has registered it. Raises NotAllowed."""
        before = self.entries.get(id)
        if before is None or by.door == "sidecar":
            return by.uid
        self.rights.check_owner(verb, id, before.owner, by)
        return self.rights.owner_after(before.owner, by)

    async def take(self, entry: Entry, by: Caller, fresh: Health | None = None,
                    said: Mapping[str, Health] | None = None, *, known: bool = False) -> Answer:  # fmt: skip
        """Write the entry and register it. With `known` only if its id is still registered after the write."""
        if entry.must_be_durable:
            return await self.begin(entry, by, fresh, said, known=known).result()
        return await self.records.register_first(entry, self._then(entry, by, fresh, said or {}, known=known))

    def begin(self, entry: Entry, by: Caller, fresh: Health | None = None,
              said: Mapping[str, Health] | None = None, *, known: bool = False) -> Write[Answer]:  # fmt: skip
        """The same for an entry that must be durable; the write has its place in the order from now on."""
        stated = self.health.known.stated(entry.id, entry.registration.checks, said or {})

        def check() -> None:
            self._check(entry, by, known=known)
            self._announced.check_room(entry.registration.service)

        return self.records.begin(entry, stated, check, self._then(entry, by, fresh, said or {}, known=known))

    def _check(self, entry: Entry, by: Caller, *, known: bool) -> None:
        """Raise RequestError if the entry must not be registered as things are now; give it its owner."""
        if known and entry.id not in self.entries:
            raise NotFound(f"the service {entry.id!r} was deregistered meanwhile")
        if entry.holder is not None and entry.holder.gone:
            raise Refused("the connection to which this service was attached has ended")
        entry.owner = self.claim("register", entry.id, by)  # another may have registered it meanwhile

    def _then(self, entry: Entry, by: Caller, fresh: Health | None, said: Mapping[str, Health], *,
              known: bool) -> Callable[[], Answer]:  # fmt: skip
        """Return the function that registers the entry once its record may be written. It raises RequestError for what
        has changed since the record was written."""

        def then() -> Answer:
            written = entry.owner
            self._check(entry, by, known=known)
            answer = Answer(entry.id, self.apply(entry, self._beginning(entry, fresh, said), by))
            if entry.owner != written:
                self.records.write_later(entry.id)
            return answer

        return then

    def _beginning(self, entry: Entry, fresh: Health | None, said: Mapping[str, Health]) -> Beginning:
        """The initial health of the checks that are new to this service."""
        before = self.entries.get(entry.id)
        if before is None and entry.holder is not None and self.health.known.knows(entry.id):
            return self.restored(entry.id)  # the sidecar was restarted, and the program has found it again
        if fresh is None:
            fresh = Health.CRITICAL if before is None else before.health
        return Beginning(fresh, dict(said))

    def restored(self, id: str) -> Beginning:
        return Beginning(restored=partial(self.health.known.restored, id))

    def apply(self, entry: Entry, beginning: Beginning, by: Caller) -> Version:
        """Announce the service and begin its checks, whose worst is its health from now on. Raises RequestError; then
        nothing changed."""
        id, checks = entry.id, entry.registration.checks
        entry.health = self.health.checks.health(id, checks, beginning)
        version = self.health.register(entry)
        before, self.entries[id] = self.entries.get(id), entry
        if before is None or (before.registration.params, before.source) != (entry.registration.params, entry.source):
            service = entry.registration.service
            if before is not None and before.holder is not entry.holder:
                before.tell_holder("was registered again by another program")
            self.log_line(
                "service_registered" if before is None else "service_updated", id=id, name=service.name,
                address=shown_address(service), source=entry.source,
                checks=len(checks), health=HEALTH_NAMES[entry.health],
                **self.audit.record("register", id, by),
            )  # fmt: skip
        self.health.checks.set(id, checks, beginning)
        self.health.known.changed(id)
        self.changed.publish(id)
        return version

    def drop(self, id: str, kind: str = "service_deregistered", level: str = "info", *,
              keeps_maintenance: bool = False, by: Caller | None = None, **fields: Field) -> None:  # fmt: skip
        """Take it out; `kind`, `level` and `fields` are those of the log line."""
        entry = self.entries.pop(id, None)
        if entry is not None:  # two clients may have asked
            if not keeps_maintenance:
                self.maintenance.forget(id)
            self.log_line(kind, level, id=id, **fields, **self.audit.record("deregister", id, by or self.sidecar))
            entry.tell_holder("was deregistered")
            self.health.checks.remove(id)
            self.health.known.forget(id)
            self._announced.deregister(id)
            self.changed.publish(id)

    def follow_address(self) -> None:
        """Announce our new address for the services that named none."""
        host = self._announced.host()
        for id, entry in self.entries.items():
            if not entry.registration.host_given and entry.registration.service.address != host:
                params = unpackb(entry.registration.params)
                entry.registration = registration_untrusted("register", params, default_host=host)
                try:
                    self.health.register(entry)
                except RequestError as error:  # it was withheld, and now there is no room for it
                    self.log.error("service_not_announced", id=id, message=str(error))

    def _expired(self, id: str, why: str) -> None:
        """Take out a service that was critical for its `deregister_after`."""
        self.drop(id, "service_expired", "warning", message=why)
        self.records.write_later(id)

    def _checks_of(self, id: str) -> tuple[CheckSpec, ...]:
        entry = self.entries.get(id)
        return () if entry is None else entry.registration.checks

    def log_line(self, kind: str, level: str = "info", /, **fields: Field) -> None:
        self.log.line(level, kind, fields, kind_burst=ALL_LINES_A_MINUTE)
