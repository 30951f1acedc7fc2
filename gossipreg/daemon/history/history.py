"""The history, joined: notes come in, lines go to whoever keeps and follows them, and readers get pages.

Owns: the numbers of the lines, and the rule that nothing here waits: a note costs its caller some microseconds. Never
knows: what is worth a note.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec

from gossipreg.daemon.history.clock_watch import ClockWatch
from gossipreg.daemon.history.history_note import HistoryNote
from gossipreg.daemon.history.line_rates import LineRates
from gossipreg.daemon.history.recent_lines import RecentLines
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.feed import Feed
from gossipreg.history.history_line import HistoryLine, LineField, NamedMember, line_shape
from gossipreg.history.history_query import HistoryQuery, fits
from gossipreg.wire.shapes import Shape

if TYPE_CHECKING:
    from gossipreg.daemon.history.history_disk import HistoryDisk, HistoryRead

Given = ParamSpec("Given")

HOW_BEGAN = {"": "first", "stopped": "clean"}
"""By the kind of the last line of the run before."""
MESSAGE_MAX = 500
"""Characters of a line's message, and of a fact: what others chose may be longer."""


class History:
    def __init__(
        self, own: NamedMember, bug: Callable[[str, Exception], None], *, disk: "HistoryDisk | None" = None,
        clock: ClockWatch | None = None, clock_set: Callable[[float], None] = lambda _by_s: None,
    ) -> None:  # fmt: skip
        """`own` is this member; `disk` None: lines are kept in memory. `clock_set(by_s)` is called when the wall
        clock was set, with the seconds by which it was."""
        self.own = own
        self.lines: Feed[HistoryLine] = Feed(bug)
        self._bug = bug
        self._clock = clock or ClockWatch()
        self._clock_set = clock_set
        self._written = 0
        self._rates = LineRates()
        self._disk = disk
        self._recent = RecentLines()
        self.began = "" if disk is None or not disk.opened else HOW_BEGAN.get(disk.newest_kind, "unclean")
        """How the run before ended: `clean`, `unclean`, `first` if there was none; empty: nothing is kept of it."""
        self._seq = disk.newest_seq if disk is not None and disk.opened else 0
        if disk is not None and not disk.opened:
            self._seq = int(self._clock.wall() * 1000)  # above all that the file may hold, though it cannot be read now

    # -- notes come in -------------------------------------------------------------------------------------------------

    def note(
        self, kind: str, message: str, *, level: str = "info", member: NamedMember | None = None, service: str = "",
        instance: str = "", more: Mapping[str, LineField] | None = None, topic: str = "",
    ) -> None:  # fmt: skip
        """Something happened. `member` None: to this sidecar itself. `topic`: see HistoryNote."""
        now = self._clock.monotonic()
        about = self.own if member is None else NamedMember(member.id, _one_line(member.name))
        note = HistoryNote(
            self._clock.wall(), now, kind, level, _one_line(message), about, _one_line(service), _one_line(instance),
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
        if by_s := self._clock.set_by():
            self._clock_set(by_s)
        for note in self._rates.summaries(self._clock.monotonic()):
            self._write(note)
        if self._disk is not None:
            self._disk.look()

    async def run(self) -> None:
        """Keep the lines until cancelled."""
        if self._disk is not None:
            await self._disk.run()

    async def finish(self) -> None:
        """The sidecar ends: write what waits."""
        for note in self._rates.summaries(self._clock.monotonic(), all=True):
            self._write(note)
        if self._disk is not None:
            await self._disk.close()

    def unwritten(self) -> str:
        """What is not on the disk, in words."""
        if self._disk is None or not (self._disk.waiting or self._disk.busy):
            return ""
        return f"history.db lacks {self._disk.waiting} lines" if self._disk.waiting else "history.db is not closed"

    def _write(self, note: HistoryNote) -> None:
        self._seq += 1
        self._written += 1
        line = HistoryLine(
            self._seq, note.at, note.boot_s, note.kind, note.level, note.message, note.member, note.service,
            note.instance, note.more,
        )  # fmt: skip
        if self._disk is None:
            self._recent.append(line)
        else:
            self._disk.append(line)
        self.lines.publish(line)

    # -- readers -------------------------------------------------------------------------------------------------------

    async def page(self, params: Shape) -> Shape:
        """The answer of the method `history`. Raises BadParams."""
        query = self._query_untrusted(params)
        found = await self.read(query)
        return {
            "lines": [line_shape(line) for line in found.lines], "more": found.more,
            "kept_from": None if found.first_at is None else round(found.first_at, 3),
            "kept_in": "memory" if self._disk is None else "disk",
            **({"fault": found.fault} if found.fault else {}),
        }  # fmt: skip

    async def read(self, query: HistoryQuery) -> "HistoryRead":
        """The lines that this query wants."""
        from gossipreg.daemon.history.history_disk import HistoryRead  # a plain sidecar keeps no file, and few ask

        if self._disk is not None:
            return await self._disk.read(query)
        lines, more = self._recent.read(query)
        first = self._recent.first
        return HistoryRead(lines, more, None if first is None else first.at, "")

    def monotonic(self) -> float:
        """Seconds since the kernel's boot, as lines have them."""
        return self._clock.monotonic()

    def counts(self) -> dict[str, int]:
        """Figures for the operator."""
        waiting, lost = (0, 0) if self._disk is None else (self._disk.waiting, self._disk.dropped)
        return {"history_lines": self._written, "history_waiting": waiting, "history_lost": lost}

    def now(self) -> float:
        """Wall time."""
        return self._clock.wall()

    async def method(self, params: Params) -> bytes:
        """The method `history` of the local socket."""
        return pack(await self.page(params))

    @contextmanager
    def following(self, name: str, params: Shape, take: Callable[[Shape], None]) -> Iterator[None]:
        """Call `take` with each new line that the parameters of `history` want, while the block runs; see
        `Feed.following`. Raises BadParams."""
        query = self._query_untrusted(params)

        def look(line: HistoryLine) -> None:
            if fits(line, query):
                take(line_shape(line))

        with self.lines.following(name, look):
            yield

    def _query_untrusted(self, params: Shape) -> HistoryQuery:
        from gossipreg.daemon.history.history_method import history_query_untrusted  # loaded with the first question

        return history_query_untrusted(params, self._clock.wall())


def _one_line(text: str) -> str:
    """Printable, on one line and of a bounded length: names and reasons are chosen by others."""
    short = text if len(text) <= MESSAGE_MAX else f"{text[: MESSAGE_MAX - 3]}..."
    return short if short.isprintable() else "".join(one if one.isprintable() else " " for one in short)


def _short(value: LineField) -> LineField:
    return _one_line(value) if isinstance(value, str) else value
