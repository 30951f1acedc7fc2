"""aiohttp: a client middleware that sends `http://NAME.service/...` to an instance of NAME, and all other requests on
as they are. It needs aiohttp 3.12.

    session = aiohttp.ClientSession(middlewares=[service_middleware(registry)])

A resolver would not do: aiohttp asks it for each connection, and not for each request. The `timeout` of the session
still holds.

A connection that fails comes as aiohttp.ClientConnectionError: aiohttp itself would repeat what the kinds below it say.
"""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any

import aiohttp
from aiohttp import payload

from gossipreg.client.adapters.exchange import BodyInFlight, Exchange, make_adapter, service_name, tls_name
from gossipreg.client.aio import AsyncRegistry
from gossipreg.client.current_trace import trace_headers
from gossipreg.client.picked import PickedInstance
from gossipreg.client.registry import Registry

Handler = Callable[[Any], Awaitable[Any]]


def service_middleware(
    registry: Registry | AsyncRegistry, **options: Any
) -> Callable[[Any, Handler], Awaitable[Any]]:  # fmt: skip
    """`options`: those of AdapterOptions."""
    adapter, others = make_adapter(registry, options, can_cancel=True)
    if others:
        raise TypeError(f"service_middleware has no option {next(iter(others))}")

    async def middleware(request: Any, handler: Handler) -> Any:
        name = service_name(request.url.host)
        if name is None:
            return await handler(request)
        can_resend = isinstance(request.body, bytes | payload.BytesPayload)
        exchange = Exchange(adapter, name, request, request.method, request.headers, can_resend)
        url, server_hostname, headers = request.url, request.server_hostname, request.headers
        request.update_proxy(None, None, None)

        async def send(instance: PickedInstance, host: str | None) -> Any:
            sent = copy(request) if exchange.hedge else request
            sent.headers = headers.copy()
            _to_instance(sent, instance, url, host)
            response = await _connected_in_time(sent, handler, instance)
            body = exchange.answered(instance, host, response.status, response.headers)
            if body is not None:
                _count_body(response, body)
            return response

        try:
            return await exchange.run_async(send, _discard)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise aiohttp.ClientConnectionError(f"{name}: {error}") from error
        finally:
            request.url, request.server_hostname, request.headers = url, server_hostname, headers

    return middleware


def _to_instance(request: Any, instance: PickedInstance, url: Any, host: str | None) -> None:
    """The request keeps its `original_url`, of which answers, cookies and redirects know, and the Host in its
    headers."""
    request.url = url.with_host(instance.address).with_port(instance.port or url.port)
    if url.scheme == "https":
        request.server_hostname = tls_name(instance, host or url.host)
    if host is not None:
        request.headers["Host"] = host
    request.headers.update({**trace_headers(request.headers), **instance.headers()})


async def _connected_in_time(request: Any, handler: Handler, instance: PickedInstance) -> Any:
    """Send the request; a connection that is not made in its part of the time is given up. Until aiohttp calls
    `request.send`, which it does with the connection, nothing was sent."""
    inner = request.send
    try:
        async with asyncio.timeout(instance.connect_timeout_s) as limit:

            async def send(connection: Any) -> Any:
                limit.reschedule(None)
                return await inner(connection)

            request.send = send
            return await handler(request)
    except TimeoutError as error:
        if limit.expired():
            what = f"no connection to {instance.hostport} within {instance.connect_timeout_s:.3g} s"
            raise aiohttp.ConnectionTimeoutError(what) from error
        raise
    finally:
        del request.send


async def _discard(response: Any) -> None:
    response.close()


def _count_body(response: Any, in_flight: BodyInFlight) -> None:
    """Have the end of the body end the request. aiohttp gives the connection back then, or closes it."""
    if response.connection is None:
        in_flight.end()
        return
    response.connection.add_callback(lambda: in_flight.end(response.content.exception()))
