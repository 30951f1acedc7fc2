"""The requests about services of this sidecar: register, deregister, change checks, take out for maintenance.

Owns which caller may do that, and in which order changes of one service are made. `registrar.py` carries them out;
`service_start.py` registers what was there before. Never knows what a client is.

The source of a service decides how long it stays:

    socket    `register`: kept in the data directory, until `deregister`
    attached  `register --attach`: as long as the client's connection
    flags     `join --service`: given anew at each start
    file      `join --services`: as long as it stands in the file, which is read again on SIGHUP

An id is unique here: a new registration takes it over, whatever its source was. A service of the file that somebody
deregistered is registered again at the next reading of the file; one that a connection had taken over, as soon as that
connection ends.

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

from gossipreg.callers import NO_UID, Caller
from gossipreg.daemon.checks.schedule import RUNNERS, Runner
from gossipreg.daemon.checks.spec import Kind
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
from gossipreg.daemon.health_report import report
from gossipreg.daemon.kept import KeptState, Moment
from gossipreg.daemon.known_health import moment_now
from gossipreg.daemon.logs import Log
from gossipreg.daemon.maintenance import EVERYTHING
from gossipreg.daemon.node_checks import NODE
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.registrar import Registrar
from gossipreg.daemon.service_start import register_at_start
from gossipreg.daemon.store import Store, Write
from gossipreg.errors import Leaving, RequestError
from gossipreg.model import Health, RegisteredService
from gossipreg.rights import Rights
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

Params = Mapping[str, Any]


class Services:
    def __init__(self, node: "Node", pump: Pump, store: Store, log: Log, *, allow_cmd_checks: bool, rights: Rights,
                 rng: Random, runners: Mapping[Kind, Runner] = RUNNERS,
                 now: Callable[[], Moment] = moment_now) -> None:  # fmt: skip
        """The arguments are those of `Registrar`."""
        self.rights = rights
        self._registrar = registrar = Registrar(
            node, pump, store, log, allow_cmd_checks=allow_cmd_checks, rights=rights, rng=rng, runners=runners, now=now
        )
        self._entries = self.entries = registrar.entries
        """By id. Only the registrar changes them."""
        self.registered = registrar.changed
        self._records = registrar.records
        self._admission = registrar.admission
        self._maintenance = registrar.maintenance
        self.audit = registrar.audit
        self.health = registrar.health
        self.follow_address = registrar.follow_address
        self._file = FileServices(
            log, registrar.entries,
            read=lambda params: registrar.admission.read(params, trusted=True),
            take=lambda wanted: registrar.take(
                Entry(wanted, "file", True, owner=registrar.sidecar.uid), registrar.sidecar
            ),
            deregister=lambda one: self.deregister(one, by=registrar.sidecar),
        )  # fmt: skip
        self._closed = False
        self._merging = trio.Lock()
        """Changes of the checks that a service has are made one at a time."""

    def start(self, kept: KeptState, flags: Params | None, file: Sequence[Params]) -> None:
        """Register what was kept, then the flags and the file. Raises BadConfig for a faulty flag or file."""
        register_at_start(self._registrar, self._file, kept, flags, file)

    async def register(self, params: dict[str, Any], *, by: Caller, holder: Holder | None,
                       fresh: Health | None = None, said: Mapping[str, Health] | None = None,
                       keeps_checks: bool = False) -> Answer:  # fmt: skip
        """Register a service, which belongs to the caller from now on. Durable if there is a data directory, unless it
        is attached to `holder`. The initial health of a new check is that in `said` under its id, else `fresh`, else
        the health of the service, which is critical for a new one. With `keeps_checks` the service keeps its checks
        that are not given anew. Raises RequestError; then nothing changed."""
        entry = self._new_entry(params, by, holder)
        if not keeps_checks:
            return await self._registrar.take(entry, by, fresh, said)
        async with self._merging:
            before = self._entries.get(entry.id)
            if before is not None:
                entry.registration = self._admission.read(with_checks(params, before.registration), trusted=True)
                entry.trusted = by.trusted or before.trusted
            return await self._registrar.take(entry, by, fresh, said)

    def begin_register(self, params: dict[str, Any], *, by: Caller) -> Write[Answer]:
        """Register a service that is attached to no connection, for a caller that has more to register before it waits
        for the disk: the registrations take effect in the order of the calls. Raises RequestError, and so does the
        result; then nothing changed."""
        return self._registrar.begin(self._new_entry(params, by, None), by)

    def _new_entry(self, params: dict[str, Any], by: Caller, holder: Holder | None) -> Entry:
        if self._closed:
            raise Leaving("this sidecar is leaving: register with its successor")
        registration = self._admission.read(params, trusted=by.trusted, who=str(by))
        owner = self._registrar.claim("register", registration.service.id, by)
        source = "socket" if holder is None else "attached"
        return Entry(registration, source, by.trusted, Health.CRITICAL, holder, owner)

    async def put_check(self, id: str | None, check_id: str, given: CheckGiven, *, by: Caller,
                        said: Health | None = None) -> None:  # fmt: skip
        """Set one check of a service that is registered here, or (None) of this sidecar, in the place of the one with
        that id. Durable. Raises RequestError; then nothing changed."""
        if self._closed:
            raise Leaving("this sidecar is leaving: register the check with its successor")
        if id is None:
            self.rights.check("a check of the whole node", by)
            await self.health.node_checks.put(check_id, given, said, partial(self._admission.check, who=str(by)),
                                        trusted=by.trusted)  # fmt: skip
            return
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._registrar.claim("a change of the checks", id, by)
            params = {**unpackb(before.registration.params), "checks": [named(given, check_id)]}
            self._admission.read(params, trusted=by.trusted, who=str(by))
            registration = self._admission.read(with_checks(params, before.registration), trusted=True)
            after = replace(before, registration=registration, trusted=before.trusted or by.trusted, owner=owner)
            await self._registrar.take(after, by, None, {} if said is None else {check_id: said}, known=True)

    async def describe_check(self, id: str | None, check_id: str, name: str, notes: str, *, by: Caller) -> None:
        """Give one check another name and other notes; its question stays. Durable. Raises RequestError."""
        if id is None:
            self.rights.check("a check of the whole node", by)
            await self.health.node_checks.describe(check_id, name, notes)
            return
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._registrar.claim("a change of the checks", id, by)
            params = with_check_labels(before.registration, check_id, name, notes)
            registration = self._admission.read(params, trusted=True)
            await self._registrar.take(replace(before, registration=registration, owner=owner), by, known=True)

    async def drop_check(self, id: str | None, check_id: str, *, by: Caller) -> bool:
        """Remove one check; returns whether that is durable. Raises NotFound, NotAllowed."""
        if id is None:
            self.rights.check("a check of the whole node", by)
            return await self.health.node_checks.drop(check_id)
        async with self._merging:
            before = entry_of(self._entries, id)
            owner = self._registrar.claim("a change of the checks", id, by)
            read = self._admission.read(without_check(before.registration, check_id), trusted=True)

            def then() -> None:
                self._registrar.apply(replace(before, registration=read, owner=owner), Beginning(), by)

            return await self._records.apply_first(id, then).result()

    async def maintain(self, id: str | None, reason: str | None, *, by: Caller) -> bool:
        """Take a service, or (None) all services of this sidecar, out of the answers with this reason, or (None) back
        in; returns whether that is durable. Raises RequestError."""
        return await self.begin_maintain(id, reason, by=by).result()

    def begin_maintain(self, id: str | None, reason: str | None, *, by: Caller) -> Write[bool]:
        """The same for a caller that has more to change before it waits for the disk. It takes effect at once."""
        if id is None:
            self.rights.check("maint", by)
            return self._maintenance.set(EVERYTHING, reason, lambda: None, by=by)
        entry = self._entries.get(id)
        self._maintenance.check(id, reason, missing=None if entry else not_registered(id, self._entries))
        self.rights.check_owner("maint", id, NO_UID if entry is None else entry.owner, by)
        return self._maintenance.set(id, reason, lambda: self._maintained(id, entry), by=by)

    def maintenance(self, id: str | None) -> str | None:
        """The reason why a service, or (None) this sidecar, is in maintenance; None if it is not."""
        return self._maintenance.reason(EVERYTHING if id is None else id)

    def in_maintenance(self) -> list[Shape]:
        """The ids in maintenance, with the reasons; `service` is None for the sidecar itself."""
        return [{"service": id or None, "reason": reason} for id, reason in self._maintenance.all().items()]

    async def deregister(self, id: str, *, by: Caller) -> bool:
        """Take the service out at once; returns whether that is durable. Raises NotFound, NotAllowed."""
        return await self.begin_deregister(id, by=by).result()

    def begin_deregister(self, id: str, *, by: Caller) -> Write[bool]:
        """The same for a caller that has more to change before it waits for the disk. It takes effect at once."""
        self.rights.check_owner("deregister", id, entry_of(self._entries, id).owner, by)
        return self._records.apply_first(id, lambda: self._registrar.drop(id, by=by))

    def detach(self, holder: Holder) -> None:
        """Take out the services that were attached to this connection, which has ended; those in the file come back."""
        for id in [id for id, entry in self._entries.items() if entry.holder is holder]:
            gone = "the program that registered it has ended"
            if id not in self._file.params:
                self._registrar.drop(id, "service_detached", keeps_maintenance=True, message=gone)
                continue
            self._registrar.log_line(
                "service_detached", id=id, message=f"{gone}; the registration of the services file is in force again"
            )
            try:
                as_in_file = self._admission.read(unpackb(self._file.params[id]), trusted=True)
                entry = Entry(as_in_file, "file", True, owner=self._registrar.sidecar.uid)
                self._registrar.apply(entry, Beginning(), self._registrar.sidecar)
            except RequestError as error:
                self._registrar.drop(id)
                self._registrar.log.error("service_not_followed", id=id, message=str(error))
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

    def report(self, id: str) -> list[Shape]:
        """The status of the checks of a service that is registered here, or ("") of this sidecar's. Never gossiped."""
        return report(self.health.checks, id)

    def names(self, id: str) -> list[str]:
        """The name of the service with this id, if it is registered here; for an empty id the names of all of them."""
        wanted = self._entries.keys() & {id} if id else self._entries
        return [self._entries[one].registration.service.name for one in wanted]

    def owned(self) -> list[tuple[RegisteredService, int | None]]:
        """The services that are registered here, each with the uid that it belongs to."""
        return [(entry.registration.service, entry.owner) for entry in self._entries.values()]

    def _maintained(self, id: str, before: Entry | None) -> None:
        if id not in self._entries and before is not None and before.holder is None:
            self._maintenance.forget(id)  # it was deregistered meanwhile
        self.health.announce(id)
