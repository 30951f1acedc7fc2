"""A value that is made again while somebody looks at it: one for all who look at the same.

Owns when: at once when it was touched, else after a while, since not everything tells that it has changed. It is sent
when it has changed, and again after a while, so that a page knows that it is live. After a large one the pause is
longer.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import trio

from gossipreg.errors import GossipregError
from gossipreg.gateway.http.ui.latest import Latest
from gossipreg.gateway.http.ui.page_events import error_line, json_line, line_without_times
from gossipreg.gateway.http.ui.page_stream import Send

SENT_EVERY_S = 10.0
"""Unless the view says otherwise."""
BYTES_A_SECOND = 400_000
FAILED = "this failed inside the sidecar, and its log says how: please report it"


@dataclass(frozen=True, slots=True)
class MadeView:
    """What is sent, and what of it has to differ before it is sent again."""

    same: bytes
    """A digest: the values themselves would be thousands of objects for every full garbage collection to look at."""
    data: bytes


def made(shape: Any) -> MadeView:
    line = json_line(shape)
    return MadeView(sha256(line_without_times(shape, line)).digest(), line)


Make = Callable[[], Awaitable[MadeView]]
"""Makes the value. Raises GossipregError where it cannot be given now."""
Beside = Callable[[Callable[[], None]], Awaitable[None]]
"""Finds out something that the value shows, and calls what it is given when it has. Until cancelled."""


class WatchedView:
    def __init__(
        self, kind: str, make: Make, *, every_s: float, bug: Callable[[str, Exception], None],
        shortest_s: float = 0.25, sent_every_s: float = SENT_EVERY_S, beside: Beside | None = None,
    ) -> None:  # fmt: skip
        """`kind` is that of its events. It is made again after `every_s`, or when it was touched, after `shortest_s`,
        and sent at least every `sent_every_s`. `beside` runs as long."""
        self.readers = 0
        self.scope = trio.CancelScope()
        self._kind = kind
        self._make = make
        self._every_s = every_s
        self._shortest_s = shortest_s
        self._sent_every_s = sent_every_s
        self._bug = bug
        self._beside = beside
        self._latest = Latest[tuple[str, bytes]]()
        self._touched = trio.Event()

    def touch(self) -> None:
        """It may be another now."""
        self._touched.set()

    async def run(self) -> None:
        """Until cancelled."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                if self._beside is not None:
                    nursery.start_soon(self._run_beside, self._beside)
                await self._make_again_and_again()

    async def _run_beside(self, beside: Beside) -> None:
        try:
            await beside(self.touch)
        except Exception as error:
            self._bug(f"http_ui_{self._kind}", error)

    async def _make_again_and_again(self) -> None:
        shown, sent_at = None, 0.0
        while True:
            self._touched = trio.Event()
            kind, one = await self._made()
            now = trio.current_time()
            if (kind, one.same) != shown or now - sent_at >= self._sent_every_s:
                shown, sent_at = (kind, one.same), now
                self._latest.put((kind, one.data))
            pause_s = max(self._shortest_s, len(one.data) / BYTES_A_SECOND)
            await trio.sleep(pause_s)
            with trio.move_on_after(max(0.0, self._every_s - pause_s)):
                await self._touched.wait()

    async def _made(self) -> tuple[str, MadeView]:
        try:
            return self._kind, await self._make()
        except GossipregError as error:
            data = error_line(error.code, str(error))
        except Exception as error:
            self._bug(f"http_ui_{self._kind}", error)
            data = error_line("failed", FAILED)
        return "error", MadeView(data, data)

    async def show(self, send: Send) -> None:
        """Send it as it changes. Until cancelled."""
        number = 0
        while True:
            number, (kind, data) = await self._latest.after(number)
            await send(kind, data)


class WatchedViews:
    """Those that somebody looks at now, by key."""

    def __init__(
        self, start: Callable[[Callable[[], Awaitable[None]]], None], bug: Callable[[str, Exception], None]
    ) -> None:
        """`start` runs a task beside the others."""
        self._start = start
        self._bug = bug
        self._found: dict[Hashable, WatchedView] = {}

    async def show(
        self, key: Hashable, kind: str, make: Make, send: Send, *, every_s: float, beside: Beside | None = None
    ) -> None:
        """Send what `make` gives, as it changes; `touch(key)` makes it again. Until cancelled."""
        watched = self._found.get(key)
        if watched is None:
            watched = self._found[key] = WatchedView(kind, make, every_s=every_s, bug=self._bug, beside=beside)
            self._start(watched.run)
        watched.readers += 1
        try:
            await watched.show(send)
        finally:
            watched.readers -= 1
            if not watched.readers:
                watched.scope.cancel()
                del self._found[key]

    def touch(self, key: Hashable) -> None:
        if (watched := self._found.get(key)) is not None:
            watched.touch()
