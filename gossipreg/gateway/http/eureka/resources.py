"""The handlers of the paths below `/eureka`: reads from the catalog, writes through the sidecar's registrations.

Owns which answer has which status. A registration is answered 204, since eureka-js-client gives up for good on anything
else; the heartbeat of an instance that is not registered here is answered 404, which makes every client register again.
That also covers a sidecar that has restarted: it does not know what a client said before, so the first heartbeat that
says no status gets 404. A heartbeat renews the ttl check in memory: it writes to no disk and sends no gossip unless the
health changes.
"""

import time
from collections.abc import Awaitable, Iterable
from typing import Any

import trio

from gossipreg.core.view import View
from gossipreg.errors import GossipregError, NotFound
from gossipreg.gateway.http.ask import one
from gossipreg.gateway.http.eureka import leases
from gossipreg.gateway.http.eureka.applications import application, applications, has_vip, hash_code, passing
from gossipreg.gateway.http.eureka.documents import read_document_untrusted, write_document
from gossipreg.gateway.http.eureka.instances import (
    PREFIX,
    STATUSES,
    Document,
    document_of,
    for_xml,
    instance_id,
)
from gossipreg.gateway.http.eureka.recent import Recent
from gossipreg.gateway.http.spellings import folded
from gossipreg.gateway.http.writes import DONE, done, in_http
from gossipreg.model import CatalogInstance, Change, RegisteredService
from gossipreg.net.http_message import HttpError, Request, Response, bad_request
from gossipreg.sidecar_api import SidecarApi

REGISTERED = Response(204, b"")
KEPT_ANSWERS = 256
"""Answers that are kept until something changes: many clients of one machine ask for the same."""
METADATA_MAX = 16
"""Fields of one request that changes metadata."""


