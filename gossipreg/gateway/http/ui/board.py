"""A board: items by key, each with its JSON, for all the streams that show them.

Owns when an item is read again: soon after `touch`, at most four times a second, in pieces, so that others need not
wait long. An item is written once, however many streams show it. A reader is told the keys that changed since it last
looked, so one that is slow never falls behind by more than the board is long.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import trio

from gossipreg.gateway.http.ui.page_events import items_data, json_line
from gossipreg.gateway.http.ui.page_stream import Send

Key = TypeVar("Key", bound=Hashable)
Part = TypeVar("Part")

EVERY_S = 0.25
"""The shortest time between two readings of what changed, and between two events for a reader."""
PIECE = 64
"""Items that are read before other tasks run: some two milliseconds."""
ITEMS_AN_EVENT = 250
"""About 100 KB."""


@dataclass(frozen=True, slots=True)
class BoardItem:
    shown: object
    """Equal as long as nothing that people care about has changed."""
    text: bytes
    """Its JSON."""
    figures: tuple[int, ...] = ()
    """What sums over the board are made of."""
    group: str = ""
    """What items are counted by."""


class BoardReader(Generic[Key]):
    def __init__(self) -> None:
        self.changed: dict[Key, None] = {}
        self.wake = trio.Event()


class Board(Generic[Key]):
    def __init__(
        self, name: str, *, keys: Callable[[], Iterable[Key]],
        read: Callable[[Key, BoardItem | None], BoardItem | None], key_text: Callable[[Key], str],
    ) -> None:  # fmt: skip
        """`name` is that of its events. `read(key, before)` makes the item of a key, or returns the one before while
        that will do; None: there is none. `key_text` is the key as `gone` has it."""
        self.name = name
        self.items: dict[Key, BoardItem] = {}
        self.filled = trio.Event()
        self.on_change: Callable[[], None] = lambda: None
        self._keys = keys
        self._read = read
        self._key_text = key_text
        self._touched: dict[Key, None] = {}
        self._wake = trio.Event()
        self._readers: dict[BoardReader[Key], None] = {}

    def touch(self, keys: Iterable[Key]) -> None:
        """These items may read otherwise now."""
        self._touched.update(dict.fromkeys(keys))
        if self._touched:
            self._wake.set()

    def touch_all(self) -> None:
        self.touch([*self.items, *self._keys()])

    async def run(self) -> None:
        """Until cancelled."""
        self.touch(self._keys())
        while True:
            touched, self._touched, self._wake = self._touched, {}, trio.Event()
            await self._read_again(touched)
            self.filled.set()
            await trio.sleep(EVERY_S)
            await self._wake.wait()

    async def _read_again(self, keys: Iterable[Key]) -> None:
        changed: dict[Key, None] = {}
        for piece in pieces_of(keys, PIECE):
            for key in piece:
                before = self.items.get(key)
                item = self._read(key, before)
                if item is before:
                    continue
                changed[key] = None
                if item is None:
                    del self.items[key]
                else:
                    self.items[key] = item
            await trio.lowlevel.checkpoint()
        if changed:
            for reader in self._readers:
                reader.changed.update(changed)
                reader.wake.set()
            self.on_change()

    @contextmanager
    def reading(self) -> Iterator[BoardReader[Key]]:
        reader = BoardReader[Key]()
        self._readers[reader] = None
        try:
            yield reader
        finally:
            del self._readers[reader]

    async def show(self, send: Send) -> None:
        """Send all items, and then those that change. Until cancelled."""
        await self.filled.wait()
        with self.reading() as reader:
            await self._show_current(send)
            while True:
                await reader.wake.wait()
                changed, reader.changed, reader.wake = reader.changed, {}, trio.Event()
                for piece in pieces_of(changed, ITEMS_AN_EVENT):
                    await send(self.name, self._changed_data(piece))
                await trio.sleep(EVERY_S)

    async def _show_current(self, send: Send) -> None:
        pieces = list(pieces_of(self.items, ITEMS_AN_EVENT)) or [[]]
        for number, keys in enumerate(pieces, 1):
            texts = [item.text for key in keys if (item := self.items.get(key)) is not None]
            last = b',"last":%s' % (b"true" if number == len(pieces) else b"false")
            await send(self.name, items_data("current", texts, more=last))

    def _changed_data(self, keys: Iterable[Key]) -> bytes:
        found = [(key, self.items.get(key)) for key in keys]
        gone = json_line([self._key_text(key) for key, item in found if item is None])
        return items_data("changed", [item.text for _, item in found if item is not None], more=b',"gone":' + gone)


def pieces_of(things: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """All of them, in lists of at most this size."""
    left = iter(list(things))
    while piece := list(islice(left, size)):
        yield piece
