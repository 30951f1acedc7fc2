"""A leader that is not the owner gives the journal back when the owner has come back for good; one whose member leaves
gives it to another voter.

Owns: when it hands over, and what happens if the owner does not take it. Never knows: elections; it asks the owner to
stand, and goes on if it did not.

    the owner has lived for 10 s (twice as long after each takeover, up to 10 minutes) and is at most one append behind
    -> accepts nothing but what ends something, waits until its acts are done (5 s at most, 1 s if its member leaves)
       and all is committed and held by the owner
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
        self._leaves = False
        """Our member leaves: any voter that lives may have it."""
        self.failed = False
        """Our member leaves, and no voter took the journal."""

    def leave(self) -> bool:
        """Our member leaves: hand over now. False: there is nobody to hand over to."""
        self._leaves = True
        if not self._leading.established or self._heir() is None:
            return False
        if self._paused_at is None:
            self._pause()
        return True

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
        if not self._leading.established or data.owner == context.node or self._heir() is None:
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

    def _heir(self) -> FollowerProgress | None:
        """The owner's replica, if it votes and is not lost; if our member leaves, another one that lives as well."""
        data, followers = self._data, self._leading.followers
        voters = [followers[place.replica] for place in data.configuration.voters if place.replica in followers]
        able = [follower for follower in voters if not follower.lost and self._may_have_it(follower)]
        return max(able, default=None, key=lambda one: (one.current, one.is_near, one.place.node == data.owner))

    def _may_have_it(self, follower: FollowerProgress) -> bool:
        data, node = self._data, follower.place.node
        if not self._leaves:
            return node == data.owner
        return data.context.membership.member(node).standing is ProcessStanding.LIVES

    def _owner_is_near(self) -> bool:
        owner = self._heir()
        return owner is not None and owner.is_near

    # -- the pause ---------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        data, context = self._data, self._data.context
        self._leading.accepts, self._paused_at, self._asked = False, context.now, False
        context.effects.append(Pausing(data.journal, self._leading.ballot))
        tuning = context.tuning
        acts_s = tuning.leave_acts_s if self._leaves else tuning.return_acts_s
        context.timers.set(self._timer, context.now + acts_s)
        self._ask_when_quiet()

    def _ask_when_quiet(self) -> None:
        if not self._leading.acting:
            self._ask()

    def _ask(self) -> None:
        """Ask the owner to stand, once it holds everything."""
        data, context, heir = self._data, self._data.context, self._heir()
        if self._asked or heir is None or not heir.current or not self._leading.idle:
            return
        self._asked, self._leading.accepts_ends = True, False
        data.send(
            heir.place.node,
            HandOver(
                journal=data.journal, sender=data.replica, receiver=heir.place.replica, ballot=self._leading.ballot
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
        self._paused_at = None
        if self._leaves:
            self.failed = True
            return
        self._leading.accepts = self._leading.accepts_ends = True
        context.effects.append(Resumed(data.journal, self._leading.ballot))
        context.timers.set(self._timer, context.now + context.around(context.tuning.return_first_s))
