"""The writes of Consul's agent API: registering, checks, maintenance, joining and leaving. They run the code of the
local socket, so they are on the disk before they are answered.

A check belongs to a service, or without a ServiceID to this sidecar. Checks have the ids that they were given, else
those that Consul gives them (`service:ID`, `service:ID:1`). A change that takes something out of the answers is made
even if it cannot be written; the answer then has the header `X-Gossipreg-Durable: false`.
"""

from collections.abc import Awaitable
from typing import TypeVar

from gossipreg.errors import (
    Busy,
    CannotKeep,
    GossipregError,
    Leaving,
    NotAllowed,
    NotFound,
    OutcomeUnknown,
    Refused,
    TooLarge,
)
from gossipreg.gateway.http import check_definitions, definitions
from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.ask import flag, one
from gossipreg.gateway.http.check_definitions import Check
from gossipreg.gateway.http.definitions import Given
from gossipreg.gateway.http.options import NO_OPTIONS
from gossipreg.model import Health
from gossipreg.net.http_message import HttpError, Request, Response, bad_request, shown
from gossipreg.sidecar_api import SidecarApi

DONE = Response(200, b"")
NOT_DURABLE = (("X-Gossipreg-Durable", "false"),)
NOTED_MAX = 256
"""Keys without effect that were logged. Clients choose the keys, so their number is bounded."""
NO_REASON = "Maintenance mode is enabled, without a reason"

Result = TypeVar("Result")


