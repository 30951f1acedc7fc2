"""httpx: transports that send `http://NAME.service/...` to an instance of NAME, and all other requests on as they are.

    services = ServiceTransport(registry)
    client = httpx.Client(mounts={"all://*.service": services})     proxies of the environment stay for other hosts
    client = httpx.Client(transport=services)                       or for all hosts

`AsyncServiceTransport` is for httpx.AsyncClient, in asyncio and trio. Options beyond `deadline` (seconds until the
headers of an answer, all attempts together) and `attempts` go to httpx.HTTPTransport; its retries are for other hosts.
A timeout of the client still bounds each step of an attempt, and alone bounds the reading of the body.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from gossipreg.client.adapters.driving import send_all, send_all_async
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


class ServiceTransport(httpx.BaseTransport):
    def __init__(
        self, registry: Registry, *, deadline: float = DEADLINE_S, attempts: int = 3, **options: Any
    ) -> None:  # fmt: skip
        self._registry = registry_for_threads(registry)
        self._options = AdapterOptions(deadline, attempts)
        self._others = httpx.HTTPTransport(**options)
        self._inner_options = options | {"retries": 0}
        self._inner: dict[str, httpx.HTTPTransport] = {}
        """For each name that certificates are for: connections are shared by address alone. Empty: without TLS."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = service_name(request.url.host)
        if name is None:
            return self._others.handle_request(request)
        exchange = _exchange(self._registry, name, request, self._options)
        given: dict[str, Any] = request.extensions.get("timeout", {})

        def send(instance: PickedInstance) -> httpx.Response:
            sent, verified = _to_instance(request, instance, given)
            if (inner := self._inner.get(verified)) is None:
                inner = self._inner.setdefault(verified, httpx.HTTPTransport(**self._inner_options))
            response = inner.handle_request(sent)
            sent.extensions["timeout"].update(given or dict.fromkeys(sent.extensions["timeout"]))
            return response

        response = send_all(exchange, send, exception_outcome, _answer, httpx.Response.close)
        if exchange.body is not None:
            response.stream = _Body(response.stream, exchange.body)
        return response

    def close(self) -> None:
        for inner in (self._others, *self._inner.values()):
            inner.close()


class AsyncServiceTransport(httpx.AsyncBaseTransport):
    def __init__(
        self, registry: Registry | AsyncRegistry, *, deadline: float = DEADLINE_S, attempts: int = 3, **options: Any
    ) -> None:
        self._registry = registry_for_threads(registry)
        self._options = AdapterOptions(deadline, attempts)
        self._others = httpx.AsyncHTTPTransport(**options)
        self._inner_options = options | {"retries": 0}
        self._inner: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = service_name(request.url.host)
        if name is None:
            return await self._others.handle_async_request(request)
        await AsyncService(self._registry.service(name)).snapshot()
        exchange = _exchange(self._registry, name, request, self._options)
        given: dict[str, Any] = request.extensions.get("timeout", {})

        async def send(instance: PickedInstance) -> httpx.Response:
            sent, verified = _to_instance(request, instance, given)
            if (inner := self._inner.get(verified)) is None:
                inner = self._inner.setdefault(verified, httpx.AsyncHTTPTransport(**self._inner_options))
            try:
                response: httpx.Response = await within(instance.timeout_s, inner.handle_async_request, sent)
            except TimeoutError as error:
                raise httpx.ReadTimeout(f"no answer of {instance} in {instance.timeout_s:g} s") from error
            sent.extensions["timeout"].update(given or dict.fromkeys(sent.extensions["timeout"]))
            return response

        response = await send_all_async(exchange, send, exception_outcome, _answer, httpx.Response.aclose)
        if exchange.body is not None:
            response.stream = _AsyncBody(response.stream, exchange.body)
        return response

    async def aclose(self) -> None:
        for inner in (self._others, *self._inner.values()):
            await inner.aclose()


def _exchange(registry: Registry, name: str, request: httpx.Request, options: AdapterOptions) -> Exchange:
    can_resend = isinstance(request.stream, httpx.ByteStream)
    return Exchange(registry.service(name), request.method, request.headers, can_resend, options)


def _to_instance(
    request: httpx.Request, instance: PickedInstance, given: dict[str, Any]
) -> tuple[httpx.Request, str]:  # fmt: skip
    """The request as it is sent to the instance, and the name that its certificate has to be for."""
    host = request.url.host
    not_sent_s, sent_s = instance.connect_timeout_s, instance.timeout_s
    bounds = {"pool": not_sent_s, "connect": not_sent_s, "write": sent_s, "read": sent_s}
    timeout = {step: _shorter(given.get(step), bound_s) for step, bound_s in bounds.items()}
    verified = tls_name(instance, host) if request.url.scheme == "https" else ""
    extensions = {**request.extensions, "timeout": timeout} | ({"sni_hostname": verified} if verified else {})
    url = request.url.copy_with(host=instance.address, port=instance.port or request.url.port)
    headers = request.headers.copy()  # with the Host of the service
    headers.update(instance.headers())
    return httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=extensions), verified


def _shorter(given_s: float | None, bound_s: float) -> float:
    return bound_s if given_s is None else min(given_s, bound_s)


def _answer(response: httpx.Response) -> HttpAnswer:
    return HttpAnswer(response.status_code, response.headers)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any, in_flight: BodyInFlight) -> None:
        self._stream = stream
        self._in_flight = in_flight

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except BaseException as error:
            self._in_flight.end(error)
            raise
        self._in_flight.end()

    def close(self) -> None:
        self._in_flight.end()
        self._stream.close()


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any, in_flight: BodyInFlight) -> None:
        self._stream = stream
        self._in_flight = in_flight

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except BaseException as error:
            self._in_flight.end(error)
            raise
        self._in_flight.end()

    async def aclose(self) -> None:
        self._in_flight.end()
        await self._stream.aclose()
