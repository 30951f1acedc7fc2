"""One client of the gateway, as the server keeps it: its socket, and what it waits for.

Owns nothing that happens: `server` does all of it. A connection that waits is to weigh little, so it has slots.
"""

import socket
from collections.abc import Awaitable, Callable
from math import inf
from typing import Protocol, runtime_checkable

from gossipreg.gateway.http.framing import Reader
from gossipreg.gateway.http.message import Head, Response


@runtime_checkable
class Parked(Protocol):
    """A request that waits. The server is told the answer through `Server.answer`, or gives up waiting."""

    deadline: float

    def park(self, connection: "HttpConnection") -> None:
        """The connection waits from now on."""

    def leave(self, connection: "HttpConnection") -> None:
        """It does so no longer."""

    def now(self) -> Response:
        """The response when its time is up."""


@runtime_checkable
class Streaming(Protocol):
    """A response without an end. `begin` receives the function that writes, `end` is called when nobody reads any
    more."""

    def begin(self, write: Callable[[bytes], None]) -> Response: ...
    def end(self) -> None: ...


Answer = Response | Parked | Streaming | Awaitable[Response]


class HttpConnection:
    __slots__ = (
        "busy",
        "closing",
        "deadline",
        "head",
        "held",
        "mask",
        "out",
        "parked",
        "queued",
        "reader",
        "sock",
        "stream",
    )

    def __init__(self, sock: socket.socket, reader: Reader) -> None:
        self.sock = sock
        self.reader = reader
        self.out = b""
        """Written and not yet taken by the kernel."""
        self.mask = 0
        self.held = 0
        """Bytes of a request that is not whole."""
        self.head: Head | None = None
        """The head of the request that is being answered."""
        self.parked: Parked | None = None
        self.stream: Streaming | None = None
        self.busy = False
        """A task answers it."""
        self.closing = False
        self.deadline = inf
        self.queued = inf
        """When the server looks at the deadline next."""

    @property
    def occupied(self) -> bool:
        """Whether its next request must wait."""
        return bool(self.out or self.busy or self.parked or self.stream or self.closing)