class Writes:
    def __init__(self, sidecar: SidecarApi, agent: AgentReads) -> None:
        self._sidecar = sidecar
        self._agent = agent
        self._registrations = sidecar.registrations
        self._noted: set[str] = set()

    # -- services ------------------------------------------------------------------------------------------------------

    async def register(self, request: Request) -> Response:
        given = definitions.body_untrusted(request.body)
        params, checks = definitions.service_untrusted(given)
        replace = flag(request, "replace-existing-checks") or bool(given.get("replaceexistingchecks"))
        self._note(definitions.ignored(given), *map(check_definitions.ignored, checks))
        named = self._named(params["id"], checks)
        params["checks"] = list(named.values())
        said = dict(zip(named, map(check_definitions.status_untrusted, checks), strict=True))
        await self._try(
            self._registrations.register(
                params, by=request.caller, holder=None, keeps_checks=not replace,
                said={id: health for id, health in said.items() if health is not None},
            )
        )  # fmt: skip
        return DONE

    def _named(self, service_id: str, checks: list[Given]) -> dict[str, Check]:
        """The checks as `register` takes them, by id."""
        named: dict[str, Check] = {}
        for number, check in enumerate(checks, 1):
            default = f"service:{service_id}" if len(checks) == 1 else f"service:{service_id}:{number}"
            id = check_definitions.check_id(check) or default
            if id in named:
                raise bad_request(f"two checks have the id {shown(id)}")
            named[id] = check_definitions.check_untrusted(check, id)
        return named

    async def deregister(self, request: Request, id: str) -> Response:
        return done(await self._try(self._registrations.deregister(id, by=request.caller)))

    async def maintain(self, request: Request, id: str | None = None) -> Response:
        if not one(request, "enable"):
            raise bad_request("Missing value for enable: give true or false")
        enable = flag(request, "enable")
        reason = one(request, "reason") or NO_REASON
        if len(reason.encode()) > 4096:
            raise bad_request("the reason has more than 4096 bytes")
        return done(await self._try(self._registrations.maintain(id, reason if enable else None, by=request.caller)))

    # -- checks --------------------------------------------------------------------------------------------------------

    async def register_check(self, request: Request) -> Response:
        given = definitions.body_untrusted(request.body)
        name = check_definitions.check_name(given)
        service_id = check_definitions.check_service(given)
        self._note(check_definitions.ignored(given))
        id = check_definitions.check_id(given) or name
        said = check_definitions.status_untrusted(given)
        if not check_definitions.has_way(given) and (type := self._known_check(id, service_id)):
            return await self._put_back(request, given, id, type, said)
        check = check_definitions.check_untrusted(given, id)
        self._refuse_taken(id, service_id)
        await self._try(self._registrations.put_check(service_id or None, id, check, by=request.caller, said=said))
        return DONE

    def _known_check(self, id: str, service_id: str) -> str:
        """The type of this check if it is shown here as a check of this service; else empty."""
        checks = self._agent.checks(NO_OPTIONS)
        return checks[id]["Type"] or "none" if id in checks and checks[id]["ServiceID"] == service_id else ""

    async def _put_back(self, request: Request, given: Given, id: str, type: str, said: Health | None) -> Response:
        """Accept a check as GET answered it. It keeps its way of checking; name, notes and TTL status may change."""
        service_id = check_definitions.check_service(given)
        if type == "maintenance":
            return DONE
        name, notes = check_definitions.labels_untrusted(given)
        shown = self._agent.checks(NO_OPTIONS)[id]
        if (name, notes) != (shown["Name"], shown["Notes"]):
            described = self._registrations.describe_check(service_id or None, id, name, notes, by=request.caller)
            await self._try(described)
        if type == "ttl" and said is not None and said.name.lower() != shown["Status"]:
            return self._say(request, id, said, check_definitions.check_output(given))
        return DONE

    def _refuse_taken(self, check_id: str, service_id: str) -> None:
        try:
            owner, _ = self._find(check_id)
        except HttpError:
            return
        if owner != service_id:
            whose = f"the service {shown(owner)}" if owner else "this node"
            raise bad_request(f"the check {shown(check_id)} belongs to {whose}: choose another ID")

    async def deregister_check(self, request: Request, check_id: str) -> Response:
        service_id, _ = self._find(check_id)
        return done(await self._try(self._registrations.drop_check(service_id or None, check_id, by=request.caller)))

    async def heartbeat(self, request: Request, check_id: str, health: Health) -> Response:
        return self._say(request, check_id, health, one(request, "note") or "")

    async def update(self, request: Request, check_id: str) -> Response:
        given = definitions.body_untrusted(request.body)
        health = check_definitions.status_untrusted(given)
        if health is None:
            raise bad_request("Status is missing: give passing, warning or critical")
        return self._say(request, check_id, health, check_definitions.check_output(given))

    def _say(self, request: Request, check_id: str, health: Health, note: str) -> Response:
        service_id, kind = self._find(check_id)
        if kind != "ttl":
            raise bad_request(f"CheckID {shown(check_id)} does not have associated TTL: it runs by itself")
        try:
            self._registrations.heartbeat(service_id, health, note, check_id, by=request.caller)
        except GossipregError as error:
            raise in_http(error) from None
        return DONE

    def _find(self, check_id: str) -> tuple[str, str]:
        """The service that this check belongs to ("": this sidecar), and its kind. A check that was given no id is
        called after its service: that one is looked at first, since heartbeats are many."""
        own = self._sidecar.view.catalog.of_node(self._sidecar.view.id)
        ids = sorted((one.service.id for one in own), key=lambda one: not check_id.startswith(f"service:{one}"))
        for id in [*ids, ""]:
            for said in self._registrations.report(id):
                if said["id"] == check_id:
                    return id, said["type"]
        raise HttpError(
            404, "not_found", f"Unknown check ID {shown(check_id)}: give the id of a check, not its name; "
            "/v1/agent/checks lists them"
        )  # fmt: skip

    # -- the sidecar ---------------------------------------------------------------------------------------------------

    async def join(self, request: Request, address: str) -> Response:
        if flag(request, "wan"):
            raise bad_request("wan: there is one cluster")
        await self._try(self._sidecar.greet(address))
        return DONE

    def _note(self, *keys: list[str]) -> None:
        """Log each key that has no effect once, however often it is sent."""
        for key in dict.fromkeys(key for some in keys for key in some):
            if key not in self._noted and len(self._noted) < NOTED_MAX:
                self._noted.add(key)
                self._sidecar.note(f"{key!r} of a registration over HTTP has no effect here; this is logged once")

    async def leave(self, request: Request) -> Response:
        await self._sidecar.leave(0.0, request.caller)
        return Response(200, b"", close=True)

    def force_leave(self, request: Request, member: str) -> Response:
        """`?prune` and `?wan` change nothing: a member that left is in no list of nodes, and there is one cluster."""
        try:
            self._sidecar.force_leave(member, request.caller)
        except GossipregError as error:
            raise in_http(error) from None
        return DONE

    async def reload(self, request: Request) -> Response:
        """As with Consul's agents, 500 if something could not be read; it stays in use as it was read before."""
        try:
            await self._sidecar.reload(request.caller)
        except Refused as error:
            raise HttpError(500, error.code, f"reload failed: {error}") from None
        return DONE

    async def _try(self, awaited: Awaitable[Result]) -> Result:
        try:
            return await awaited
        except GossipregError as error:
            raise in_http(error) from None


_STATUSES = (
    *((NotAllowed, 403), (Leaving, 503), (CannotKeep, 507), (NotFound, 404), (TooLarge, 413), (Busy, 503)),
    (OutcomeUnknown, 504),
)  # fmt: skip


def done(durable: bool) -> Response:
    """The answer to a change that was made, durable or not."""
    return DONE if durable else Response(200, b"", headers=NOT_DURABLE)


def in_http(error: GossipregError) -> HttpError:
    if isinstance(error, HttpError):
        return error
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)
    return HttpError(status, error.code, str(error))
