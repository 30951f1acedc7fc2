"""How far one replica is behind its leader, and what is sent to it next.

Owns: the position of each follower, appends in flight, and the attempts to reach it. Never knows: what is committed.

    probing       one append at a time, until one matches
    following     up to two appends in flight; what comes meanwhile goes with the next one
    installing    it lacks what the log does not have any more: it gets the state, piece by piece; the large records
                  first, each piece of them read from the disk when its turn has come
                  far behind (its entries are only on the disk, or installing), it needs a turn: see `replays.py`
    unreachable   its stream broke, or it had a turn and answered nothing for long. It is tried again, with longer and
                  longer waits, while it lacks something and lives
"""

from enum import Enum

from gossipreg.journal.effects import LogBase, ReadLog
from gossipreg.journal.follower_timers import FollowerTimer, TellTimer
from gossipreg.journal.log import entry_bytes
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import (
    Append,
    AppendAnswer,
    InstallState,
    ReplicaHello,
    StateInstalled,
)
from gossipreg.journal.model import Ballot, LogEntry, Position, ReplicaPlace
from gossipreg.journal.replays import ReplayTimer
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.sent_state import SentState
from gossipreg.journal.state import large_parts, pieces

STALLED_S = 30.0
"""A replica that has a turn, and answers nothing for so long, gives it to another: its disk hangs, perhaps for ever."""


class Mode(Enum):
    PROBING = "probing"
    FOLLOWING = "following"
    INSTALLING = "installing"
    UNREACHABLE = "unreachable"


