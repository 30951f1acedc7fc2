"""The services registered with this sidecar.

Owns the steps of a registration: admit it, write it to the disk, announce it, begin its checks, answer. Never knows how
a check is run (`checks/`), how the disk is written (`service_records.py`), or what a client is.

The source of a service decides how long it stays:

    socket    `register`: kept in the data directory, until `deregister`
    attached  `register --attach`: as long as the client's connection
    flags     `join --service`: given anew at each start
    file      `join --services`: as long as it stands in the file, which is read again on SIGHUP

An id is unique here: a new registration takes it over, whatever its source was. At a start, a durable registration of a
client takes precedence over the flags and the file, and the log says so. A service of the file that somebody
deregistered is registered again at the next reading; one that a connection had taken over, as soon as that connection
ends.

A service with checks begins critical, out of the answers, and passes when they do. A service that is registered again
keeps its health until one of its checks gives another one, whatever was edited. After a restart of the sidecar a health
counts as long as `known_health.py` says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import trio
from msgpack import unpackb

from gossipreg.callers import NO_UID, Caller, the_sidecar
from gossipreg.daemon.admission import Admission
from gossipreg.daemon.announced import Announced, shown_address
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.checks.schedule import RUNNERS, Runner
from gossipreg.daemon.checks.spec import CheckSpec, Kind
from gossipreg.daemon.checks.state import Beginning
from gossipreg.daemon.entries import (
    Answer,
    CheckGiven,
    Entry,
    FileChanges,
    Holder,
    entry_of,
    named,
    not_registered,
    with_check_labels,
    with_checks,
    without_check,
)
from gossipreg.daemon.file_services import FileServices
from gossipreg.daemon.health_report import ALL_LINES_A_MINUTE, report
from gossipreg.daemon.kept import KeptService, KeptState, Moment, Statement
from gossipreg.daemon.known_health import moment_now
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.maintenance import EVERYTHING, Maintenance
from gossipreg.daemon.node_checks import NODE
from gossipreg.daemon.params import registration_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.service_health import ServiceHealth
from gossipreg.daemon.service_records import ServiceRecords
from gossipreg.daemon.store import Store
from gossipreg.errors import BadConfig, GossipregError, Leaving, NotFound, Refused, RequestError
from gossipreg.model import Health, Version
from gossipreg.rights import Rights
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

Params = Mapping[str, Any]


class Services:
    def __init__(self, node: "Node", pump: Pump, store: Store, log: Log, *, allow_cmd_checks: bool, rights: Rights,
                 rng: Random, runners: Mapping[Kind, Runner] = RUNNERS,
                 now: Callable[[], Moment] = moment_now) -> None:  # fmt: skip
        """`rng` spreads the checks, `runners` run them; `now` dates the health that is kept of them."""
        self.rights = rights
        self.audit = Audit(pump.now)
        self._sidecar = the_sidecar()
        self._announced = Announced(node, pump)
        self._log = log
        self._admission = Admission(self._announced.host, self._checks_of, allow_cmd_checks=allow_cmd_checks)
        self._entries: dict[str, Entry] = {}
        self._records = ServiceRecords(store, self._entries)
        self._file = FileServices(
            log, self._entries,
            read=lambda params: self._admission.read(params, trusted=True),
            take=lambda wanted: self._take(Entry(wanted, "file", True, owner=self._sidecar.uid), self._sidecar),
            deregister=lambda one: self.deregister(one, by=self._sidecar),
        )  # fmt: skip
        self._closed = False
        self._merging = trio.Lock()
        """Changes of the checks that a service has are made one at a time."""
        self._maintenance = Maintenance(node, pump, store, log, self.audit)
        self.health = ServiceHealth(
            node, self._announced, store, log, self._entries, self._maintenance,
            rng=rng, runners=runners, now=now, bug=pump.bug, expired=self._expired,
        )  # fmt: skip

    # -- the start, before anything runs -----------------------------------------------------------------------------

    def start(self, kept: KeptState, flags: Params | None, file: Sequence[Params]) -> None:
        """Register what was kept, then the flags and the file. Raises BadConfig for a faulty flag or file."""
        self._maintenance.start(kept.maintenance)
        self.health.known.start(kept.healths, kept.hold)
        self.health.node_checks.start(
            kept.node_checks, self._admission.check, partial(self.health.known.restored, NODE)
        )
        before = {one.id: one for one in kept.services}
        for one in kept.services:
            if one.source == "socket":
                self._restore(one)
        given = [(flags, "flags")] if flags is not None else []
        for params, source in [*given, *((params, "file") for params in file)]:
            self._start_one(params, source)
        for id, one in before.items():
            if one.source != "socket" and id not in self._entries:
                self._records.write_later(id)
        self.health.known.started()

    def _restore(self, kept: KeptService) -> None:
        """Register a kept service again. One that cannot be registered stays on the disk, and is logged."""
        try:
            params = unpackb(kept.params)
            if type(params) is not dict:
                raise ValueError("what was kept of it is no registration: register it again")
            registration = self._admission.read(params, trusted=kept.trusted)
            entry = Entry(registration, "socket", kept.trusted, owner=kept.owner)
            self._apply(entry, self._restored(kept.id), self._sidecar)
        except (GossipregError, ValueError) as error:
            self._log.error("service_not_restored", id=kept.id, message=str(error))

    def _start_one(self, params: Params, source: str) -> None:
        try:
            registration = self._admission.read(params, trusted=True)
            id = registration.service.id
            if source == "file":
                self._file.params[id] = registration.params
            if id in self._entries:
                if self._entries[id].registration.params != registration.params:
                    self._log.warning("service_kept", id=id, message=f"registered through the socket: `gossipreg "
                                      f"deregister {id}` and a restart bring back what the {source} say")  # fmt: skip
                return
            entry = Entry(registration, source, True, owner=self._sidecar.uid)
            self._apply(entry, self._restored(id), self._sidecar)
        except RequestError as error:
            raise BadConfig(f"the service beside this sidecar: {error}") from None
        self._records.write_later(id)

    def _restored(self, id: str) -> Beginning:
        return Beginning(restored=partial(self.health.known.restored, id))

    # -- requests ----------------------------------------------------------------------------------------------------

    async def register(self, params: dict[str, Any], *, by: Caller, holder: Holder | None,
                       fresh: Health | None = None, said: Mapping[str, Health] | None = None,
                       keeps_checks: bool = False) -> Answer:  # fmt: skip
        """Register a service, which belongs to the caller from now on. Durable if there is a data directory, unless it
        is attached to `holder`. The initial health of a new check is that in `said` under its id, else `fresh`, else
        the health of the service, which is critical for a new one. With `keeps_checks` the service keeps its checks
        that are not given anew. Raises RequestError; then nothing changed."""
        if self._closed:
            raise Leaving("this sidecar is leaving: register with the one that comes after it")
        registration = self._admission.read(params, trusted=by.trusted, who=str(by))
        owner = self._claim("register", registration.service.id, by)
        entry = Entry(
            registration, "socket" if holder is None else "attached", by.trusted, Health.CRITICAL, holder, owner
        )
        if not keeps_checks:
            return await self._take(entry, by, fresh, said)
        async with self._merging:
            before = self._entries.get(entry.id)
            if before is not None:
                entry.registration = self._admission.read(with_checks(params, before.registration), trusted=True)
                entry.trusted = by.trusted or before.trusted
            return await self._take(entry, by, fresh, said)

    def _claim(self, verb: str, id: str, by: Caller) -> int | None:
        """The owner of this id once the caller has registered it. Raises NotAllowed."""
        before = self._entries.get(id)
        if before is None or by.door == "sidecar":
            return by.uid
        self.rights.check_owner(verb, id, before.owner, by)
        return self.rights.owner_after(before.owner, by)

    async def put_check(self, id: str | None, check_id: str, given: CheckGiven, *, by: Caller,
                        said: Health | None = None) -> None:  # fmt: skip
        """Set one check of a service that is registered here, or (None) of this sidecar, in the place of the one with
        that id. Durable. Raises RequestError; then nothing changed."""
        if self._closed:
            raise Leaving("this sidecar is leaving: register the check with the one that comes after it")
        if id is None:
            self.rights.check("a check of the whole node", by)
            await self.health.node_checks.put(check_id, given, said, partial(self._admission.check, who=str(by)),
                                        trusted=by.trusted)  # fmt: skip
            return
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._claim("a change of the checks", id, by)
            params = {**unpackb(before.registration.params), "checks": [named(given, check_id)]}
            self._admission.read(params, trusted=by.trusted, who=str(by))
            registration = self._admission.read(with_checks(params, before.registration), trusted=True)
            after = replace(before, registration=registration, trusted=before.trusted or by.trusted, owner=owner)
            await self._take(after, by, None, {} if said is None else {check_id: said}, known=True)

    async def describe_check(self, id: str | None, check_id: str, name: str, notes: str, *, by: Caller) -> None:
        """Give one check another name and other notes; its question stays. Durable. Raises RequestError."""
        if id is None:
            self.rights.check("a check of the whole node", by)
            await self.health.node_checks.describe(check_id, name, notes)
            return
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._claim("a change of the checks", id, by)
            params = with_check_labels(before.registration, check_id, name, notes)
            registration = self._admission.read(params, trusted=True)
            await self._take(replace(before, registration=registration, owner=owner), by, known=True)

    async def drop_check(self, id: str | None, check_id: str, *, by: Caller) -> bool:
        """Remove one check; returns whether that is durable. Raises NotFound, NotAllowed."""
        if id is None:
            self.rights.check("a check of the whole node", by)
            return await self.health.node_checks.drop(check_id)
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._claim("a change of the checks", id, by)
            read = self._admission.read(without_check(before.registration, check_id), trusted=True)

            def then() -> None:
                self._apply(replace(before, registration=read, owner=owner), Beginning(), by)

            return await self._records.tell_first(id, then)

    async def maintain(self, id: str | None, reason: str | None, *, by: Caller) -> bool:
        """Take a service, or (None) all services of this sidecar, out of the answers with this reason, or (None) back
        in; returns whether that is durable. Raises RequestError."""
        if id is None:
            self.rights.check("maint", by)
            return await self._maintenance.set(EVERYTHING, reason, lambda: None, by=by)
        entry = self._entries.get(id)
        self._maintenance.check(id, reason, missing=None if entry else not_registered(id, self._entries))
        self.rights.check_owner("maint", id, NO_UID if entry is None else entry.owner, by)
        return await self._maintenance.set(id, reason, lambda: self._maintained(id, entry), by=by)

    def maintenance(self, id: str | None) -> str | None:
        """The reason why a service, or (None) this sidecar, is in maintenance; None if it is not."""
        return self._maintenance.reason(EVERYTHING if id is None else id)

    def in_maintenance(self) -> list[Shape]:
        """The ids in maintenance, with the reasons; `service` is None for the sidecar itself."""
        return [{"service": id or None, "reason": reason} for id, reason in self._maintenance.all().items()]

    async def _take(self, entry: Entry, by: Caller, fresh: Health | None = None,
                    said: Mapping[str, Health] | None = None, *, known: bool = False) -> Answer:  # fmt: skip
        """Write the entry and register it. With `known` only if its id is still registered after the write."""
        id = entry.id

        def then() -> Answer:
            if known and id not in self._entries:
                self._records.write_later(id)
                raise NotFound(f"the service {id!r} was deregistered meanwhile")
            if entry.holder is not None and entry.holder.gone:
                raise Refused("the connection that this was attached to has ended")
            try:
                owner = self._claim("register", id, by)  # another may have registered it meanwhile
                if owner != entry.owner:
                    entry.owner = owner
                    self._records.write_later(id)
                return Answer(id, self._apply(entry, self._beginning(entry, fresh, said or {}), by))
            except RequestError:
                self._records.write_later(id)  # the disk has it already
                raise

        stated: list[Statement] = []
        if entry.must_be_durable:
            stated = self.health.known.stated(id, entry.registration.checks, said or {})
        return await self._records.register(entry, stated, then)

    def _beginning(self, entry: Entry, fresh: Health | None, said: Mapping[str, Health]) -> Beginning:
        """The initial health of the checks that are new to this service."""
        before = self._entries.get(entry.id)
        if before is None and entry.holder is not None and self.health.known.knows(entry.id):
            return self._restored(entry.id)  # the sidecar was restarted, and the program has found it again
        if fresh is None:
            fresh = Health.CRITICAL if before is None else before.health
        return Beginning(fresh, dict(said))

    async def deregister(self, id: str, *, by: Caller) -> bool:
        """Take the service out at once; returns whether that is durable. Raises NotFound, NotAllowed."""
        self.rights.check_owner("deregister", id, entry_of(self._entries, id).owner, by)
        return await self._records.tell_first(id, lambda: self._drop(id, by=by))

    def detach(self, holder: Holder) -> None:
        """Take out the services that were attached to this connection, which has ended; those in the file come back."""
        for id in [id for id, entry in self._entries.items() if entry.holder is holder]:
            gone = "the program that registered it is gone"
            if id not in self._file.params:
                self._drop(id, "service_detached", keeps_maintenance=True, message=gone)
                continue
            self._line("service_detached", id=id, message=f"{gone}: as the file says from now on")
            try:
                as_in_file = self._admission.read(unpackb(self._file.params[id]), trusted=True)
                entry = Entry(as_in_file, "file", True, owner=self._sidecar.uid)
                self._apply(entry, Beginning(), self._sidecar)
            except RequestError as error:
                self._drop(id)
                self._log.error("service_not_followed", id=id, message=str(error))
            self._records.write_later(id)

    def heartbeat(self, id: str, health: Health, note: str, check: str | None = None, *, by: Caller) -> None:
        """Pass on a heartbeat for the ttl checks of a service, or for this one; an empty id means the checks of this
        sidecar. Raises NotFound if there is no such service or ttl check, NotAllowed if the service is another
        user's."""
        if id == NODE:
            self.rights.check("a heartbeat of the whole node", by)
        elif (entry := entry_of(self._entries, id)).source not in ("flags", "file"):  # those name no user for their ttl
            self.rights.check_owner("heartbeat", id, entry.owner, by)
        self.health.checks.heartbeat(id, health, note, check)

    def close(self, hold_s: float = 0.0) -> None:
        """Refuse further registrations: we are leaving, and will be back within `hold_s` if that is above 0."""
        self._closed = True
        self.health.known.settle(hold_s)

    async def follow_file(self, file: Sequence[Params], *, allow_empty: bool = False) -> FileChanges:
        """The services file was read again: see `FileServices.follow`."""
        return await self._file.follow(file, allow_empty=allow_empty)

    def follow_address(self) -> None:
        """Announce our new address for the services that named none."""
        host = self._announced.host()
        for id, entry in self._entries.items():
            if not entry.registration.host_given and entry.registration.service.address != host:
                params = unpackb(entry.registration.params)
                entry.registration = registration_untrusted("register", params, default_host=host)
                try:
                    self.health.register(entry)
                except RequestError as error:  # it was withheld, and now there is no room for it
                    self._log.error("service_not_announced", id=id, message=str(error))

    def _expired(self, id: str, why: str) -> None:
        """Take out a service that was critical for its `deregister_after`."""
        self._drop(id, "service_expired", "warning", message=why)
        self._records.write_later(id)

    def report(self, id: str) -> list[Shape]:
        """The status of the checks of a service that is registered here, or ("") of this sidecar's. Never gossiped."""
        return report(self.health.checks, id)

    def _line(self, kind: str, level: str = "info", /, **fields: Field) -> None:
        self._log.line(level, kind, fields, kind_burst=ALL_LINES_A_MINUTE)

    # -- leaves ------------------------------------------------------------------------------------------------------

    def _checks_of(self, id: str) -> tuple[CheckSpec, ...]:
        entry = self._entries.get(id)
        return () if entry is None else entry.registration.checks

    def _apply(self, entry: Entry, beginning: Beginning, by: Caller) -> Version:
        """Announce the service and begin its checks, whose worst is its health from now on. Raises RequestError; then
        nothing changed."""
        id, checks = entry.id, entry.registration.checks
        entry.health = self.health.checks.health(id, checks, beginning)
        version = self.health.register(entry)
        before, self._entries[id] = self._entries.get(id), entry
        if before is None or (before.registration.params, before.source) != (entry.registration.params, entry.source):
            service = entry.registration.service
            if before is not None and before.holder is not entry.holder:
                before.tell_holder("was registered anew by another")
            self._line(
                "service_registered" if before is None else "service_updated", id=id, name=service.name,
                address=shown_address(service), source=entry.source,
                checks=len(checks), health=HEALTH_NAMES[entry.health],
                **self.audit.record("register", id, by),
            )  # fmt: skip
        self.health.checks.set(id, checks, beginning)
        self.health.known.changed(id)
        return version

    def _maintained(self, id: str, before: Entry | None) -> None:
        if id not in self._entries and before is not None and before.holder is None:
            self._maintenance.forget(id)  # it was deregistered meanwhile
        self.health.announce(id)

    def _drop(self, id: str, kind: str = "service_deregistered", level: str = "info", *,
              keeps_maintenance: bool = False, by: Caller | None = None, **fields: Field) -> None:  # fmt: skip
        """Take it out; `kind`, `level` and `fields` are those of the log line."""
        entry = self._entries.pop(id, None)
        if entry is not None:  # two clients may have asked
            if not keeps_maintenance:
                self._maintenance.forget(id)
            self._line(kind, level, id=id, **fields, **self.audit.record("deregister", id, by or self._sidecar))
            entry.tell_holder("was deregistered")
            self.health.checks.remove(id)
            self.health.known.forget(id)
            self._announced.deregister(id)
