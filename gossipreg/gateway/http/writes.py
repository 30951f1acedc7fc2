"""Registering, checks, maintenance, joining and leaving: what Consul's agents let programs do, done as the local socket
does it, by the same code: on the disk before it is answered.

A check belongs to a service here: one of the node alone is refused. Checks have the ids that Consul gives them
(`service:ID`, `service:ID:1`), or those that they were given.
"""

from collections.abc import Awaitable
from typing import Any

from gossipreg.errors import Busy, GossipregError, NotAllowed, NotFound, TooLarge
from gossipreg.gateway.http import check_definitions, definitions
from gossipreg.gateway.http.ask import flag, one
from gossipreg.gateway.http.definitions import Given
from gossipreg.gateway.http.message import HttpError, Request, Response, bad_request
from gossipreg.gateway.http.outside import Outside
from gossipreg.model import Health

DONE = Response(200, b"")
NO_REASON = "Maintenance mode is enabled, without a reason"


class Writes:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._registrations = outside.registrations

    # -- services ------------------------------------------------------------------------------------------------------

    async def register(self, request: Request) -> Response:
        given = definitions.body_untrusted(request.body)
        params, checks = definitions.service_untrusted(given)
        replace = flag(request, "replace-existing-checks") or bool(given.get("replaceexistingchecks"))
        texts = self._named(params["id"], checks)
        kept = [] if replace else self._kept(params["id"], texts)
        params["checks"] = [*kept, *texts.values()]
        said = [check_definitions.status_untrusted(check) for check in checks]
        await self._try(self._registrations.register(params, by=request.caller, holder=None, fresh=_fresh(said)))
        return DONE

    def _named(self, service_id: str, checks: list[Given]) -> dict[str, str]:
        """The checks as `register` takes them, by id."""
        texts: dict[str, str] = {}
        for number, check in enumerate(checks, 1):
            default = f"service:{service_id}" if len(checks) == 1 else f"service:{service_id}:{number}"
            id = check_definitions.check_id(check) or default
            if id in texts:
                raise bad_request(f"two checks have the id {id[:80]!r}")
            texts[id] = check_definitions.check_text_untrusted(check, id)
        return texts

    def _kept(self, service_id: str, texts: dict[str, str]) -> list[str]:
        """The checks that the service has already and that these do not replace: they stay, as with Consul."""
        return [said["check"] for said in self._registrations.report(service_id) if said["id"] not in texts]

    async def deregister(self, request: Request, id: str) -> Response:
        await self._try(self._registrations.deregister(id, by=request.caller))
        return DONE

    async def maintain(self, request: Request, id: str | None) -> Response:
        if not one(request, "enable"):
            raise bad_request("Missing value for enable: give true or false")
        enable = flag(request, "enable")
        reason = one(request, "reason") or NO_REASON
        if len(reason.encode()) > 4096:
            raise bad_request("the reason has more than 4096 bytes")
        await self._try(self._registrations.maintain(id, reason if enable else None, by=request.caller))
        return DONE

    # -- checks --------------------------------------------------------------------------------------------------------

    async def register_check(self, request: Request) -> Response:
        given = definitions.body_untrusted(request.body)
        name = check_definitions.check_name(given)
        service_id = check_definitions.check_service(given)
        if not service_id:
            raise bad_request("ServiceID is missing: a check belongs to a service here, none to the node alone")
        id = check_definitions.check_id(given) or name
        texts = {id: check_definitions.check_text_untrusted(given, id)}
        self._refuse_taken(id, service_id)
        status = check_definitions.status_untrusted(given)
        await self._try(
            self._registrations.set_checks(
                service_id, [*self._kept(service_id, texts), *texts.values()],
                by=request.caller, fresh=_fresh([status]),
            )
        )  # fmt: skip
        return DONE

    def _refuse_taken(self, check_id: str, service_id: str) -> None:
        try:
            owner, _ = self._find(check_id)
        except HttpError:
            return
        if owner != service_id:
            raise bad_request(f"the check {check_id[:80]!r} belongs to the service {owner[:80]!r}: choose another ID")

    async def deregister_check(self, request: Request, check_id: str) -> Response:
        service_id, _ = self._find(check_id)
        rest = [said["check"] for said in self._registrations.report(service_id) if said["id"] != check_id]
        await self._try(self._registrations.set_checks(service_id, rest, by=request.caller, fresh=Health.CRITICAL))
        return DONE

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
            raise bad_request(f"CheckID {check_id[:80]!r} does not have associated TTL: this sidecar runs it by itself")
        try:
            self._registrations.heartbeat(service_id, health, note, check_id, by=request.caller)
        except GossipregError as error:
            raise in_http(error) from None
        return DONE

    def _find(self, check_id: str) -> tuple[str, str]:
        """The service that this check belongs to, and its kind. A check that was given no id is called after its
        service: that one is looked at first, since heartbeats are many."""
        own = self._outside.view.catalog.of_node(self._outside.view.id)
        ids = sorted((one.service.id for one in own), key=lambda one: not check_id.startswith(f"service:{one}"))
        for id in ids:
            for said in self._registrations.report(id):
                if said["id"] == check_id:
                    return id, said["type"]
        raise HttpError(
            404, "not_found", f"Unknown check ID {check_id[:200]!r}: give the id of a check, not its name; "
            "/v1/agent/checks lists them"
        )  # fmt: skip

    # -- the sidecar ---------------------------------------------------------------------------------------------------

    async def join(self, request: Request, address: str) -> Response:
        if flag(request, "wan"):
            raise bad_request("wan: there is one cluster")
        self._check("join", request)
        await self._try(self._outside.seek(address))
        return DONE

    async def leave(self, request: Request) -> Response:
        self._check("leave", request)
        await self._outside.leave(0.0, request.caller)
        return Response(200, b"", close=True)

    def _check(self, verb: str, request: Request) -> None:
        try:
            self._outside.rights.check(verb, request.caller)
        except NotAllowed as error:
            raise in_http(error) from None

    async def _try(self, done: Awaitable[Any]) -> None:
        try:
            await done
        except GossipregError as error:
            raise in_http(error) from None


_STATUSES = ((NotAllowed, 403), (NotFound, 404), (TooLarge, 413), (Busy, 503))


def in_http(error: GossipregError) -> HttpError:
    if isinstance(error, HttpError):
        return error
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 400)
    return HttpError(status, error.code, str(error))


def _fresh(said: list[Health | None]) -> Health:
    """The health that new checks begin with: the worst that is said of one; critical where nothing is said."""
    return max((Health.CRITICAL if health is None else health for health in said), default=Health.CRITICAL)
