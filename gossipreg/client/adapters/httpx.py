"""httpx: transports that send `http://NAME.service/...` to an instance of NAME, and all other requests on as they are.

    services = ServiceTransport(registry)
    client = httpx.Client(mounts={"all://*.service": services})     proxies of the environment stay for other hosts
    client = httpx.Client(transport=services)                       or for all hosts

`AsyncServiceTransport` is for httpx.AsyncClient, in asyncio and trio. Options that are none of AdapterOptions go to
httpx.HTTPTransport; its retries are for other hosts. A timeout of the client still bounds each step of an attempt, and
alone bounds the reading of the body.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from gossipreg.client.adapters.exchange import BodyInFlight, Exchange, make_adapter, service_name, tls_name
from gossipreg.client.aio import AsyncRegistry
from gossipreg.client.current_trace import trace_headers
from gossipreg.client.picked import PickedInstance
from gossipreg.client.registry import Registry

GIVEN = "gossipreg_given_timeout"
"""The extension of a request that has the timeout of the program."""


class _Services:
    """What both transports are: one transport of httpx for other hosts, and one for each name that certificates are
    for, since connections are shared by address alone (empty: without TLS)."""

    def __init__(self, registry: object, options: dict[str, Any], inner: Any, *, can_cancel: bool) -> None:
        self._adapter, options = make_adapter(registry, options, can_cancel=can_cancel)
        self._others = inner(**options)
        self._inner, self._inner_options = inner, options | {"retries": 0}
        self._by_name: dict[str, Any] = {}

    def _exchange(self, name: str, request: httpx.Request) -> Exchange:
        can_resend = isinstance(request.stream, httpx.ByteStream)
        return Exchange(self._adapter, name, request, request.method, request.headers, can_resend)

    def _to_instance(self, request: httpx.Request, instance: PickedInstance, host: str | None) -> tuple[Any, Any]:
        """The transport, and the request that it sends to the instance."""
        given: dict[str, Any] = request.extensions.get("timeout", {})
        not_sent_s, sent_s = instance.connect_timeout_s, instance.timeout_s
        bounds = {"pool": not_sent_s, "connect": not_sent_s, "write": sent_s, "read": sent_s}
        timeout = {step: _shorter(given.get(step), bound_s) for step, bound_s in bounds.items()}
        name = tls_name(instance, host or request.url.host) if request.url.scheme == "https" else ""
        extensions = {**request.extensions, "timeout": timeout, GIVEN: given} | ({"sni_hostname": name} if name else {})
        url = request.url.copy_with(host=instance.address, port=instance.port or request.url.port)
        headers = request.headers.copy()  # with the Host of the service
        headers.update({**trace_headers(headers), **instance.headers(), **({} if host is None else {"Host": host})})
        if (inner := self._by_name.get(name)) is None:
            inner = self._by_name.setdefault(name, self._inner(**self._inner_options))
        sent = httpx.Request(request.method, url, headers=headers, stream=request.stream, extensions=extensions)
        return inner, sent

    def _answered(
        self, exchange: Exchange, instance: PickedInstance, host: str | None, sent: httpx.Request, response: Any
    ) -> Any:
        """The response. From now on the timeout of the program alone bounds the reads of its body."""
        sent.extensions["timeout"].update(dict.fromkeys(sent.extensions["timeout"]) | sent.extensions[GIVEN])
        body = exchange.answered(instance, host, response.status_code, response.headers)
        if body is not None:
            response.stream = _Body(response.stream, body)
        return response


class ServiceTransport(_Services, httpx.BaseTransport):
    def __init__(self, registry: Registry, **options: Any) -> None:
        super().__init__(registry, options, httpx.HTTPTransport, can_cancel=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = service_name(request.url.host)
        if name is None:
            return self._others.handle_request(request)
        exchange = self._exchange(name, request)

        def send(instance: PickedInstance, host: str | None) -> httpx.Response:
            inner, sent = self._to_instance(request, instance, host)
            return self._answered(exchange, instance, host, sent, inner.handle_request(sent))

        return exchange.run(send, httpx.Response.close)

    def close(self) -> None:
        for inner in (self._others, *self._by_name.values()):
            inner.close()


class AsyncServiceTransport(_Services, httpx.AsyncBaseTransport):
    def __init__(self, registry: Registry | AsyncRegistry, **options: Any) -> None:
        super().__init__(registry, options, httpx.AsyncHTTPTransport, can_cancel=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = service_name(request.url.host)
        if name is None:
            return await self._others.handle_async_request(request)
        exchange = self._exchange(name, request)

        async def send(instance: PickedInstance, host: str | None) -> httpx.Response:
            inner, sent = self._to_instance(request, instance, host)
            return self._answered(exchange, instance, host, sent, await inner.handle_async_request(sent))

        try:
            return await exchange.run_async(send, httpx.Response.aclose)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"{name}: {error}") from error

    async def aclose(self) -> None:
        for inner in (self._others, *self._by_name.values()):
            await inner.aclose()


def _shorter(given_s: float | None, bound_s: float) -> float:
    return bound_s if given_s is None else min(given_s, bound_s)


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of an answer; its end ends the request."""

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

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except BaseException as error:
            self._in_flight.end(error)
            raise
        self._in_flight.end()

    def close(self) -> None:
        self._in_flight.end()
        self._stream.close()

    async def aclose(self) -> None:
        self._in_flight.end()
        await self._stream.aclose()
