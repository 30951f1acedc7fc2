"""Isolation: whether this member receives nothing from any member, and how its answers are marked then.

Owns: when the last long silence ended, and whether this member is isolated. Never knows: which member is suspected.

A member that receives nothing from any member must not declare others dead: most likely its own link is down. Its
answers stay as they were, marked stale, for `alone_s`; then the services of others leave the answers, until any member
is heard again. So a broken cable of its own never empties a lookup at once, and a dead member is not served for ever.
"""

from gossipreg.core.context import Context
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId
from gossipreg.quick_dataclass import dataclass

ALONE = "nobody has been heard for too long"
"""The reason for which members are hidden once the isolation has lasted for `alone_s`."""


@dataclass(frozen=True, slots=True)
class AloneOver:
    """Timer: this member has been isolated for so long that the last known answers are too old."""


class Isolation:
    def __init__(self, context: Context, table: Table, ring: Ring, membership: MembershipIndex) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._membership = membership
        self._hidden: list[NodeId] = []
        """The members that this isolation took out of our answers."""
        self.alone = False
        self.given_up = False
        """The isolation lasted so long that the services of others have left the answers, and the cluster is too large
        for all the others to be gone. So their services are not known."""
        self._small = True
        """Whether the cluster was small when the isolation began."""
        self.heard_again_at = float("-inf")
        """When the last silence ended that was longer than `floor_silent_s`, the floor of a silent suspect."""
        self._awake_since = context.now
        """When this process started, or ended its last stall."""

    def heard_after(self, silent_s: float) -> bool:
        """A member was heard after a silence of `silent_s`, during which this process may have been stalled. Returns
        whether the silence lasted longer than `floor_silent_s`, not counting the stall."""
        context = self._context
        again = min(silent_s, context.now - self._awake_since) > context.config.floor_silent_s
        if again:
            self.heard_again_at = context.now
        if self.alone:
            self.alone = self.given_up = False
            context.timers.cancel(AloneOver())
            for id in self._hidden:
                self._membership.hide(id, ALONE, False)
            self._hidden = []
            self._membership.stale(False)
            context.event("not_alone")
        return again

    def on_stall(self) -> None:
        """Note that this process stood still for a while: the silence of that time means nothing."""
        self._awake_since = self._context.now

    def cut_off(self, since: float) -> None:
        """Begin the isolation: since that time no datagram came from any member, and a probe of ours was missed."""
        if self.alone:
            return
        context = self._context
        self.alone = True
        members = len(self._ring)
        self._small = members <= context.config.failure.small_members
        limit_s = context.config.alone_small_s if self._small else context.config.alone_s
        context.timers.set(AloneOver(), since + limit_s)
        context.event("alone", members=members - 1, stale_for_s=limit_s)
        self._membership.stale(True)

    def on_alone_over(self) -> None:
        """Hide all other members, because the last known answers are too old now."""
        if self.alone:
            context = self._context
            self.given_up = not self._small
            self._table.changes.note_other()
            context.event("alone_over")
            rows = self._table.rows
            others = (id for id in self._ring if id != context.id)
            self._hidden = [id for id in others if rows[id].hold_until <= context.now]
            for id in self._hidden:
                self._membership.hide(id, ALONE, True)
