"""What was known at the end of the last run: answers until this member is synced.

Owns: the rows that were kept, for how long they count, and that no wish to be a cluster of its own comes before that.
Never knows: where they were kept, nor the wall clock.

These rows are no part of the table: they are not gossiped, not probed and in no fingerprint, and only answers are made
of them, marked stale (`Catalog.recall`). A row that comes from the cluster takes the place of the one that was kept;
one whose member the cluster says is dead or has left goes at once; what is left goes when this member is synced, or
when the time is up. Where a whole cluster starts at once, the member that was listed first may have just started too,
and have listed nobody else: then the others are given `SETTLE_S` to show up.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf

from gossipreg.core.catalog import Catalog
from gossipreg.core.commons import Commons
from gossipreg.core.content import KIND_MEMBER, Content
from gossipreg.core.isolation import SMALL
from gossipreg.core.lost import Lost
from gossipreg.core.roster import Roster
from gossipreg.core.row import Row
from gossipreg.errors import BadDatagram
from gossipreg.model import MAX_ROWS, Liveness, NodeId, Rank
from gossipreg.wire.messages import Delta
from gossipreg.wire.values import decode_member_untrusted

SETTLE_S = 10.0
"""In this time the members of a cluster that starts at once have found each other."""


@dataclass(frozen=True, slots=True)
class LastKnownOver:
    """Timer: what was kept is too old to be answered with."""


class LastKnown:
    def __init__(self, commons: Commons, catalog: Catalog, roster: Roster, lost: Lost) -> None:
        self._commons = commons
        self._catalog = catalog
        self._roster = roster
        self._lost = lost
        self.first_was_synced: Callable[[], bool] = lambda: True
        """Whether the member that this one became synced with was synced itself."""
        roster.synced_with_recalled = self._on_synced

    def recall(self, deltas: Iterable[Delta], counts_s: float) -> None:
        """Answer with these pages of others' rows for `counts_s` at most. What cannot be read is left out.

        A member without a seed waits as long for those whom it remembers before it is a cluster of its own; in a
        cluster so large that they cannot all be gone it waits for ever.
        """
        rows = _rows_untrusted(deltas, self._commons.id, self._commons.now)
        if not rows or counts_s <= 0:
            return
        self._roster.recall(rows)
        self._lost.patience_s = counts_s if len(rows) < SMALL else inf
        self._commons.timers.set(LastKnownOver(), self._commons.now + counts_s)
        self._commons.event("last_known", members=len(rows), counts_s=round(counts_s, 1))

    def _on_synced(self) -> None:
        if self._commons.settling:
            return
        if self.first_was_synced():
            self._roster.forget_recalled()
        else:
            self._commons.settling = True
            self._commons.timers.set_earlier(LastKnownOver(), self._commons.now + SETTLE_S)

    def on_over(self) -> None:
        self._commons.settling = False
        if self._catalog.recalled:
            self._roster.forget_recalled()
            if not self._commons.in_step:
                self._commons.event("last_known_over")


def _rows_untrusted(deltas: Iterable[Delta], own_id: NodeId, now: float) -> dict[NodeId, Row]:
    """The rows of others that these pages make, by id."""
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
