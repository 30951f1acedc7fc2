"""The watches of all clients on the local socket, and their notifications.

A change is encoded once for all watches in the same form (MessagePack, or JSON for clients that speak HTTP), and so are
the instances at the beginning of a watch as long as they stay the same. Each client gets its changes of one step in one
piece. `core.followers` decides which watch gets which changes. Never knows what a connection is: a watch ends in a
`WatchReader`, which takes bytes and must not block.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from msgpack import packb

from gossipreg.core.followers import Current, Followers
from gossipreg.core.view import View
from gossipreg.model import Change, fold_name
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.shapes import change_shape, current_shape

KEPT_BYTES = 8 << 20
"""Encoded instances that are kept for the next watches of the same name."""
KEPT_FROM_BYTES = 1024
"""Fewer are encoded at once, and would take several times as much to keep."""


class WatchForm(Protocol):
    """How notifications are written."""

    def body(self, shape: Any) -> bytes:
        """Encode a value that is the same for all clients."""

    def watch(self, number: int, change: bytes) -> tuple[bytes, ...]:
        """The notification of an encoded change, in pieces, for the watch that the client knows by this number."""

    def notification(self, method: str, params: bytes) -> tuple[bytes, ...]:
        """A notification with these encoded parameters, in pieces."""


class WatchReader(Protocol):
    """A client that gets notifications."""

    @property
    def form(self) -> WatchForm: ...

    def push(self, *pieces: bytes) -> None:
        """Write them in this order. Never blocks, never raises."""


class RpcForm:
    """MessagePack-RPC, with the same bytes as `rpc.encode_notification`."""

    def body(self, shape: Any) -> bytes:
        data: bytes = packb(shape)
        return data

    def watch(self, number: int, change: bytes) -> tuple[bytes, ...]:
        return b"".join((_WATCH_HEAD, packb(number), _CHANGE)), change

    def notification(self, method: str, params: bytes) -> tuple[bytes, ...]:
        return b"\x93\x02" + packb(method), params


RPC_FORM = RpcForm()
_WATCH_HEAD = b"\x93\x02" + packb("watch") + b"\x82" + packb("watch")
_CHANGE = packb("change")


@dataclass(frozen=True, slots=True, eq=False)
class LocalWatch:
    number: int
    """The client's name for it, unique on its connection."""
    name: str | None
    """In lower case. None: every service."""
    reader: WatchReader


class Watches:
    def __init__(self, view: View) -> None:
        self._view = view
        self._followers: Followers[LocalWatch] = Followers(view)
        self._count = 0
        self._kept: dict[tuple[WatchForm, str | None, bool], tuple[int, bytes]] = {}
        """Encoded instances by form, name and `partial`, each with the index of its name in the catalog."""
        self._kept_bytes = 0

    def __len__(self) -> int:
        return self._count

    def add(self, watch: LocalWatch) -> tuple[bytes, ...]:
        """Add the watch; returns its first notification in pieces, or nothing if no table is known yet and the
        notification comes later."""
        current = self._followers.add(watch, watch.name)
        self._count += 1
        if current is None:
            return ()
        form = watch.reader.form
        return form.watch(watch.number, self._encoded(form, watch.name, current))

    def remove(self, watch: LocalWatch) -> None:
        self._followers.remove(watch, watch.name)
        self._count -= 1

    def publish(self, changes: Iterable[Change]) -> None:
        """Notify the watches of these changes; if `changes` is empty, of the change of what is known (synced, partial,
        stale)."""
        to_write: dict[WatchReader, list[bytes]] = {}
        for what, watches in self._followers.changed(changes):
            encoded: dict[WatchForm, bytes] = {}
            for watch in watches:
                form = watch.reader.form
                if form not in encoded:
                    encoded[form] = self._encoded(form, watch.name, what)
                to_write.setdefault(watch.reader, []).extend(form.watch(watch.number, encoded[form]))
        for reader, pieces in to_write.items():
            reader.push(*pieces)

    def _encoded(self, form: WatchForm, name: str | None, what: Current | Change) -> bytes:
        if isinstance(what, Change):
            return form.body(change_shape(what))
        index = self._view.catalog.index(name)
        kept = self._kept.get((form, name, what.partial))
        if kept is not None and kept[0] == index:
            return kept[1]
        data = form.body(current_shape(what.instances, what.partial))
        self._keep((form, name, what.partial), index, data)
        return data

    def _keep(self, key: tuple[WatchForm, str | None, bool], index: int, data: bytes) -> None:
        _, before = self._kept.pop(key, (0, b""))
        self._kept_bytes -= len(before)
        if not KEPT_FROM_BYTES <= len(data) <= KEPT_BYTES // 2:
            return
        self._kept[key] = index, data
        self._kept_bytes += len(data)
        while self._kept_bytes > KEPT_BYTES:
            _, oldest = self._kept.pop(next(iter(self._kept)))
            self._kept_bytes -= len(oldest)


def watched_name(name: str | None) -> str | None:
    """The name of a watch as `LocalWatch` has it."""
    return None if name is None else fold_name(name)
