"""Middlewares for servers, which tell clients the load of this process and read how long they wait.

    app = LoadASGI(app)    FastAPI, Starlette, Django's asgi.py, ...
    app = LoadWSGI(app)    Flask, Django's wsgi.py, ...

Each answer gets the header `gossipreg-load: in_flight=N`: the requests that this process serves, that one included.
Clients that pick adaptively send less to a process that has much. `Gossipreg-Attempt` and `Gossipreg-Timeout-Ms` of the
request hold for the calls that this program makes for it, by `call` or through an adapter: no retry of a retry, and no
longer deadline than the caller's own.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from threading import Lock
from time import monotonic
from typing import Any

from gossipreg.client.incoming import INCOMING, NOT_SERVING, IncomingRequest
from gossipreg.client.picking import headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
StartResponse = Callable[..., Any]


class _InFlight:
    """The requests that this process serves. A forked child begins at 0: it forks before it serves."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()

    def add(self, change: int) -> None:
        with self._lock:
            self.count += change

    @property
    def header(self) -> str:
        return f"in_flight={self.count}"


def incoming_untrusted(attempt: str | None, timeout_ms: str | None) -> IncomingRequest:
    """The request with these headers, which began now."""
    left_ms = headers.number_untrusted(timeout_ms)
    deadline = None if left_ms is None else monotonic() + left_ms / 1000
    return IncomingRequest(headers.attempt_untrusted(attempt), deadline)


class LoadASGI:
    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app
        self._in_flight = _InFlight()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_load(message: Scope) -> None:
            if message["type"] == "http.response.start":
                load = headers.LOAD.encode(), self._in_flight.header.encode()
                message = {**message, "headers": [*message.get("headers", ()), load]}
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                INCOMING.set(NOT_SERVING)  # nobody waits for what the program does after its answer

        given = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope["headers"]}
        attempt, timeout_ms = (given.get(name.lower().encode()) for name in (headers.ATTEMPT, headers.TIMEOUT_MS))
        token = INCOMING.set(incoming_untrusted(attempt, timeout_ms))
        self._in_flight.add(1)
        try:
            await self._app(scope, receive, send_with_load)
        finally:
            self._in_flight.add(-1)
            INCOMING.reset(token)


class LoadWSGI:
    def __init__(self, app: Callable[[dict[str, Any], StartResponse], Iterable[bytes]]) -> None:
        self._app = app
        self._in_flight = _InFlight()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start_with_load(status: str, given: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*given, (headers.LOAD, self._in_flight.header)], *error)

        attempt, timeout_ms = (
            environ.get("HTTP_" + name.upper().replace("-", "_")) for name in (headers.ATTEMPT, headers.TIMEOUT_MS)
        )
        incoming = incoming_untrusted(attempt, timeout_ms)
        INCOMING.set(incoming)
        self._in_flight.add(1)
        try:
            return _Counted(self._app(environ, start_with_load), self._in_flight, incoming)
        except BaseException:
            self._in_flight.add(-1)
            _served(incoming)
            raise


class _Counted:
    """The body of an answer; the server closes it, as PEP 3333 says."""

    def __init__(self, body: Iterable[bytes], in_flight: _InFlight, incoming: IncomingRequest) -> None:
        self._body = body
        self._incoming = incoming
        self._in_flight: _InFlight | None = in_flight

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            in_flight.add(-1)
        try:
            if callable(close := getattr(self._body, "close", None)):
                close()
        finally:
            _served(self._incoming)


def _served(incoming: IncomingRequest) -> None:
    """The thread serves this request no longer, unless it was another one: what it does next is not for its caller."""
    if INCOMING.get() is incoming:
        INCOMING.set(NOT_SERVING)
