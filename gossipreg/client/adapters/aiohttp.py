"""aiohttp: a client middleware that sends `http://NAME.service/...` to an instance of NAME, and all other requests on
as they are. It needs aiohttp 3.12.

    session = aiohttp.ClientSession(middlewares=[service_middleware(registry)])

A resolver would not do: aiohttp asks it for each connection, and not for each request. The `timeout` of the session
still holds; `sock_connect` bounds how long connecting may take, after which a request that may not be sent twice goes
to another instance.

A connection that fails comes as aiohttp.ClientConnectionError: aiohttp itself would repeat what the kinds below it say.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import payload

from gossipreg.client.adapters.driving import send_all_async
from gossipreg.client.adapters.exchange import (
    AdapterOptions,
    BodyInFlight,
    Exchange,
    HttpAnswer,
    registry_for_threads,
    service_name,
    tls_name,
)
from gossipreg.client.aio import AsyncRegistry, AsyncService
from gossipreg.client.loops import within
from gossipreg.client.picked import PickedInstance
from gossipreg.client.picking.balancer import DEADLINE_S
from gossipreg.client.picking.outcomes import exception_outcome
from gossipreg.client.registry import Registry

Handler = Callable[[Any], Awaitable[Any]]


def service_middleware(
    registry: Registry | AsyncRegistry, *, deadline: float = DEADLINE_S, attempts: int = 3
) -> Callable[[Any, Handler], Awaitable[Any]]:
    """`deadline`: seconds until the headers of an answer, all attempts together."""
    threads = registry_for_threads(registry)
    options = AdapterOptions(deadline, attempts)

    async def middleware(request: Any, handler: Handler) -> Any:
        host = request.url.host
        name = service_name(host)
        if name is None:
            return await handler(request)
        await AsyncService(threads.service(name)).snapshot()
        can_resend = isinstance(request.body, bytes | payload.BytesPayload)
        exchange = Exchange(threads.service(name), request.method, request.headers, can_resend, options)
        url, server_hostname = request.url, request.server_hostname
        request.update_proxy(None, None, None)

        async def send(instance: PickedInstance) -> Any:
            _to_instance(request, instance, url, host)
            return await within(instance.timeout_s, handler, request)

        try:
            response = await send_all_async(exchange, send, exception_outcome, _answer, _discard)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise aiohttp.ClientConnectionError(f"{name}: {error}") from error
        finally:
            request.url, request.server_hostname = url, server_hostname
        if exchange.body is not None:
            _count_body(response, exchange.body)
        return response

    return middleware


def _to_instance(request: Any, instance: PickedInstance, url: Any, host: str) -> None:
    """The request keeps its `original_url`, of which answers, cookies and redirects know, and the Host in its
    headers."""
    request.url = url.with_host(instance.address).with_port(instance.port or url.port)
    if url.scheme == "https":
        request.server_hostname = tls_name(instance, host)
    request.headers.pop("Gossipreg-Attempt", None)
    request.headers.update(instance.headers())


def _answer(response: Any) -> HttpAnswer:
    return HttpAnswer(response.status, response.headers)


async def _discard(response: Any) -> None:
    response.close()


def _count_body(response: Any, in_flight: BodyInFlight) -> None:
    """Have the end of the body end the request. aiohttp gives the connection back then, or closes it."""
    if response.connection is None:
        in_flight.end()
        return
    response.connection.add_callback(lambda: in_flight.end(response.content.exception()))
