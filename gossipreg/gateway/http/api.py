"""The way of a request to its answer: find its route, check the caller's right, answer as the route says."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from gossipreg.callers import Caller
from gossipreg.errors import NotAllowed
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.dapr.routes import APP_ID, INVOKE_BY_HEADER
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.openapi import describe
from gossipreg.gateway.http.parts import Parts
from gossipreg.gateway.http.reads import Reads
from gossipreg.gateway.http.refusals import REFUSALS
from gossipreg.gateway.http.route import Route
from gossipreg.gateway.http.router import Router
from gossipreg.gateway.http.routes import ROUTES
from gossipreg.gateway.http.writes import in_http
from gossipreg.net.http_message import Request, Response
from gossipreg.sidecar_api import SidecarApi

ROUTER = Router(ROUTES, REFUSALS)


class Api:
    def __init__(
        self, sidecar: SidecarApi, monitoring: Monitoring, *, send: Callable[[Any, Any, Response], None],
        rng: random.Random, clock_us: Callable[[], int], is_token: Callable[[bytes], bool],
        start: Callable[[Callable[[], Awaitable[None]]], None], page_writes: bool,
    ) -> None:  # fmt: skip
        """`send(connection, waiting, response)` sends the answer that a connection waits for; `is_token` says whether a
        value of Authorization is a token of ours; `start` runs a task beside the others; `page_writes` is
        --ui-writes."""
        self._rights = sidecar.rights
        self.parts = Parts(
            sidecar, monitoring, clock_us, lambda: describe(ROUTES, sidecar.version), is_token, start,
            page_writes=page_writes,
        )  # fmt: skip
        self._reads = Reads(sidecar, self.parts, send=send, rng=rng, clock_us=clock_us)
        self.answers = self._reads.answers

    def answer(self, request: Request) -> Answer:
        """Raises HttpError."""
        route, args = (INVOKE_BY_HEADER, ()) if APP_ID in request.headers else ROUTER.find(request)
        self._check_right(route, request.caller, args)
        if route.handle is not None:
            return route.handle(self.parts, request, *args)
        return self._reads.answer(route, request, args)

    def _check_right(self, route: Route, caller: Caller, args: tuple[str, ...]) -> None:
        """A path without braces means the whole sidecar. The sidecar's registrations check the owner of a service: only
        they know it."""
        try:
            self._rights.check(route.operation, caller, {"id": args[-1]} if args else None)
        except NotAllowed as error:
            raise in_http(error) from None
