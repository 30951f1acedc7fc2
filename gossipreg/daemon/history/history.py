"""The history, joined: notes come in, lines go to whoever keeps and follows them, and readers get pages.

Owns: the numbers of the lines, and the rule that nothing here waits: a note costs its caller some microseconds. Never
knows: what is worth a note.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec

from gossipreg.daemon.clock import boot_s
from gossipreg.daemon.history.history_method import history_query_untrusted
from gossipreg.daemon.history.history_note import HistoryNote
from gossipreg.daemon.history.line_rates import LineRates
from gossipreg.daemon.history.recent_lines import RecentLines
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.feed import Feed
from gossipreg.history.history_line import HistoryLine, LineField, NamedMember, line_shape
from gossipreg.history.history_query import fits
from gossipreg.wire.shapes import Shape

Given = ParamSpec("Given")

MESSAGE_MAX = 500
"""Characters of a line's message, and of a fact: what others chose may be longer."""


class History:
    def __init__(
        self, own: NamedMember, bug: Callable[[str, Exception], None], *, wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = boot_s,
    ) -> None:  # fmt: skip
        """`own` is this member; `wall` and `monotonic` are the clocks, in seconds."""
        self.own = own
        self.lines: Feed[HistoryLine] = Feed(bug)
        self._bug = bug
        self._wall = wall
        self._monotonic = monotonic
        self._rates = LineRates()
        self._recent = RecentLines()
        self._seq = 0
        self.began = ""
        """How the run before ended: `clean`, `unclean`, `first` if there was none; empty: nothing is kept of it."""

    # -- notes come in -------------------------------------------------------------------------------------------------

    def note(
        self, kind: str, message: str, *, level: str = "info", member: NamedMember | None = None, service: str = "",
        instance: str = "", more: Mapping[str, LineField] | None = None, topic: str = "",
    ) -> None:  # fmt: skip
        """Something happened. `member` None: to this sidecar itself. `topic`: see HistoryNote."""
        now = self._monotonic()
        note = HistoryNote(
            self._wall(), now, kind, level, _one_line(message), member or self.own, service, instance,
            {} if more is None else {name: _short(value) for name, value in more.items()}, topic,
        )  # fmt: skip
        if self._rates.admit(note, now):
            self._write(note)

    def safely(self, where: str, take: Callable[Given, None]) -> Callable[Given, None]:
        """The same call, whose failure is a bug that is counted and logged, and stops nobody. It is not called from
        within itself: the line of the log that tells of the bug is no note."""
        busy = False

        def call(*given: Given.args, **named: Given.kwargs) -> None:
            nonlocal busy
            if busy:
                return
            busy = True
            try:
                take(*given, **named)
            except Exception as error:
                self._bug(where, error)
            finally:
                busy = False

        return call

    def look(self) -> None:
        """Write what was left out of storms, in one line each. To be called every few seconds."""
        for note in self._rates.summaries(self._monotonic()):
            self._write(note)

    def _write(self, note: HistoryNote) -> None:
        self._seq += 1
        line = HistoryLine(
            self._seq, note.at, note.boot_s, note.kind, note.level, note.message, note.member, note.service,
            note.instance, note.more,
        )  # fmt: skip
        self._recent.append(line)
        self.lines.publish(line)

    # -- readers -------------------------------------------------------------------------------------------------------

    async def page(self, params: Shape) -> Shape:
        """The answer of the method `history`. Raises BadParams."""
        query = history_query_untrusted(params, self._wall())
        lines, more = self._recent.read(query)
        first = self._recent.first
        return {
            "lines": [line_shape(line) for line in lines], "more": more,
            "kept_from": None if first is None else round(first.at, 3), "kept_in": "memory",
        }  # fmt: skip

    async def method(self, params: Params) -> bytes:
        """The method `history` of the local socket."""
        return pack(await self.page(params))

    @contextmanager
    def following(self, name: str, params: Shape, take: Callable[[Shape], None]) -> Iterator[None]:
        """Call `take` with each new line that the parameters of `history` want, while the block runs; see
        `Feed.following`. Raises BadParams."""
        query = history_query_untrusted(params, self._wall())

        def look(line: HistoryLine) -> None:
            if fits(line, query):
                take(line_shape(line))

        with self.lines.following(name, look):
            yield


def _one_line(text: str) -> str:
    """Printable, on one line and of a bounded length: names and reasons are chosen by others."""
    short = text if len(text) <= MESSAGE_MAX else f"{text[: MESSAGE_MAX - 3]}..."
    return short if short.isprintable() else "".join(one if one.isprintable() else " " for one in short)


def _short(value: LineField) -> LineField:
    return _one_line(value) if isinstance(value, str) else value
