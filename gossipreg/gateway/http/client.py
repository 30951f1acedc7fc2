"""One client of the gateway: its socket, its bytes, and what it waits for.

Holds values only: `connections` and `server` change them. A connection that waits must take little memory, so it has
slots.
"""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol, runtime_checkable

from gossipreg.net.http_framing import Reader
from gossipreg.net.http_message import Head, Response


@runtime_checkable
class Parked(Protocol):
    """A request that waits, until `Server.answer` gets the response or its deadline passes."""

    deadline: float

    def park(self, connection: "HttpConnection") -> None:
        """The connection waits from now on."""

    def leave(self, connection: "HttpConnection") -> None:
        """The connection waits no longer."""

    def now(self) -> Response:
        """The response when its time is up."""


@dataclass(frozen=True, slots=True)
class StreamOut:
    """The way out of a response without an end."""

    write: Callable[[bytes], None]
    """Closes the connection if too much would wait for its reader."""
    unsent_bytes: Callable[[], int]
    """What the kernel has not taken yet."""
    close: Callable[[], None]


@runtime_checkable
class Streaming(Protocol):
    """A response without an end."""

    def begin(self, out: StreamOut) -> Response: ...
    def drained(self) -> None:
        """The kernel has taken all that was written."""

    def end(self) -> None:
        """The client is gone."""


Answer = Response | Parked | Streaming | Awaitable[Response | Streaming]


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
        self.out: bytes | memoryview = b""
        """The bytes that the kernel has not taken yet."""
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
        """The time at which the deadline is looked at next."""

    @property
    def occupied(self) -> bool:
        """Whether its next request must wait."""
        return bool(self.out or self.busy or self.parked or self.stream or self.closing)
