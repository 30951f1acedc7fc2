"""The kept table: rows from the last run, which answer lookups until this member is synced.

Owns: for how long the kept rows answer. Meanwhile this member does not become a cluster of its own. Never knows: where
the rows are kept, or the wall clock.

The kept rows are no part of the table: they are not gossiped, not probed and in no fingerprint. They only make answers,
which are marked stale (`Catalog.recall`). A kept row is dropped when a whole row of that member comes, when another
member reports that it is dead or has left, when this member is synced, or when the time is over. If the whole cluster
starts at once, the first member that was listed may have just started too, and may know no other member. In that case
the kept rows answer for another `provisional_s`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from gossipreg.core.context import Context
from gossipreg.core.failure.isolation import SMALL
from gossipreg.core.session.reconnect import Reconnect
from gossipreg.core.table.catalog import Catalog
from gossipreg.core.table.content import KIND_MEMBER, Content
from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.row import Row
from gossipreg.errors import BadDatagram
from gossipreg.model import MAX_ROWS, Liveness, NodeId, Rank
from gossipreg.wire.messages import Delta
from gossipreg.wire.values import decode_member_untrusted


@dataclass(frozen=True, slots=True)
class LastKnownOver:
    """Timer: from now on the kept rows do not answer."""


class LastKnown:
    def __init__(self, context: Context, catalog: Catalog, membership: MembershipIndex, reconnect: Reconnect) -> None:
        self._context = context
        self._catalog = catalog
        self._membership = membership
        self._reconnect = reconnect

    def recall(self, deltas: Iterable[Delta], counts_s: float) -> None:
        """Answer with these pages of other members' rows for `counts_s` seconds at most. Rows that cannot be read are
        left out.

        A member without a seed waits for its former peers for the same time before it becomes a cluster of its own. If
        there were `SMALL` of them or more, so that hardly all can be gone, it waits without a limit.
        """
        rows = _rows_untrusted(deltas, self._context.id, self._context.now)
        if not rows or counts_s <= 0:
            return
        self._membership.recall(rows)
        self._reconnect.wait_for_remembered(counts_s if len(rows) < SMALL else inf)
        self._context.timers.set(LastKnownOver(), self._context.now + counts_s)
        self._context.event("last_known", members=len(rows), counts_s=round(counts_s, 1))

    def on_synced(self, *, first_was_synced: bool) -> None:
        """This member is synced, and kept rows still answer. `first_was_synced`: so was the member that it became
        synced with."""
        if self._context.sync_provisional:
            return
        if first_was_synced:
            self._membership.forget_recalled()
        else:
            self._context.sync_provisional = True
            self._context.timers.set_earlier(
                LastKnownOver(), self._context.now + self._context.config.local.provisional_s
            )

    def on_over(self) -> None:
        """Forget the kept rows: their time is over."""
        self._context.sync_provisional = False
        if self._catalog.recalled:
            self._membership.forget_recalled()
            if not self._context.synced:
                self._context.event("last_known_over")


def _rows_untrusted(deltas: Iterable[Delta], own_id: NodeId, now: float) -> dict[NodeId, Row]:
    """The rows of other members that these pages make, by id."""
    rows: dict[NodeId, Row] = {}
    for delta in deltas:
        row = rows.get(delta.id)
        if row is None:
            if delta.id == own_id or len(rows) >= MAX_ROWS:
                continue
            row = rows[delta.id] = Row(delta.id, Liveness(delta.generation, 0, Rank.ALIVE), now)
            row.content = Content(delta.generation)
        if row.content is not None and row.content.accepts(delta):
            row.content.apply(delta)
    return {id: row for id, row in rows.items() if _read_member(row) and row.answers}


def _read_member(row: Row) -> bool:
    value = None if row.content is None else row.content.view(KIND_MEMBER, 0)
    if value is None:
        return False
    try:
        row.member = decode_member_untrusted(value)
    except BadDatagram:
        return False
    row.member_generation = row.liveness.generation
    return True
