"""The watches of all clients on the local socket, and their notifications.

A change is encoded once for all watches. Each watch gets its changes of one step in one piece. `core.followers` decides
which watch gets which changes. Never knows what a connection is: a watch ends in a function that takes bytes and must
not block.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgpack import packb

from gossipreg.core.followers import Current, Followers
from gossipreg.core.view import View
from gossipreg.model import Change
from gossipreg.wire.shapes import change_shape, current_shape

_HEAD = b"\x93\x02" + packb("watch") + b"\x82" + packb("watch")
_CHANGE = packb("change")


@dataclass(frozen=True, slots=True, eq=False)
class LocalWatch:
    number: int
    """The client's name for it, unique on its connection."""
    name: str | None
    """None: every service."""
    tell: Callable[[bytes], None]


class Watches:
    def __init__(self, view: View) -> None:
        self._followers: Followers[LocalWatch] = Followers(view)

    def __len__(self) -> int:
        return len(self._followers)

    def add(self, watch: LocalWatch) -> bytes:
        """Add the watch; returns its first notification, or nothing if no table is known yet and the notification comes
        later."""
        current = self._followers.add(watch, watch.name)
        return b"" if current is None else notification(watch.number, packed(current))

    def remove(self, watch: LocalWatch) -> None:
        self._followers.remove(watch, watch.name)

    def publish(self, changes: Iterable[Change]) -> None:
        """Notify the watches of these changes; if `changes` is empty, of the change of what is known (synced, partial,
        stale)."""
        pieces: dict[LocalWatch, list[bytes]] = {}
        for what, watches in self._followers.changed(changes):
            data = packed(what)
            for watch in watches:
                pieces.setdefault(watch, []).append(notification(watch.number, data))
        for watch, notifications in pieces.items():
            watch.tell(b"".join(notifications))


def packed(what: Current | Change) -> bytes:
    shape = current_shape(what.instances, what.partial) if isinstance(what, Current) else change_shape(what)
    data: bytes = packb(shape)
    return data


def notification(number: int, packed_change: bytes) -> bytes:
    """The same bytes as `rpc.encode_notification("watch", {"watch": number, "change": change})`."""
    return b"".join((_HEAD, packb(number), _CHANGE, packed_change))