class Resources:
    def __init__(self, sidecar: SidecarApi) -> None:
        self._sidecar = sidecar
        self._view: View = sidecar.view
        self._registrations = sidecar.registrations
        self._recent = Recent(self._view.catalog.instances(), sidecar.now(), version=int(time.time()))
        self._kept: dict[tuple[str, str, bool], Response] = {}
        self._registering = trio.Lock()

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        self._recent.changed(changes, self._sidecar.now())
        self._kept.clear()

    # -- reads of what all know ----------------------------------------------------------------------------------------

    def all(self, request: Request) -> Response:
        return self._answered("apps", "", request)

    def delta(self, request: Request) -> Response:
        self._check_known(empty=not self._recent.passing)
        found = applications(self._recent.delta(self._sidecar.now()), version=self._recent.version,
                             hash_code=hash_code(self._recent.passing))  # fmt: skip
        return _shown("applications", found, request)

    def app(self, request: Request, name: str) -> Response:
        return self._answered("app", name, request)

    def vip(self, request: Request, vip: str) -> Response:
        return self._answered("vip", vip, request)

    def secure_vip(self, request: Request, vip: str) -> Response:
        return self._answered("svip", vip, request)

    def _answered(self, what: str, name: str, request: Request) -> Response:
        self._check_known()
        key = what, folded(name), request.wants_json
        kept = self._kept.get(key)
        if kept is None:
            kept = self._made(what, name, request)
            if len(self._kept) >= KEPT_ANSWERS:
                self._kept.clear()
            self._kept[key] = kept
        return kept

    def _made(self, what: str, name: str, request: Request) -> Response:
        if what == "app":
            found = passing(self._named(name))
            if not found:
                self._check_known(empty=True)
                raise HttpError(404, "not_found", f"no instance of the application {name[:200]!r} is up")
            return _shown("application", application(name, found), request)
        listed = list(self._recent.passing)
        if not listed:
            self._check_known(empty=True)
        if what != "apps":
            listed = [one for one in listed if has_vip(one, name, secure=what == "svip")]
            if not listed:
                self._check_known(empty=True)
                raise HttpError(404, "not_found", f"no instance with the VIP address {name[:200]!r} is up")
        found_all = applications((("", one) for one in listed), version=self._recent.version,
                                 hash_code=hash_code(listed))  # fmt: skip
        return _shown("applications", found_all, request)

    def instance(self, request: Request, app: str, id: str) -> Response:
        """One instance with its status, whatever that is."""
        return self._instance(request, [one for one in self._named(app) if instance_id(one) == id], id)

    def instance_by_id(self, request: Request, id: str) -> Response:
        found = [one for one in self._view.catalog.instances() if instance_id(one) == id]
        return self._instance(request, found, id)

    def _instance(self, request: Request, found: list[CatalogInstance], id: str) -> Response:
        own = next((one for one in found if one.node == self._view.id), None)
        if own is None:
            self._check_known(empty=not found)
        chosen = own or min(found, key=lambda one: one.node, default=None)
        if chosen is None:
            raise HttpError(404, "not_found", f"there is no instance {id[:200]!r}")
        document = document_of(chosen, own_status=self._own_status(chosen) if own else "")
        return _shown("instance", document, request)

    def _check_known(self, *, empty: bool = False) -> None:
        """Raise HttpError, 503, while too little of the cluster is known for this answer: clients then keep the
        instances that they have. An empty answer is given only while synced, since it would empty their pools."""
        knowledge = self._view.knowledge
        if knowledge.refuses or (empty and knowledge.partial):
            raise HttpError(
                503, "not_synced", "this sidecar is not synced with its cluster yet: ask again", ("Retry-After", "1")
            )

    # -- what is registered here ---------------------------------------------------------------------------------------

    async def register(self, request: Request, app: str) -> Response:
        given = read_document_untrusted(request.body, request.content_type, "instance")
        lease = leases.lease_untrusted(app, given)
        async with self._registering:  # two applications may call their instances alike, both at once
            id = await self._register(lease, request)
        await self._try(self._say(id, lease.status, request))
        if lease.override and lease.override != "UP" and self._registrations.maintenance(id) is None:
            await self._try(self._registrations.maintain(id, _reason(lease.override), by=request.caller))
        return REGISTERED

    async def _register(self, lease: leases.Lease, request: Request) -> str:
        """Register the instance and return the service's id. Clients repeat themselves: an equal registration is not
        repeated."""
        before = self._own(lease.app, lease.id)
        params = lease.params
        if before is not None and before.service.id != lease.id:
            params = leases.with_id(params, before.service.id)
        elif before is None and any(one.service.id == lease.id for one in self._own_instances()):
            params = leases.with_id(params, f"{lease.id}:{lease.app}")  # a service of another name has that id
        if before is None or not self._is_registered(before.service, params):
            await self._try(
                self._registrations.register(
                    params, by=request.caller, holder=None,
                    fresh=leases.health_of(lease.status),
                )
            )  # fmt: skip
        return str(params["id"])

    def _is_registered(self, service: RegisteredService, params: dict[str, Any]) -> bool:
        wanted = RegisteredService(
            id=params["id"], name=params["name"], address=params["address"], port=params["port"],
            meta=tuple(sorted(params["meta"].items())),
        )  # fmt: skip
        return service == wanted and self._checks(service.id) == params["checks"]

    def _checks(self, service_id: str) -> list[str]:
        return [said["check"] for said in self._registrations.report(service_id)]

    async def heartbeat(self, request: Request, app: str, id: str) -> Response:
        instance = self._own_or_404(app, id)
        status = leases.status_untrusted(one(request, "status")) or self._own_status(instance)
        if not status:
            raise _unknown(app, id)
        await self._try(self._say(instance.service.id, status, request))
        return DONE

    async def deregister(self, request: Request, app: str, id: str) -> Response:
        service_id = self._own_or_404(app, id).service.id
        return done(await self._try(self._registrations.deregister(service_id, by=request.caller)))

    async def override(self, request: Request, app: str, id: str) -> Response:
        """An operator's status: all but UP is maintenance."""
        instance = self._own_or_404(app, id)
        status = leases.status_untrusted(one(request, "value"))
        if not status:
            raise bad_request(f"value is missing: give one of {', '.join(STATUSES)}")
        if status == "UP":
            return await self._end_override(request, instance)
        maintained = self._registrations.maintain(instance.service.id, _reason(status), by=request.caller)
        return done(await self._try(maintained))

    async def end_override(self, request: Request, app: str, id: str) -> Response:
        return await self._end_override(request, self._own_or_404(app, id))

    async def _end_override(self, request: Request, instance: CatalogInstance) -> Response:
        id = instance.service.id
        if self._registrations.maintenance(id) is not None:
            await self._try(self._registrations.maintain(id, None, by=request.caller))
        if self._own_status(instance) == "OUT_OF_SERVICE":  # its client had taken itself out; this ends that too
            await self._try(self._say(id, "UP", request))
        return DONE

    async def change_metadata(self, request: Request, app: str, id: str) -> Response:
        service = self._own_or_404(app, id).service
        given = {key: values[-1] for key, values in request.query.items() if key != "lastDirtyTimestamp"}
        if not given or len(given) > METADATA_MAX:
            raise bad_request(f"the query has {len(given)} keys of metadata: give 1 to {METADATA_MAX}, as ?KEY=VALUE")
        if reserved := [key for key in given if key.startswith(PREFIX)]:
            raise bad_request(f"metadata has the key {reserved[0][:80]!r}: keys that begin with {PREFIX} are reserved")
        params = {
            "name": service.name, "id": service.id, "address": service.address, "port": service.port,
            "tags": list(service.tags), "meta": {**dict(service.meta), **given}, "weight": service.weight,
        }  # fmt: skip
        await self._try(self._registrations.register(params, by=request.caller, holder=None, keeps_checks=True))
        return DONE

    # -- leaves --------------------------------------------------------------------------------------------------------

    def _named(self, app: str) -> tuple[CatalogInstance, ...]:
        return self._view.catalog.lookup(app, all=True)

    def _own_instances(self) -> tuple[CatalogInstance, ...]:
        return self._view.catalog.of_node(self._view.id)

    def _own(self, app: str, id: str) -> CatalogInstance | None:
        """The instance of this application that is registered here under this id of its client."""
        named = (one for one in self._named(app) if one.node == self._view.id)
        return next((one for one in named if instance_id(one) == id), None)

    def _own_or_404(self, app: str, id: str) -> CatalogInstance:
        found = self._own(app, id)
        if found is None:
            raise _unknown(app, id)
        return found

    def _own_status(self, instance: CatalogInstance) -> str:
        """The last status that its client gave; nothing if its lease has ended or this sidecar has restarted since."""
        said = [check["output"] for check in self._registrations.report(instance.service.id) if check["type"] == "ttl"]
        return next((text for text in said if text in STATUSES), "")

    async def _say(self, service_id: str, status: str, request: Request) -> None:
        self._registrations.heartbeat(service_id, leases.health_of(status), status, by=request.caller)

    async def _try(self, awaited: Awaitable[Any]) -> Any:
        try:
            return await awaited
        except GossipregError as error:
            if isinstance(error, NotFound):
                raise HttpError(404, "not_found", f"{error}: register it") from None
            raise in_http(error) from None


def _shown(root: str, document: Document, request: Request) -> Response:
    if request.wants_json:
        return write_document(root, document, as_json=True)
    return write_document(root, _in_xml(document), as_json=False)


def _in_xml(document: Document) -> Document:
    """Every instance in the document, in the form for XML."""
    if "application" in document:
        return {**document, "application": [_in_xml(one) for one in document["application"]]}
    if "instance" in document:
        return {**document, "instance": [for_xml(one) for one in document["instance"]]}
    return for_xml(document)


def _unknown(app: str, id: str) -> HttpError:
    return HttpError(404, "not_found", f"no instance {id[:200]!r} of {app[:200]!r} is registered here: register it")


def _reason(status: str) -> str:
    return f"status {status} set through Eureka"
