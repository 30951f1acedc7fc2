"""A board: items by key, each with its JSON, for all the streams that show them.

Owns when an item is read again: soon after `touch`, at most four times a second, in pieces, so that others need not
wait long. An item is written once, however many streams show it. A reader is told the keys that changed since it last
looked, so one that is slow never falls behind by more than the board is long. While the board is read for the first
time, a reader gets what has been read already.
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
        """The keys that it was told since it last took them."""
        self._told = trio.Event()

    def tell(self, keys: Iterable[Key]) -> None:
        self.changed.update(dict.fromkeys(keys))
        self._told.set()
        self._told = trio.Event()

    async def wait_for(self, enough: Callable[[], bool]) -> None:
        """Until `enough`, which is asked again whenever the reader is told something."""
        while not enough():
            await self._told.wait()

    def take(self, most: int | None = None) -> list[Key]:
        """The oldest of them, all without `most`."""
        taken = list(islice(self.changed, most))
        for key in taken:
            del self.changed[key]
        return taken


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
            changed = await self._read_again(touched)
            self.filled.set()
            self._tell(())
            if changed:
                self.on_change()
            await trio.sleep(EVERY_S)
            await self._wake.wait()

    async def _read_again(self, keys: Iterable[Key]) -> bool:
        """Returns whether an item has changed."""
        some = False
        for piece in pieces_of(keys, PIECE):
            await trio.lowlevel.checkpoint()
            changed = [key for key in piece if self._has_changed(key)]
            if changed:
                some = True
                self._tell(changed)
        return some

    def _has_changed(self, key: Key) -> bool:
        """Read the item of this key again."""
        before = self.items.get(key)
        item = self._read(key, before)
        if item is before:
            return False
        if item is None:
            del self.items[key]
        else:
            self.items[key] = item
        return True

    def _tell(self, keys: Iterable[Key]) -> None:
        for reader in self._readers:
            reader.tell(keys)

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
        with self.reading() as reader:
            await self._show_current(reader, send)
            while True:
                await reader.wait_for(lambda: bool(reader.changed))
                for piece in pieces_of(reader.take(), ITEMS_AN_EVENT):
                    await send(self.name, self._changed_data(piece))
                await trio.sleep(EVERY_S)

    async def _show_current(self, reader: BoardReader[Key], send: Send) -> None:
        """Send all items in pieces, each as soon as it has been read; the last piece says that it is the last."""
        reader.tell(self.items)
        whole = False
        while not whole:
            await reader.wait_for(lambda: self.filled.is_set() or len(reader.changed) >= ITEMS_AN_EVENT)
            whole = self.filled.is_set()
            pieces = list(pieces_of(reader.take(None if whole else ITEMS_AN_EVENT), ITEMS_AN_EVENT)) or [[]]
            for number, keys in enumerate(pieces, 1):
                gone = [key for key in keys if key not in self.items]
                texts = [self.items[key].text for key in keys if key in self.items]
                last = whole and number == len(pieces)
                await send(
                    self.name, items_data("current", texts, more=b',"last":%s' % (b"true" if last else b"false"))
                )
                reader.tell(gone)  # an earlier piece may have had it, so it is told as gone behind the last one

    def _changed_data(self, keys: Iterable[Key]) -> bytes:
        found = [(key, self.items.get(key)) for key in keys]
        gone = json_line([self._key_text(key) for key, item in found if item is None])
        return items_data("changed", [item.text for _, item in found if item is not None], more=b',"gone":' + gone)


def pieces_of(things: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """All of them, in lists of at most this size."""
    left = iter(list(things))
    while piece := list(islice(left, size)):
        yield piece