class FollowerProgress:
    def __init__(self, data: ReplicaData, ballot: Ballot, place: ReplicaPlace) -> None:
        self._data = data
        self._ballot = ballot
        self.place = place
        self.match = 0
        """Its disk holds our log up to this index."""
        self.lost = False
        """Set by `lose`. It said that it has no such replica any more."""
        self.mode = Mode.PROBING
        self.caught_up = False
        """Since we reached it last it has got all that was there then: so it is no replica that answered once and
        hangs."""
        self._goal = self._limit
        self._next = self._limit + 1
        self._in_flight = 0
        self._told = -1
        """The commit index that was sent last."""
        self._reading = False
        self._installing: SentState | None = None
        self._replay = ReplayTimer(data.journal, place.replica)
        self._wait_s = 0.0
        self._refused = 0
        """Probes at what it has acknowledged that did not match, in a row."""

    @property
    def _limit(self) -> int:
        """The index up to which entries are sent to it. A replica that does not vote gets only what is committed: else
        its log could be newer than those of all that may lead, so that it refuses them its vote."""
        data = self._data
        votes = data.configuration.has_voter(self.place.replica)
        return data.log.last.index if votes else data.committed

    @property
    def current(self) -> bool:
        """Whether it holds all that it may have of our log."""
        return self.match >= self._limit

    @property
    def how_far(self) -> tuple[int, int]:
        """How far it has come: this rises while it catches up, and when it gets the turn that it waits for."""
        if self.waits_for_turn:
            return -1, 0
        return self.match, 0 if self._installing is None else self._installing.number

    @property
    def waits_for_turn(self) -> bool:
        """Whether it gets nothing because others are caught up now."""
        return self._data.context.replays.waits(self._replay)

    @property
    def is_near(self) -> bool:
        """Whether one append would bring it all that it lacks."""
        data = self._data
        if self.current or self.mode is not Mode.FOLLOWING:
            return self.current
        entries = data.log.slice(self.match + 1, data.context.tuning.append_bytes)
        return entries is not None and self.match + len(entries) >= data.log.last.index

    @property
    def installing_from(self) -> int | None:
        """The index of the state that is being sent to it: it needs the entries above that next."""
        return None if self._installing is None else self._installing.base.position.index

    @property
    def knows_commit(self) -> bool:
        return self._told >= self._data.committed

    # -- sending -----------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what it lacks, as far as it may be sent now."""
        if self.lost or self._reading:
            return
        if self.mode is Mode.UNREACHABLE:
            self.retry_later()
            return
        if self.mode is Mode.PROBING:
            if not self._in_flight:
                self._append(probe=True)
            return
        if self.mode is Mode.FOLLOWING:
            self._follow()

    def _follow(self) -> None:
        tuning = self._data.context.tuning
        while self._next <= self._limit and self._in_flight < tuning.appends_in_flight:
            if not self._append(probe=False):
                return
        if not self._in_flight and not self.knows_commit:
            self._tell_soon(tuning.tell_s)

    def _tell_soon(self, wait_s: float) -> None:
        data = self._data
        if wait_s:
            data.context.timers.set_earlier(TellTimer(data.journal, self.place.replica), data.context.now + wait_s)
        else:
            self.tell()

    def tell(self) -> None:
        """Say what is committed, if no append has said it meanwhile."""
        if self.mode is Mode.FOLLOWING and not self._in_flight and not self.knows_commit and not self._reading:
            self._append(probe=True)

    def _append(self, *, probe: bool) -> bool:
        """Send an append with the entries from `_next` on; a probe may have none. Returns whether one was sent."""
        data, tuning = self._data, self._data.context.tuning
        before = data.log.position_at(self._next - 1)
        if before is None:
            if data.context.replays.begin(self._replay):
                self._install()
            return False
        entries = () if self.mode is Mode.PROBING else data.log.slice(self._next, tuning.append_bytes)
        if entries is None:
            self._read()
            return False
        if entries or probe:
            self._send(before, entries)
        return bool(entries)

    def _read(self) -> None:
        """Read entries that are only on the disk, if it is our turn."""
        data, replays = self._data, self._data.context.replays
        if replays.begin(self._replay) and replays.may_send(self._replay, data.context.now):
            self._reading = True
            data.context.effects.append(ReadLog(data.journal, self._next, data.context.tuning.append_bytes))

    def _look_whether_near(self) -> None:
        """Give up the turn once all that it lacks is in memory."""
        if self.mode is Mode.FOLLOWING and not self._reading and self._next >= self._data.log.first_in_memory:
            self._end_replay()

    def _end_replay(self) -> None:
        self._data.context.replays.end(self._replay, self._data.context.now)

    def on_turn(self) -> None:
        """It has its turn, or may get the next piece."""
        if self._installing is not None and self._installing.paused:
            self._next_piece()
        else:
            self.pump()

    def _send(self, before: Position, entries: tuple[LogEntry, ...]) -> None:
        data, limit = self._data, self._limit
        entries = tuple(entry for entry in entries if entry.index <= limit)
        self._in_flight += 1
        self._next = before.index + len(entries) + 1
        self._told = data.committed
        data.send(
            self.place.node,
            Append(
                journal=data.journal, sender=data.replica, receiver=self.place.replica, ballot=self._ballot,
                before=before, entries=entries, commit=data.committed,
            ),
        )  # fmt: skip
        self._expect_answer()

    def _expect_answer(self) -> None:
        context = self._data.context
        if context.replays.has_turn(self._replay):
            context.timers.set(FollowerTimer(self._data.journal, self.place.replica), context.now + STALLED_S)

    def on_read(self, entries: tuple[LogEntry, ...]) -> None:
        """Entries that were only on the disk, from some index on."""
        if not self._reading:
            return
        self._reading = False
        before = self._data.log.position_at(self._next - 1)
        fits = entries and entries[0].index == self._next and before is not None
        if fits and self.mode is Mode.FOLLOWING and self._data.log.matches(entries[-1].position):
            assert before is not None
            self._data.context.replays.sent(sum(map(entry_bytes, entries)), self._data.context.now)
            self._send(before, entries)
        self.pump()

    # -- its answers -------------------------------------------------------------------------------------------------

    def on_answer(self, answer: AppendAnswer) -> None:
        self._in_flight = max(0, self._in_flight - 1)
        self._reached()
        if answer.matches:
            self._note_match(answer.index)
            if self.mode is Mode.PROBING:
                self.mode, self._next = Mode.FOLLOWING, self.match + 1
        elif self.mode is not Mode.INSTALLING:
            self._on_mismatch(answer.index)
        self.pump()
        self._look_whether_near()

    def _note_match(self, index: int) -> None:
        self.match = max(self.match, index)
        self.caught_up = self.caught_up or self.match >= self._goal

    def _on_mismatch(self, may_match: int) -> None:
        """An append did not follow on its log: probe further back, but not behind what it has acknowledged. If it does
        not match there either, its disk has lost what it had synced. (One answer more may be to an append from before
        the probe.)"""
        data = self._data
        self._refused = self._refused + 1 if self.mode is Mode.PROBING and self._next <= self.match + 1 else 0
        if self._refused > data.context.tuning.appends_in_flight:
            self._has_lost_entries()
            return
        self.mode, self._in_flight = Mode.PROBING, 0
        self._next = max(self.match, min(may_match, self._next - 1, data.log.last.index)) + 1

    def _has_lost_entries(self) -> None:
        """It gets nothing more, and is replaced, as one that has lost its disk. It is let go, so that it votes no more,
        and its member can take a new copy: there may be no other one."""
        data, place = self._data, self.place
        self.lose()
        data.context.event("journal_replica_went_back", node=place.node.hex(), acknowledged=self.match)
        data.send(place.node, data.dismissal(place.replica, self._ballot))

    def lose(self) -> None:
        """There is no such replica any more, or none that may be believed: it gets nothing more."""
        self.lost, self._installing = True, None
        self._end_replay()

    def end(self) -> None:
        """We send nothing to it any more."""
        timers = self._data.context.timers
        timers.cancel(FollowerTimer(self._data.journal, self.place.replica))
        timers.cancel(TellTimer(self._data.journal, self.place.replica))
        self._end_replay()

    def on_hello(self, hello: ReplicaHello) -> None:
        """It has started, and says how far it is."""
        self._reached()
        if self.lost or hello.position.index < self.match:
            self._has_lost_entries()
            return
        self._begin(min(hello.position.index, self._data.log.last.index) + 1)

    def _reached(self) -> None:
        self._wait_s = 0.0
        self._data.context.timers.cancel(FollowerTimer(self._data.journal, self.place.replica))
        if self.mode is Mode.UNREACHABLE:
            self.mode = Mode.PROBING

    def _begin(self, next: int) -> None:
        self._data.context.timers.cancel(FollowerTimer(self._data.journal, self.place.replica))
        self.mode, self._next, self._in_flight, self._told = Mode.PROBING, next, 0, -1
        self._reading, self._installing = False, None
        self.caught_up, self._goal = False, self._limit
        self.pump()

    # -- the whole state ---------------------------------------------------------------------------------------------

    def _install(self) -> None:
        """Begin to send the state: the log does not have what it lacks."""
        data = self._data
        position = data.log.position_at(data.state.applied)
        led_ms = data.log.led_ms_at(data.state.applied)
        assert position is not None, "what was applied last is in the log"
        assert led_ms is not None, "what was applied last is in memory"
        base = LogBase(position, led_ms, data.log.configuration_at(position.index))
        records, limit = data.state.records, data.context.tuning.piece_bytes
        parts = pieces(records.all(), limit)
        self.mode = Mode.INSTALLING
        self._installing = SentState(base, large_parts(dict(records.large), limit), parts, next(parts))
        self._next_piece()

    def _next_piece(self) -> None:
        """Read the large records of the next piece, or send the next one of the small records; later, if
        much was sent."""
        installing, context = self._installing, self._data.context
        assert installing is not None
        installing.paused = not context.replays.may_send(self._replay, context.now)
        if installing.paused:
            return
        installing.reading = next(installing.large, ())
        if installing.reading:
            installing.read_number = context.next_read()
            self._data.reader.read(installing.reading, installing.read_number, self.place.replica)
            return
        assert installing.next is not None
        piece, installing.next = installing.next, next(installing.pieces, None)
        self._send_piece(piece, last=installing.next is None)

    def on_records(self, number: int, values: tuple[bytes | None, ...]) -> None:
        """Large records that were asked for; None for those that were removed meanwhile."""
        installing = self._installing
        if installing is None or number != installing.read_number:
            return
        found, installing.read_number = zip(installing.reading, values, strict=True), 0
        self._send_piece(tuple((key, value) for key, value in found if value is not None), last=False)

    def _send_piece(self, piece: tuple[tuple[bytes, bytes], ...], *, last: bool) -> None:
        data, installing = self._data, self._installing
        assert installing is not None
        base = installing.base
        data.context.replays.sent(sum(len(key) + len(value) for key, value in piece), data.context.now)
        data.send(
            self.place.node,
            InstallState(
                journal=data.journal, sender=data.replica, receiver=self.place.replica, ballot=self._ballot,
                base=base.position, led_ms=base.led_ms, configuration=base.configuration,
                number=installing.number, records=piece, last=last,
            ),
        )  # fmt: skip
        self._expect_answer()

    def on_installed(self, answer: StateInstalled) -> None:
        installing = self._installing
        self._reached()
        if installing is None or (answer.base, answer.number) != (installing.base.position, installing.number):
            self.pump()  # the stream broke since that piece, and this answer ended the wait for an attempt
            return
        if installing.paused or installing.read_number:
            return  # this piece was not sent yet: the answer is to one of before the stream broke
        if installing.next is not None:
            installing.number += 1
            self._next_piece()
            return
        self._installing = None
        self._note_match(answer.base.index)
        self.mode, self._next, self._in_flight = Mode.FOLLOWING, answer.base.index + 1, 0
        self.pump()
        self._look_whether_near()

    # -- reaching it -------------------------------------------------------------------------------------------------

    def on_closed(self) -> None:
        """The stream to it broke: what was in flight may be lost."""
        self._told = -1 if self._in_flight else self._told
        if self.mode is not Mode.UNREACHABLE:  # no answer is expected any more
            self._data.context.timers.cancel(FollowerTimer(self._data.journal, self.place.replica))
        self.mode, self._in_flight, self._installing, self._reading = Mode.UNREACHABLE, 0, None, False
        self._end_replay()
        self.retry_later()

    def retry_later(self) -> None:
        """Set a timer to try again, if it lacks something and lives."""
        data, context = self._data, self._data.context
        if self.mode is not Mode.UNREACHABLE or self.lost or (self.current and self.knows_commit):
            return
        if context.membership.member(self.place.node).standing is not ProcessStanding.LIVES:
            return
        timer = FollowerTimer(data.journal, self.place.replica)
        if timer in context.timers:
            return
        again = context.tuning.follower_again
        waits = data.committed < data.log.last.index  # somebody waits for a majority
        self._wait_s = again.after(self._wait_s) if self._wait_s and not waits else again.first_s
        context.timers.set(timer, context.now + context.around(self._wait_s))

    def on_timer(self) -> None:
        """Try to reach it again; or it has a turn, and was to answer by now."""
        if self.mode is Mode.UNREACHABLE:
            self.retry()
        elif self._data.context.replays.has_turn(self._replay):
            self.on_closed()

    def retry(self) -> None:
        """Try to reach it now."""
        if self.mode is Mode.UNREACHABLE and not self.lost:
            self._begin(self.match + 1 if self.match else self._data.log.last.index + 1)
