"""The handlers of Dapr's paths."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

from gossipreg.errors import BadParams, NotAllowed, RequestError, TooLarge
from gossipreg.events.binary_form import percent_encoded
from gossipreg.gateway.http.dapr.invocation import (
    Invocation,
    invocation_by_header_untrusted,
    invocation_untrusted,
    response_of,
)
from gossipreg.gateway.http.dapr.picking import ServiceCalls
from gossipreg.gateway.http.dapr.publishing import event_untrusted, without_effect
from gossipreg.gateway.http.dapr.routes import NOT_HERE
from gossipreg.net.http_client import HttpClient
from gossipreg.net.http_message import HttpError, Request, Response, dapr_error_response, json_response
from gossipreg.sidecar_api import SidecarApi

NOTED_MAX = 256
"""Metadata without effect that was logged. Clients choose the names, so their number is bounded."""
NOTHING = Response(204, b"")
PUBSUB_TYPE = "pubsub.gossipreg"


class DaprResources:
    def __init__(self, sidecar: SidecarApi, is_token: Callable[[bytes], bool]) -> None:
        """`is_token` says whether a value of Authorization is a token of ours, which no service may see."""
        self._is_token = is_token
        self._sidecar = sidecar
        self._view = sidecar.view
        self._client = HttpClient()
        self._calls = ServiceCalls(
            sidecar.view, self._client, Random(os.urandom(16)), zone=self._zone, tracer=sidecar.tracer
        )
        self._noted: set[str] = set()

    def close(self) -> None:
        """Close the connections that are kept."""
        self._client.close()

    # -- events --------------------------------------------------------------------------------------------------------

    async def publish(self, request: Request, pubsub: str, topic: str) -> Response:
        """204 once the event is durable, with its id and the number of its copies in headers."""
        if pubsub == "bulk" and "/" in topic:  # the path for many events, of later releases
            raise HttpError(501, "not_here", f"there is no publish/bulk API here: {NOT_HERE['publish/bulk']}")
        try:
            self._note(without_effect(request))
            event = event_untrusted(request, pubsub, topic, source=self._app_id())
            published = await self._sidecar.events.publish(event)
        except RequestError as error:
            raise _not_published(error, pubsub, topic) from None
        headers = (("X-Gossipreg-Event-Id", percent_encoded(event.id)), ("X-Gossipreg-Copies", str(published.copies)))
        return Response(204, b"", headers=headers)

    def _note(self, names: list[str]) -> None:
        """Log each name that has no effect once, however often it is sent."""
        for name in names:
            if name not in self._noted and len(self._noted) < NOTED_MAX:
                self._noted.add(name)
                self._sidecar.note(f"{name[:80]!r} of an event has no effect here; this is logged once")

    # -- calls ---------------------------------------------------------------------------------------------------------

    def invoke(self, request: Request, _path: str) -> Awaitable[Response]:
        return self._called(invocation_untrusted(request))

    async def invoke_by_header(self, request: Request) -> Response:
        """Its errors have Dapr's form, whatever the path."""
        try:
            return await self._called(invocation_by_header_untrusted(request))
        except HttpError as error:
            return dapr_error_response(error)

    async def _called(self, wanted: Invocation) -> Response:
        kept = tuple(item for item in wanted.headers if not self._is_ours(*item))
        return response_of(await self._calls.call(replace(wanted, headers=kept)))

    def _is_ours(self, name: str, value: str) -> bool:
        return name == "authorization" and self._is_token(value.encode("latin-1"))

    # -- the sidecar ---------------------------------------------------------------------------------------------------

    def metadata(self, _request: Request) -> Response:
        app, events = self._sidecar.dapr_app, self._sidecar.events
        subscriptions = events.dapr_subscriptions()
        names = dict.fromkeys(one["pubsubname"] for one in subscriptions)
        return json_response({
            "id": self._app_id(),
            "runtimeVersion": f"gossipreg-{self._sidecar.version}",
            "enabledFeatures": [],
            "actors": [],
            "components": [
                {"name": name, "type": PUBSUB_TYPE, "version": "v1", "capabilities": []} for name in names
            ],
            "httpEndpoints": [],
            "subscriptions": subscriptions,
            "extended": {"cluster": self._sidecar.cluster, "daprRuntimeVersion": f"gossipreg-{self._sidecar.version}"},
            "appConnectionProperties": {} if app is None else {"protocol": "http"},
        })  # fmt: skip

    def health(self, _request: Request) -> Response:
        """Dapr's readiness: 204, or 500 while answers may be incomplete."""
        if self._view.synced:
            return NOTHING
        raise HttpError(500, "health_not_ready", f"not synced yet: {self._view.why_not_synced(self._sidecar.now())}")

    def outbound(self, _request: Request) -> Response:
        """Programs wait for it before they call or publish: it does not ask whether the app itself runs."""
        return self.health(_request)

    def _app_id(self) -> str:
        return self._sidecar.dapr_app or self._view.name(self._view.id)

    def _zone(self) -> str:
        row = self._view.row(self._view.id)
        return "" if row is None or row.member is None else row.member.zone


_STATUSES = ((NotAllowed, 403), (BadParams, 400), (TooLarge, 413))


def _not_published(error: RequestError, pubsub: str, topic: str) -> HttpError:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    return HttpError(status, "pubsub_publish_message", f"error when publish to topic {topic} in pubsub {pubsub}: "
                     f"{error.code}: {error}")  # fmt: skip
