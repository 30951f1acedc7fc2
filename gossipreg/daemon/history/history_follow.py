"""Following the history on a connection to the local socket: the method `history` with `follow`.

Owns: that no line is missing or double between the page and the first notification. Never knows: how a notification is
written.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipreg.daemon.history.history_method import history_query_untrusted
from gossipreg.daemon.socket_client import Params
from gossipreg.errors import Busy, NotFound
from gossipreg.history.history_line import HistoryLine, line_shape
from gossipreg.history.history_query import fits
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.history.history import History

FOLLOWS_MAX = 16
"""Of one connection."""


class HistoryFollows:
    """Those of one connection."""

    def __init__(self, history: "History", notify: Callable[[Shape], None]) -> None:
        """`notify` writes the parameters of a notification `history` to the client."""
        self._history = history
        self._notify = notify
        self._ends: dict[int, Callable[[], None]] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._ends)

    async def begin(self, params: Params) -> tuple[Shape, Shape | None]:
        """The page, with `follow`, the number under which further lines come, if it has the newest lines; and the first
        notification, of lines that came meanwhile. Raises BadParams, Busy."""
        if len(self._ends) >= FOLLOWS_MAX:
            raise Busy(f"this connection follows the history {FOLLOWS_MAX} times: end one with history-end")
        query = history_query_untrusted(params, self._history.now())
        number, self._next = self._next, self._next + 1
        waiting: list[HistoryLine] = []
        answered = False

        def take(line: HistoryLine) -> None:
            if not fits(line, query):
                return
            if answered:
                self._notify({"follow": number, "lines": [line_shape(line)]})
            else:
                waiting.append(line)

        self._ends[number] = self._history.lines.follow(f"history {number}", take)
        try:
            page = await self._history.page(params)
        except BaseException:
            self._forget(number)
            raise
        if page["more"] and not query.newest:
            self._forget(number)
            return page, None
        newest = page["lines"][-1]["seq"] if page["lines"] else 0
        came = [line_shape(line) for line in waiting if line.seq > newest]
        answered = True
        return {**page, "follow": number}, ({"follow": number, "lines": came} if came else None)

    def end(self, number: int) -> None:
        """Raises NotFound."""
        if number not in self._ends:
            raise NotFound(f"this connection does not follow the history under the number {number}")
        self._forget(number)

    def end_all(self) -> None:
        for number in [*self._ends]:
            self._forget(number)

    def _forget(self, number: int) -> None:
        """It may have been ended meanwhile."""
        if (ends := self._ends.pop(number, None)) is not None:
            ends()
