"""Who hears nobody claims nothing: whether this member is cut off, and what its answers are worth then.

Owns: when we heard nobody, and the note that we are alone. Never knows: who suspects whom.

Where there was only silence all around, it is probably we who are cut off. The answers stay as they were, marked stale,
for `alone_s`; after that the others' services are taken out, until any member is heard again. So a lookup never turns
empty because of our own cable, and never serves a ghost for good.
"""

from dataclasses import dataclass

from gossipreg.core.commons import Commons
from gossipreg.core.roster import Roster
from gossipreg.model import NodeId

ALONE = "nobody has been heard for too long"
SMALL = 3
"""Up to so many members a cluster is small: there, silence more likely means that the others are gone."""


@dataclass(frozen=True, slots=True)
class AloneOver:
    """Timer: alone for so long that the last known answers are worth nothing."""


class Listener:
    def __init__(self, commons: Commons, roster: Roster) -> None:
        self._commons = commons
        self._roster = roster
        self._hidden: list[NodeId] = []
        self.alone = False
        self.given_up = False
        """Isolated for so long that the others' services are no longer answered with, in a cluster that is too large
        for all the others to be gone: what they have is not known."""
        self._small = True
        self.heard_again_at = float("-inf")
        """When the last silence ended that was longer than `floor_silent_s`, what a silent member is given."""
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
        """That nobody was heard meanwhile says nothing."""
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
