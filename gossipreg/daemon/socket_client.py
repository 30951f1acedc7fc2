"""A client at the local socket, and the forms of the methods that it calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio
from msgpack import packb

from gossipreg.callers import Caller

Params = dict[str, Any]
Handler = Callable[[Params], bytes | Awaitable[bytes]]
"""Parameters in, the packed result out."""
Command = Callable[[Params, "SocketClient"], bytes | Awaitable[bytes]]
"""A handler that needs to know which client asks."""


@dataclass(slots=True, eq=False)
class SocketClient:
    """A client's connection to the local socket, with the caller at its other end; compared by identity."""

    caller: Caller
    gone: bool = False
    attached: bool = False
    """A service lives, or lived, on it."""
    sagas: int = 0
    """Sagas whose program is at this connection."""
    hung_up: Callable[[], Awaitable[None]] = trio.sleep_forever
    """Return when the client has closed its side, though a request of it is being worked on."""
    notify: Callable[[str, Params], None] = lambda _method, _params: None
    """Write a notification to it."""

    @property
    def uid(self) -> int:
        return self.caller.uid

    @property
    def pid(self) -> int:
        return self.caller.pid

    def lost(self, id: str, why: str) -> None:
        """A service that was attached to it is not any more."""
        self.notify("detached", {"id": id, "why": why})


def pack(result: Any) -> bytes:
    data: bytes = packb(result)
    return data
