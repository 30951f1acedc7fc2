"""Isolation: whether this member receives nothing from anybody, and what its answers are worth then.

Owns: since when nothing was received, and the note that this member is isolated. Never knows: who suspects whom.

A member that receives nothing from anybody must not declare others dead: most likely its own link is down. Its answers
stay as they were, marked stale, for `alone_s`; then the services of others leave the answers, until any member is heard
again. So a broken cable of its own never empties a lookup at once, and a dead member is not served for ever.
"""

from dataclasses import dataclass

from gossipreg.core.commons import Commons
from gossipreg.core.roster import Roster
from gossipreg.model import NodeId

ALONE = "nobody has been heard for too long"
SMALL = 3
"""A cluster of at most this many members is small: there, silence more likely means that the others are gone."""


@dataclass(frozen=True, slots=True)
class AloneOver:
    """Timer: this member has been isolated for so long that the last known answers are worth nothing."""


class Isolation:
    def __init__(self, commons: Commons, roster: Roster) -> None:
        self._commons = commons
        self._roster = roster
        self._hidden: list[NodeId] = []
        self.alone = False
        self.given_up = False
        """The isolation lasted so long that the services of others have left the answers, and the cluster is too large
        for all the others to be gone. So what they have is not known."""
        self._small = True
        self.heard_again_at = float("-inf")
        """When the last silence ended that was longer than `floor_silent_s`, the time that a silent member is given."""
        self._awake_since = commons.now

    def heard(self) -> bool:
        """A fresh datagram of a member was opened. True where that ends a silence longer than `floor_silent_s`."""
        commons = self._commons
        again = commons.now - max(commons.heard_at, self._awake_since) > commons.config.floor_silent_s
        if again:
            self.heard_again_at = commons.now
        commons.heard_at = commons.now
        if self.alone:
            self.alone = self.given_up = False
            commons.timers.cancel(AloneOver())
            for id in self._hidden:
                self._roster.hide(id, ALONE, False)
            self._hidden = []
            self._roster.stale(False)
            commons.event("not_alone")
        return again

    def slept(self) -> None:
        """This process did not run for a while: the silence of that time says nothing."""
        self._awake_since = self._commons.now

    def cut_off(self, since: float) -> None:
        """Silence all around since then: nobody else was heard, and a probe was missed."""
        if self.alone:
            return
        commons = self._commons
        self.alone = True
        members = commons.alive_members()
        self._small = members <= SMALL
        limit_s = commons.config.alone_small_s if self._small else commons.config.alone_s
        commons.timers.set(AloneOver(), since + limit_s)
        commons.event("alone", members=members - 1, stale_for_s=limit_s)
        self._roster.stale(True)

    def on_alone_over(self) -> None:
        if self.alone:
            commons = self._commons
            self.given_up = not self._small
            commons.event("alone_over")
            rows = commons.replica.rows
            others = (id for id in commons.ring if id != commons.id)
            self._hidden = [id for id in others if rows[id].hold_until <= commons.now]
            for id in self._hidden:
                self._roster.hide(id, ALONE, True)
