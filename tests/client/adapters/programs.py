"""The same program in each library: one request with its body read, or a body that is left open for a while."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from typing import Any, NamedTuple, Protocol

import pytest

from gossipreg.client.registry import Registry

httpx = pytest.importorskip("httpx")
requests = pytest.importorskip("requests")
aiohttp = pytest.importorskip("aiohttp")

from gossipreg.client.adapters.aiohttp import service_middleware  # noqa: E402 - after the libraries are known to be here
from gossipreg.client.adapters.httpx import AsyncServiceTransport, ServiceTransport  # noqa: E402
from gossipreg.client.adapters.requests import mount_services  # noqa: E402


class Reply(NamedTuple):
    status: int
    body: bytes
    url: str
    cookies: dict[str, str]
    """Those that the client holds after the answer."""


@cache
def trusted(ca: str | None = None) -> ssl.SSLContext:
    """For each client of httpx, which would else read the certificates of the machine anew: 50 ms of CPU."""
    return ssl.create_default_context(cafile=ca)


class Program(Protocol):
    errors: Any
    """What the library raises where no answer came."""

    def __call__(
        self, method: str, url: str, body: bytes | Iterable[bytes] | None = None, **headers: str
    ) -> Reply: ...  # fmt: skip

    def open(self, url: str) -> Callable[[bool], bytes]:
        """Send a GET and read no body; the result reads the body (True) or closes the answer (False)."""

    def close(self) -> None: ...


class SyncHttpx:
    errors = httpx.TransportError

    def __init__(self, registry: Registry, ca: str | None = None, **options: Any) -> None:
        options = {"verify": trusted(ca), **options}
        mounts = {"all://*.service": ServiceTransport(registry, **options)}
        self.client = httpx.Client(mounts=mounts, follow_redirects=True, verify=trusted())

    def __call__(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        answer = self.client.request(method, url, content=body, headers=_dashed(headers))
        return Reply(answer.status_code, answer.content, str(answer.url), dict(self.client.cookies))

    def open(self, url: str) -> Callable[[bool], bytes]:
        answer = self.client.send(self.client.build_request("GET", url), stream=True)

        def end(read: bool) -> bytes:
            data: bytes = answer.read() if read else b""
            answer.close()
            return data

        return end

    def close(self) -> None:
        self.client.close()


class Requests:
    errors = requests.ConnectionError, requests.Timeout

    def __init__(self, registry: Registry, ca: str | None = None, **options: Any) -> None:
        self.session = requests.Session()
        if ca:
            self.session.verify = ca
            self.session.trust_env = False  # a bundle of the environment would win
        mount_services(self.session, registry, **options)

    def __call__(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        answer = self.session.request(method, url, data=body, headers=_dashed(headers))
        return Reply(answer.status_code, answer.content, answer.url, dict(self.session.cookies))

    def open(self, url: str) -> Callable[[bool], bytes]:
        answer = self.session.get(url, stream=True)

        def end(read: bool) -> bytes:
            data: bytes = answer.content if read else b""
            answer.close()
            return data

        return end

    def close(self) -> None:
        self.session.close()


class Loop:
    """Runs what a program awaits in one loop of asyncio."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def run(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable, context=copy_context())


class AsyncHttpx(Loop):
    errors = httpx.TransportError

    def __init__(self, registry: Registry, ca: str | None = None, **options: Any) -> None:
        super().__init__()
        options = {"verify": trusted(ca), **options}
        mounts = {"all://*.service": AsyncServiceTransport(registry, **options)}
        self.client = httpx.AsyncClient(mounts=mounts, follow_redirects=True, verify=trusted())

    def __call__(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        content = body if body is None or isinstance(body, bytes) else _async(body)
        answer = self.run(self.client.request(method, url, content=content, headers=_dashed(headers)))
        return Reply(answer.status_code, answer.content, str(answer.url), dict(self.client.cookies))

    def open(self, url: str) -> Callable[[bool], bytes]:
        answer = self.run(self.client.send(self.client.build_request("GET", url), stream=True))

        def end(read: bool) -> bytes:
            data: bytes = self.run(answer.aread()) if read else b""
            self.run(answer.aclose())
            return data

        return end

    def close(self) -> None:
        self.run(self.client.aclose())
        self.runner.close()


class Aiohttp(Loop):
    errors = aiohttp.ClientError, TimeoutError

    def __init__(self, registry: Registry, ca: str | None = None, **options: Any) -> None:
        super().__init__()

        async def session() -> Any:
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca)) if ca else None
            return aiohttp.ClientSession(connector=connector, middlewares=[service_middleware(registry, **options)])

        self.session = self.run(session())

    def __call__(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        async def request() -> Reply:
            data = body if body is None or isinstance(body, bytes) else _async(body)
            async with self.session.request(method, url, data=data, headers=_dashed(headers)) as answer:
                cookies = {cookie.key: cookie.value for cookie in self.session.cookie_jar}
                return Reply(answer.status, await answer.read(), str(answer.url), cookies)

        reply: Reply = self.run(request())
        return reply

    def open(self, url: str) -> Callable[[bool], bytes]:
        answer = self.run(self.session.get(url).__aenter__())

        def end(read: bool) -> bytes:
            async def ended() -> bytes:
                data: bytes = await answer.read() if read else b""
                answer.close()
                return data

            data: bytes = self.run(ended())
            return data

        return end

    def close(self) -> None:
        self.run(self.session.close())
        with suppress(RuntimeError):
            self.runner.close()


async def _async(parts: Iterable[bytes]) -> Any:
    for part in parts:
        yield part


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


PROGRAMS = (SyncHttpx, Requests, AsyncHttpx, Aiohttp)
