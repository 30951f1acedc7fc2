"""What each member of a cluster knows of the others, as it tells it itself, and when it told it.

Owns one selector for everything that members say, on whatever stream: nothing is asked at intervals, so a time is that
of the read which brought the news. Never knows what the streams are or how they are written: each kind of cluster makes
facts of the bytes.
"""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from typing import IO

Stream = socket.socket | IO[bytes]
View = dict[str, str]
"""Of one member: the names of the members that it takes for alive, each with the mark of its last update."""

LONGEST_S = 0.5
"""A turn without news ends after this, so that bounds are kept."""


class Ears:
    """Listens to many streams at once. `heard(data, at)` is called with what was read; at the end once with b""."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def listen(self, stream: Stream, heard: Callable[[bytes, float], None]) -> None:
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, selectors.EVENT_READ, heard)

    def deafen(self, stream: Stream) -> None:
        """Listen to it no more, if we did. It stays open."""
        if stream.fileno() in self._selector.get_map():
            self._selector.unregister(stream)

    def turn(self, timeout_s: float) -> None:
        """Take what is there; or wait for it. All is read, and its time taken, before any of it is looked into."""
        found: list[tuple[selectors.SelectorKey, bytes, float]] = []
        for key, _ in self._selector.select(timeout_s):
            try:
                data = os.read(key.fd, 1 << 16)
            except BlockingIOError:
                continue
            except ConnectionError:  # killed with something of ours unread
                data = b""
            found.append((key, data, time.perf_counter()))
        for key, data, at in found:
            if not data and key.fd in self._selector.get_map():
                self._selector.unregister(key.fileobj)
            key.data(data, at)

    def until(self, holds: Callable[[], bool], bound_s: float) -> bool:
        end = time.perf_counter() + bound_s
        while not holds():
            left_s = end - time.perf_counter()
            if left_s <= 0:
                return False
            self.turn(min(left_s, LONGEST_S))
        return True

    def rest(self, seconds: float) -> None:
        """Let so much time pass, listening."""
        self.until(lambda: False, seconds)

    def close(self) -> None:
        self._selector.close()


class Views:
    """One view for each observer. `gone` is told of each member that an observer takes for alive no more."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self.of: dict[str, View] = {}
        self.changed_at: dict[str, float] = {}
        """By observer: when its last news was read, of `perf_counter`."""
        self.gone: Callable[[str, str], None] = lambda _observer, _subject: None

    def begin(self, observer: str) -> None:
        self.of[observer] = {}
        self.changed_at[observer] = time.perf_counter()

    def end(self, observer: str) -> None:
        self.of.pop(observer, None)

    def tell(self, observer: str, subject: str, mark: str | None, at: float) -> None:
        """`mark` None: it is gone."""
        view = self.of.get(observer)
        if view is None:  # it was ended, and this lay unread
            return
        self.changed_at[observer] = at
        if mark is not None:
            view[subject] = mark
        elif view.pop(subject, None) is not None:
            self.gone(observer, subject)

    def until(self, observers: Iterable[str], holds: Callable[[str, View], bool], bound_s: float) -> dict[str, float]:
        """When each observer's view came to hold, of `perf_counter`; who is not in it did not within the bound."""
        looked_at: dict[str, float] = {}
        pending, came = list(observers), {}

        def look() -> bool:
            for observer in list(pending):
                at = self.changed_at[observer]
                if looked_at.get(observer) != at:
                    looked_at[observer] = at
                    if observer in self.of and holds(observer, self.of[observer]):
                        came[observer] = at
                        pending.remove(observer)
            return not pending

        self._ears.until(look, bound_s)
        return came
