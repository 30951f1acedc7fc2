"""The services registered with this sidecar: from where, with which checks, and what is kept of them.

Owns the way of a registration: checked, on the disk, told to the cluster, its checks begun, answered. Never knows how a
check is run (`checks/`), how the disk is written (`store.py`), or what a client is.

A service comes from one of four places, which says how long it stays:

    socket    `register`: kept in the data directory, until `deregister`
    attached  `register --attach`: as long as the client's connection
    flags     `join --service`: given anew at each start
    file      `join --services`: as long as it stands in the file, which is read again on SIGHUP

An id is unique here: whoever registers it again takes it over, whatever it came from. What a client was told is kept
goes before the flags and the file of the next start; a line in the log says so. What stands in the file and is not
registered any more, since somebody deregistered it or the connection that had taken it over ended, is registered again
at the next reading, and after the connection at once. Of all services the health known last
is kept, so that a restart announces them as they were, where nothing of them was changed.

With checks a service begins critical, out of the answers, and passes when they do. Registered again, the checks that it
had go on as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgpack import unpackb

from gossipreg.callers import NO_UID, Caller, the_sidecar
from gossipreg.daemon.announced import Announced
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.checks.schedule import Checks
from gossipreg.daemon.checks.spec import CheckSpec
from gossipreg.daemon.data_directory import KeptService, Statement, drop_service, keep_service
from gossipreg.daemon.health_report import ALL_LINES_A_MINUTE, failing, log_health, report
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.maintenance import EVERYTHING, Maintenance
from gossipreg.daemon.params import Registration, registration_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.store import Store
from gossipreg.errors import BadConfig, GossipregError, NotFound, Refused, RequestError
from gossipreg.model import Address, Health, Version
from gossipreg.rights import Rights
from gossipreg.wire.shapes import HEALTH_NAMES, Shape

if TYPE_CHECKING:
    from gossipreg.core.node import Node

Params = Mapping[str, Any]


class Holder(Protocol):
    """Whose connection an attached registration lives on; compared by identity."""

    gone: bool
    """Its connection has ended."""

    def lost(self, id: str, why: str) -> None:
        """What it registered does not live on it any more, though it is there."""
        ...


class Answer(NamedTuple):
    id: str
    version: Version


class FileChanges(NamedTuple):
    registered: int = 0
    deregistered: int = 0
    failed: int = 0


@dataclass(slots=True)
class _Entry:
    registration: Registration
    source: str
    trusted: bool
    """Whether who registered it may have commands run without --allow-cmd-checks."""
    health: Health
    holder: Holder | None = None
    owner: int | None = None
    """The uid that registered it: see `rights.py`."""

    def kept(self) -> KeptService:
        service = self.registration.service
        return KeptService(service.id, self.source, self.trusted, self.registration.params, self.health, self.owner)


class Services:
    def __init__(self, node: "Node", pump: Pump, store: Store, log: Log, *, allow_cmd_checks: bool,
                 rights: Rights) -> None:  # fmt: skip
        """`checks` is set by whoever makes the schedule, before anything is registered."""
        self.rights = rights
        self.audit = Audit(pump.now)
        self._sidecar = the_sidecar()
        self._announced = Announced(node, pump)
        self._store = store
        self._log = log
        self._allow_cmd_checks = allow_cmd_checks
        self._entries: dict[str, _Entry] = {}
        self._file: dict[str, bytes] = {}
        """The services file as it was read last: the parameters by id."""
        self._closed = False
        self._maintenance = Maintenance(node, pump, store, log, self.audit)
        self.checks: Checks

    # -- the start, before anything runs -----------------------------------------------------------------------------

    def start(self, kept: Sequence[KeptService], flags: Params | None, file: Sequence[Params],
              maintenance: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """Raises BadConfig for what the flags or the file ask for and cannot be done."""
        self._maintenance.start(maintenance or {})
        before = {one.id: one for one in kept}
        for one in kept:
            if one.source == "socket":
                self._restore(one)
        given = [(flags, "flags")] if flags is not None else []
        for params, source in [*given, *((params, "file") for params in file)]:
            self._start_one(params, source, before)
        for id, one in before.items():
            if one.source != "socket" and id not in self._entries:
                self._keep_later(id)

    def _restore(self, kept: KeptService) -> None:
        """Take up what was kept. What cannot be done stays on the disk, and is said."""
        try:
            params = unpackb(kept.params)
            if type(params) is not dict:
                raise ValueError("what was kept of it is no registration: register it again")
            registration = self._read(params, trusted=kept.trusted)
            self._apply(_Entry(registration, "socket", kept.trusted, kept.health, owner=kept.owner), self._sidecar)
        except (GossipregError, ValueError) as error:
            self._log.error("service_not_restored", id=kept.id, message=str(error))

    def _start_one(self, params: Params, source: str, kept: Mapping[str, KeptService]) -> None:
        try:
            registration = self._read(params, trusted=True)
            id = registration.service.id
            if source == "file":
                self._file[id] = registration.params
            if id in self._entries:
                if self._entries[id].registration.params != registration.params:
                    self._log.warning("service_kept", id=id, message=f"registered through the socket: `gossipreg "
                                      f"deregister {id}` and a restart bring back what the {source} say")  # fmt: skip
                return
            same = id in kept and kept[id].params == registration.params
            health = kept[id].health if same else Health.CRITICAL
            self._apply(_Entry(registration, source, True, health, owner=self._sidecar.uid), self._sidecar)
        except RequestError as error:
            raise BadConfig(f"the service beside this sidecar: {error}") from None
        self._keep_later(id)

    # -- requests ----------------------------------------------------------------------------------------------------

    async def register(self, params: dict[str, Any], *, by: Caller, holder: Holder | None,
                       fresh: Health = Health.CRITICAL) -> Answer:  # fmt: skip
        """It belongs to the caller from now on. Durable where there is a data directory, unless it is attached to
        `holder`. Checks that it did not have before begin as `fresh`. Raises RequestError; then nothing changed."""
        if self._closed:
            raise Refused("this sidecar is leaving: register with the one that comes after it")
        registration = self._read(params, trusted=by.trusted, who=str(by))
        owner = self._claim("register", registration.service.id, by)
        source = "socket" if holder is None else "attached"
        return await self._take(_Entry(registration, source, by.trusted, fresh, holder, owner), by)

    def _claim(self, verb: str, id: str, by: Caller) -> int | None:
        """Who owns this id once the caller has registered it. Raises NotAllowed."""
        before = self._entries.get(id)
        if before is None or by.door == "sidecar":
            return by.uid
        self.rights.check_owner(verb, id, before.owner, by)
        return self.rights.owner_after(before.owner, by)

    async def set_checks(self, id: str, checks: list[str], *, by: Caller,
                         fresh: Health = Health.CRITICAL) -> Answer:  # fmt: skip
        """The checks of a service that is registered here are these from now on. Raises RequestError."""
        if self._closed:
            raise Refused("this sidecar is leaving")
        before = self._entry(id)
        owner = self._claim("a change of the checks", id, by)
        params = {**unpackb(before.registration.params), "checks": checks}
        # A command that was taken from a trusted user stays, though another sets a check beside it.
        new = [text for text in checks if text not in {check.text for check in before.registration.checks}]
        self._read({**params, "checks": new}, trusted=by.trusted, who=str(by))
        registration = self._read(params, trusted=True)
        trusted = before.trusted or by.trusted
        after = replace(before, registration=registration, trusted=trusted, health=fresh, owner=owner)
        return await self._take(after, by, known=True)

    async def maintain(self, id: str | None, reason: str | None, *, by: Caller) -> None:
        """Take a service, or all that this sidecar has (None), out of the answers, with a reason, or (None) back in.
        Durable. Raises RequestError."""
        if id is None:
            self.rights.check("maint", by)
            await self._maintenance.set(EVERYTHING, reason, lambda: None, by=by)
        else:
            entry = self._entries.get(id)
            self._maintenance.check(id, reason, registered=entry is not None)
            self.rights.check_owner("maint", id, NO_UID if entry is None else entry.owner, by)
            await self._maintenance.set(id, reason, lambda: self._maintained(id, entry), by=by)

    def maintenance(self, id: str | None) -> str | None:
        """Why a service, or this sidecar (None), is in maintenance; None where it is not."""
        return self._maintenance.reason(EVERYTHING if id is None else id)

    def in_maintenance(self) -> list[Shape]:
        """What is in maintenance here, and why; `service` is None for the sidecar itself."""
        return [{"service": id or None, "reason": reason} for id, reason in self._maintenance.all().items()]

    async def _take(self, entry: _Entry, by: Caller, *, known: bool = False) -> Answer:
        """`known`: only where it is registered still when it is on the disk."""
        id = entry.registration.service.id

        def then() -> Answer:
            if known and id not in self._entries:
                self._keep_later(id)
                raise NotFound(f"the service {id!r} was deregistered meanwhile")
            if entry.holder is not None and entry.holder.gone:
                raise Refused("the connection that this was attached to has ended")
            try:
                owner = self._claim("register", id, by)  # another may have registered it meanwhile
                if owner != entry.owner:
                    entry.owner = owner
                    self._keep_later(id)
                return Answer(id, self._apply(entry, by))
            except RequestError:
                self._keep_later(id)  # the disk has it already
                raise

        kept = replace(entry, health=self._health(entry))
        return await self._store.commit(self._as_kept(id, kept), then)

    async def deregister(self, id: str, *, by: Caller) -> None:
        """Raises NotFound, NotAllowed."""
        self.rights.check_owner("deregister", id, self._entry(id).owner, by)
        await self._store.commit([drop_service(id)], lambda: self._drop(id, by=by))

    def detach(self, holder: Holder) -> None:
        """This connection is gone, and what lived on it goes too; what stands in the file comes back."""
        for id in [id for id, entry in self._entries.items() if entry.holder is holder]:
            gone = "the program that registered it is gone"
            if id not in self._file:
                self._drop(id, "service_detached", keeps_maintenance=True, message=gone)
                continue
            self._line("service_detached", id=id, message=f"{gone}: as the file says from now on")
            try:
                as_in_file = self._read(unpackb(self._file[id]), trusted=True)
                owner = self._sidecar.uid
                self._apply(_Entry(as_in_file, "file", True, Health.CRITICAL, owner=owner), self._sidecar)
            except RequestError as error:
                self._drop(id)
                self._log.error("service_not_followed", id=id, message=str(error))
            self._keep_later(id)

    def heartbeat(self, id: str, health: Health, note: str, check: str | None = None, *, by: Caller) -> None:
        """Raises NotFound where there is no such service, or none of its checks (or not this one) is a ttl, and
        NotAllowed where it is another's."""
        self.rights.check_owner("heartbeat", id, self._entry(id).owner, by)
        self.checks.heartbeat(id, health, note, check)

    def close(self) -> None:
        """We are leaving: nothing more is taken."""
        self._closed = True

    async def follow_file(self, file: Sequence[Params], *, allow_empty: bool = False) -> FileChanges:
        """The services file was read again: what changed changes, what is gone is taken out, what is not registered any
        more comes back. An empty one is taken for a file that is just being written, unless `allow_empty`. Raises
        RequestError before anything is done; what cannot be done later is said in the log."""
        if self._file and not file and not allow_empty:
            raise Refused(f"it names no service, and {len(self._file)} were registered from it: `gossipreg reload "
                          "--allow-empty` takes them out")  # fmt: skip
        wanted = {one.service.id: one for one in (self._read(params, trusted=True) for params in file)}
        done = FileChanges()
        for id in dict.fromkeys([*self._file, *wanted]):
            try:
                one = await self._follow_one(id, wanted.get(id))
            except RequestError as error:  # the next reading tries again
                self._log.error("service_not_followed", id=id, message=str(error))
                one = FileChanges(failed=1)
            done = FileChanges(*map(sum, zip(done, one, strict=True)))
        return done

    async def _follow_one(self, id: str, wanted: Registration | None) -> FileChanges:
        if wanted is None:
            ours = id in self._entries and self._entries[id].source == "file"
            if ours:
                await self.deregister(id, by=self._sidecar)
            self._file.pop(id, None)
            return FileChanges(deregistered=int(ours))
        if id in self._entries and self._file.get(id) == wanted.params:
            return FileChanges()
        await self._take(_Entry(wanted, "file", True, Health.CRITICAL, owner=self._sidecar.uid), self._sidecar)
        self._file[id] = wanted.params
        return FileChanges(registered=1)

    def follow_address(self) -> None:
        """Our address changed: services whose address was not named follow it."""
        host = self._announced.host()
        for id, entry in self._entries.items():
            if not entry.registration.host_given and entry.registration.service.address != host:
                params = unpackb(entry.registration.params)
                entry.registration = registration_untrusted("register", params, default_host=host)
                try:
                    self._tell(entry)
                except RequestError as error:  # it was withheld, and now there is no room for it
                    self._log.error("service_not_announced", id=id, message=str(error))

    # -- what checks say ---------------------------------------------------------------------------------------------

    def checked(self, id: str, health: Health) -> None:
        """Its checks make this its health from now on."""
        entry = self._entries[id]
        self._health_line(id, health, before=HEALTH_NAMES[entry.health])
        entry.health = health
        self._show_again(id)
        self._keep_later(id)

    def endpoints(self) -> list[tuple[str, str, int]]:
        """(id, host, port) of the services that are in the answers and say where they listen."""
        services = [entry.registration.service for entry in self._entries.values() if entry.health < Health.CRITICAL]
        return [(service.id, service.address, service.port) for service in services if service.port]

    def refuses(self, id: str) -> None:
        """It refused a connection, and nobody will check it for a while: out of the answers."""
        if id in self._entries:
            self._log.warning("service_refuses", id=id, message="it takes no connections: not held in the answers")
            self.checked(id, Health.CRITICAL)

    def kept_out(self, id: str) -> None:
        """A check of it has spoken for the first time, and did not let it into the answers."""
        self._health_line(id, self._entries[id].health)

    def expired(self, id: str, why: str) -> None:
        """It failed for so long that it is to be taken out."""
        self._drop(id, "service_expired", "warning", message=why)
        self._keep_later(id)

    def report(self, id: str) -> list[Shape]:
        """What is known of the checks of a service of ours, for `lookup --all`. Never gossiped."""
        return report(self.checks, id)

    def failing(self) -> list[Shape]:
        """The checks that do not pass, for `info`; no more than a few."""
        return failing(self.checks, (id for id, entry in self._entries.items() if entry.health is not Health.PASSING))

    def _health_line(self, id: str, health: Health, **fields: Field) -> None:
        log_health(self._log, self.checks, id, health, **fields)

    def _line(self, kind: str, level: str = "info", /, **fields: Field) -> None:
        self._log.line(level, kind, fields, kind_burst=ALL_LINES_A_MINUTE)

    # -- leaves ------------------------------------------------------------------------------------------------------

    def _read(self, params: Params, *, trusted: bool, who: str = "this user") -> Registration:
        registration = registration_untrusted("register", dict(params), default_host=self._announced.host())
        commands = [check for check in registration.checks if check.kind == "cmd"]
        if commands and not (trusted or self._allow_cmd_checks):
            raise Refused(f"{_shown(commands[0])} is not taken from {who}, since it runs as the user of the sidecar: "
                          "start that with --allow-cmd-checks, or use another kind of check")  # fmt: skip
        return registration

    def _apply(self, entry: _Entry, by: Caller) -> Version:
        """Tell the cluster, begin the checks; those that are new begin with the entry's health, and what comes of all
        of them is its health from now on. Raises RequestError; then nothing changed."""
        id, fresh = entry.registration.service.id, entry.health
        entry.health = self._health(entry)
        version = self._tell(entry)
        before, self._entries[id] = self._entries.get(id), entry
        if before is None or (before.registration.params, before.source) != (entry.registration.params, entry.source):
            service = entry.registration.service
            if before is not None and before.holder is not entry.holder:
                _tell_holder(before, "was registered anew by another")
            self._line(
                "service_registered" if before is None else "service_updated", id=id, name=service.name,
                address=str(Address(service.address or "(not known yet)", service.port)), source=entry.source,
                checks=len(entry.registration.checks), health=HEALTH_NAMES[entry.health],
                **self.audit.record("register", id, by),
            )  # fmt: skip
        self.checks.set(id, entry.registration.checks, fresh)
        return version

    def _health(self, entry: _Entry) -> Health:
        return self.checks.health(entry.registration.service.id, entry.registration.checks, entry.health)

    def _tell(self, entry: _Entry) -> Version:
        service = entry.registration.service
        health, reason = self._maintenance.shown(service.id, entry.health)
        return self._announced.register(service, health, reason)

    def _maintained(self, id: str, before: _Entry | None) -> None:
        if id not in self._entries and before is not None and before.holder is None:
            self._maintenance.forget(id)  # it was deregistered meanwhile
        self._show_again(id)

    def _show_again(self, id: str) -> None:
        if id in self._entries:
            health, reason = self._maintenance.shown(id, self._entries[id].health)
            self._announced.set_health(id, health, reason)

    def _entry(self, id: str) -> _Entry:
        entry = self._entries.get(id)
        if entry is None:
            raise NotFound(f"no service {id!r} is registered here: see `gossipreg services`")
        return entry

    def _drop(self, id: str, kind: str = "service_deregistered", level: str = "info", *, by: Caller | None = None,
              keeps_maintenance: bool = False, **fields: Field) -> None:  # fmt: skip
        """Take it out; `kind` and so on is the line that says so; `by`: who asked for it, where somebody did."""
        entry = self._entries.pop(id, None)
        if entry is not None:  # two clients may have asked
            if not keeps_maintenance:
                self._maintenance.forget(id)
            self._line(kind, level, id=id, **fields, **self.audit.record("deregister", id, by or self._sidecar))
            _tell_holder(entry, "was deregistered")
            self.checks.remove(id)
            self._announced.deregister(id)

    def _as_kept(self, id: str, entry: _Entry | None) -> list[Statement]:
        return [drop_service(id) if entry is None or entry.source == "attached" else keep_service(entry.kept())]

    def _keep_later(self, id: str) -> None:
        self._store.commit_later(f"service {id}", lambda: self._as_kept(id, self._entries.get(id)))


def _tell_holder(entry: _Entry, why: str) -> None:
    if entry.holder is not None and not entry.holder.gone:
        entry.holder.lost(entry.registration.service.id, why)


def _shown(check: CheckSpec) -> str:
    return f"the check {check.text[:60]!r}"
