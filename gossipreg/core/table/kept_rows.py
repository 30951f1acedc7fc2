"""Rows made of the pages that were kept on disk from the last run.

Owns: which of them can be read, and answer. Never knows: where they were kept, or for how long they answer
(`local/last_known.py`). These rows are in no table.
"""

from collections import Counter
from collections.abc import Iterable

from gossipreg.core.table.content import Content
from gossipreg.core.table.own_entry import read_own_entry
from gossipreg.core.table.row import Row
from gossipreg.model import MAX_ROWS, Liveness, NodeId, Rank
from gossipreg.wire.messages import Delta


def rows_of_pages_untrusted(deltas: Iterable[Delta], own_id: NodeId, now: float) -> dict[NodeId, Row]:
    """The rows of other members that these pages make, by id. Rows without a readable own entry are left out, and so
    are rows of members that are not in the answers."""
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
    for row in rows.values():
        read_own_entry(row, now, Counter())
    return {id: row for id, row in rows.items() if row.member is not None and row.answers}
