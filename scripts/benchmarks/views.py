"""The view that each member of a cluster has of the others, as it reports it, and the time of each report.

Owns one selector for all streams of all members. Nothing is polled: the time of a report is the time of the read that
brought it. Never knows what a stream is or how it is written: each kind of cluster makes facts of the bytes.
"""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from typing import IO

Stream = socket.socket | IO[bytes]
View = dict[str, str]
"""The view of one member: the names of the members that it takes for alive, each with the mark of its last update."""

LONGEST_S = 0.5
"""A turn without output ends after this, so that bounds are kept."""


class Listener:
    """Reads many streams at once. `on_output(data, at)` is called with what was read, and at the end once with b""."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def listen(self, stream: Stream, on_output: Callable[[bytes, float], None]) -> None:
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, selectors.EVENT_READ, on_output)

    def stop_listening(self, stream: Stream) -> None:
        """Stop reading this stream, if it was read. It stays open."""
        if stream.fileno() in self._selector.get_map():
            self._selector.unregister(stream)

    def turn(self, timeout_s: float) -> None:
        """Read what is there, or wait for it. All is read, with its time, before any of it is looked at."""
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
    """One view for each observer. `gone` is called for each member that an observer no longer takes for alive."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.of: dict[str, View] = {}
        self.changed_at: dict[str, float] = {}
        """By observer: the time (`perf_counter`) at which its last report was read."""
        self.gone: Callable[[str, str], None] = lambda _observer, _subject: None

    def begin(self, observer: str) -> None:
        self.of[observer] = {}
        self.changed_at[observer] = time.perf_counter()

    def end(self, observer: str) -> None:
        self.of.pop(observer, None)

    def tell(self, observer: str, subject: str, mark: str | None, at: float) -> None:
        """Note what the observer reported of the subject; `mark` is None if it is gone."""
        view = self.of.get(observer)
        if view is None:  # it was ended, and this lay unread
            return
        self.changed_at[observer] = at
        if mark is not None:
            view[subject] = mark
        elif view.pop(subject, None) is not None:
            self.gone(observer, subject)

    def until(self, observers: Iterable[str], holds: Callable[[str, View], bool], bound_s: float) -> dict[str, float]:
        """The time (`perf_counter`) at which each observer's view came to hold. An observer whose view did not within
        the bound is not in it."""
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

        self._listener.until(look, bound_s)
        return came
