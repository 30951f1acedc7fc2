"""The questions of members about the history, and the method that asks them: nothing is loaded before somebody asks."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gossipreg.core.view import View
from gossipreg.daemon.history.history import History
from gossipreg.daemon.socket_client import Params
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents
    from gossipreg.daemon.history.history_everywhere import HistoryEverywhere


class HistoryAsked:
    def __init__(
        self, view: View, history: History, now: Callable[[], float],
        events: "Callable[[], Awaitable[LocalEvents]]",
    ) -> None:  # fmt: skip
        self._view = view
        self._history = history
        self._now = now
        self._events = events

    async def clock(self, params: Shape) -> Shape:
        return await self._loaded().answers.clock(params)

    async def lines(self, params: Shape) -> Shape:
        return await self._loaded().answers.lines(params)

    async def everywhere(self, params: Params) -> bytes:
        return await self._loaded().method(params)

    def _loaded(self) -> "HistoryEverywhere":
        from gossipreg.daemon.history.history_everywhere import HistoryEverywhere

        return HistoryEverywhere(self._view, self._history, self._now, self._events)
