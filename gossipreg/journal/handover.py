"""A leader that is not the owner gives the journal back when the owner has come back for good.

Owns: when it hands over, and what happens if the owner does not take it. Never knows: elections; it asks the owner to
stand, and goes on if it did not.

    the owner has lived for 10 s (twice as long after each takeover, up to 10 minutes) and is at most one append behind
    -> accepts nothing but what ends something, waits until its acts are done (5 s at most) and all is committed and
       held by the owner
    -> accepts nothing; HandOver -> the owner stands; if it has not within 2 s, the leader goes on
"""

from dataclasses import dataclass

from gossipreg.journal.effects import Pausing, Resumed
from gossipreg.journal.leading import Leading
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import HandOver
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.journal.progress import FollowerProgress
from gossipreg.journal.replica_data import ReplicaData


@dataclass(frozen=True, slots=True)
class HandOverTimer:
    journal: JournalId
    ballot: Ballot


class Handover:
    def __init__(self, data: ReplicaData, leading: Leading) -> None:
        self._data = data
        self._leading = leading
        self._timer = HandOverTimer(data.journal, leading.ballot)
        self._paused_at: float | None = None
        self._asked = False

    def look(self) -> None:
        """The members, what the owner holds, or our acts changed."""
        if self._paused_at is not None:
            self._ask_when_quiet()
            return
        timers = self._data.context.timers
        due = self._due()
        if due is None:
            timers.cancel(self._timer)
        elif self._timer not in timers:
            timers.set(self._timer, due)

    def on_timer(self) -> None:
        context = self._data.context
        if self._paused_at is not None:
            self._go_on_or_ask()
            return
        due = self._due()
        if due is None:
            return
        if context.now < due:
            context.timers.set(self._timer, due)
        elif self._owner_is_near():
            self._pause()
        else:
            context.timers.set(self._timer, context.now + context.tuning.return_pause_s)

    def end(self) -> None:
        self._data.context.timers.cancel(self._timer)

    # -- when --------------------------------------------------------------------------------------------------------

    def _due(self) -> float | None:
        """When the owner has lived for long enough; None if it does not live, or does not vote."""
        data, context = self._data, self._data.context
        if not self._leading.established or data.owner == context.node or self._owner() is None:
            return None
        seen = context.membership.member(data.owner)
        if seen.standing is not ProcessStanding.LIVES:
            return None
        return seen.since + self.wait_s()

    def wait_s(self) -> float:
        """How long the owner has to live: longer after each takeover of the last hour of led time."""
        data, tuning = self._data, self._data.context.tuning
        since = self._leading.led_ms - tuning.takeover_memory_s * 1000
        recent = sum(led_ms >= since for led_ms in data.takeovers)
        return min(tuning.return_first_s * float(1 << max(0, recent - 1)), tuning.return_longest_s)

    def _owner(self) -> FollowerProgress | None:
        """The owner's replica, if it votes and is not lost."""
        data = self._data
        for place in data.configuration.voters:
            follower = self._leading.followers.get(place.replica)
            if place.node == data.owner and follower is not None and not follower.lost:
                return follower
        return None

    def _owner_is_near(self) -> bool:
        owner = self._owner()
        return owner is not None and owner.is_near

    # -- the pause ---------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        data, context = self._data, self._data.context
        self._leading.accepts, self._paused_at, self._asked = False, context.now, False
        context.effects.append(Pausing(data.journal, self._leading.ballot))
        context.timers.set(self._timer, context.now + context.tuning.return_acts_s)
        self._ask_when_quiet()

    def _ask_when_quiet(self) -> None:
        if not self._leading.acting:
            self._ask()

    def _ask(self) -> None:
        """Ask the owner to stand, once it holds everything."""
        data, context, owner = self._data, self._data.context, self._owner()
        if self._asked or owner is None or not owner.current or not self._leading.idle:
            return
        self._asked, self._leading.accepts_ends = True, False
        data.send(
            owner.place.node,
            HandOver(
                journal=data.journal, sender=data.replica, receiver=owner.place.replica, ballot=self._leading.ballot
            ),
        )  # fmt: skip
        context.timers.set(self._timer, context.now + context.tuning.return_pause_s)

    def _go_on_or_ask(self) -> None:
        """The pause was long enough: ask now, or go on if the owner was asked and did not stand."""
        data, context = self._data, self._data.context
        if not self._asked:
            self._ask()
        if self._asked and context.timers.due(self._timer) is not None:
            return
        self._leading.accepts = self._leading.accepts_ends = True
        self._paused_at = None
        context.effects.append(Resumed(data.journal, self._leading.ballot))
        context.timers.set(self._timer, context.now + context.around(context.tuning.return_first_s))
