"""The questions of members about the history, and the method that asks them: nothing is loaded before somebody asks.

Owns: how many calls of the method ask all members at the same time. Each has what all of them answered in memory.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gossipreg.core.view import View
from gossipreg.daemon.history.history import History
from gossipreg.daemon.socket_client import Params
from gossipreg.errors import Busy
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.history.history_everywhere import HistoryEverywhere

EVERYWHERE_AT_ONCE = 4
"""Calls of `history-everywhere`. With 1,000 members each takes tens of MB, and a thread for seconds."""


class HistoryAsked:
    def __init__(
        self, view: View, history: History, now: Callable[[], float],
        events: "Callable[[], Awaitable[LocalEvents]]",
    ) -> None:  # fmt: skip
        self._view = view
        self._history = history
        self._now = now
        self._events = events
        self._everywhere: HistoryEverywhere | None = None
        self._running = 0

    async def clock(self, params: Shape) -> Shape:
        return await self._loaded().answers.clock(params)

    async def lines(self, params: Shape) -> Shape:
        return await self._loaded().answers.lines(params)

    async def everywhere(self, params: Params) -> bytes:
        """The method `history-everywhere`. Raises Busy, and what `HistoryEverywhere.method` raises."""
        if self._running >= EVERYWHERE_AT_ONCE:
            raise Busy(f"{self._running} calls ask all members for their history now: ask again in a moment")
        self._running += 1
        try:
            return await self._loaded().method(params)
        finally:
            self._running -= 1

    def _loaded(self) -> "HistoryEverywhere":
        if self._everywhere is None:
            from gossipreg.daemon.history.history_everywhere import HistoryEverywhere

            self._everywhere = HistoryEverywhere(self._view, self._history, self._now, self._events)
        return self._everywhere
