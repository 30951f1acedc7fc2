"""Who is told of which changes: the watches of all clients, by service name.

A change is brought into bytes once, however many watch. Each watch gets its changes of one step in one piece. Never
knows what a connection is: a watch ends in a function that takes bytes and must not block.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgpack import packb

from gossipreg.model import Change
from gossipreg.wire.shapes import change_shape

_HEAD = b"\x93\x02" + packb("watch") + b"\x82" + packb("watch")
_CHANGE = packb("change")


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    number: int
    """The client's name for it, unique on its connection."""
    name: str | None
    """None: every service."""
    tell: Callable[[bytes], None]


class Watches:
    def __init__(self) -> None:
        self._by_name: dict[str | None, dict[Watch, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def add(self, watch: Watch) -> None:
        self._by_name.setdefault(watch.name, {})[watch] = None

    def remove(self, watch: Watch) -> None:
        watches = self._by_name[watch.name]
        del watches[watch]
        if not watches:
            del self._by_name[watch.name]

    def publish(self, changes: Iterable[Change]) -> None:
        if not self._by_name:
            return
        pieces: dict[Watch, list[bytes]] = {}
        everything = self._by_name.get(None, {})
        for change in changes:
            of_name = self._by_name.get(change.instance.service.name, {})
            if of_name or everything:
                packed = packb(change_shape(change))
                for watch in (*of_name, *everything):
                    pieces.setdefault(watch, []).append(notification(watch.number, packed))
        for watch, told in pieces.items():
            watch.tell(b"".join(told))


def notification(number: int, packed_change: bytes) -> bytes:
    """The same bytes as `rpc.encode_notification("watch", {"watch": number, "change": change})`."""
    return b"".join((_HEAD, packb(number), _CHANGE, packed_change))
