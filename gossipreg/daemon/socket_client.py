"""A client at the local socket, and the forms of the methods that it calls."""

from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
from msgpack import packb

from gossipreg.callers import Caller
from gossipreg.quick_dataclass import dataclass

if TYPE_CHECKING:
    from gossipreg.daemon.store import Write

Result = TypeVar("Result")

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
    closed: Callable[[], Awaitable[None]] = trio.sleep_forever
    """Return when nobody reads the answer any more; not at the same time as `hung_up`."""
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


class Begun(Generic[Result]):
    """The packed result of a request that waits for the disk alone. It has its place in the order of writes, so the
    next request may begin before this one is answered."""

    __slots__ = ("_packed", "_write")

    def __init__(self, write: "Write[Result]", packed: Callable[[Result], bytes]) -> None:
        self._write = write
        self._packed = packed

    async def result(self) -> bytes:
        """Raises what the write raises."""
        return self._packed(await self._write.result())

    def __await__(self) -> Generator[Any, Any, bytes]:
        return self.result().__await__()


def pack(result: Any) -> bytes:
    data: bytes = packb(result)
    return data
