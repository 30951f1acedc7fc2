"""Tables that share rows: a row that is equal in many tables is in memory once, until one of them changes it.

Owns: which rows are shared, and their copies. `formed.py` makes such clusters. A thousand members with tables of their
own would need 740 MB and 14 s; ten thousand would not fit into any memory.
"""

from gossipreg.core.node import Node
from gossipreg.core.table.content import Content
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.row import Row
from gossipreg.core.table.table import Table


class SharedRow(Row):
    """A row of many tables. Nobody changes it: a table first puts a copy of its own in its place."""

    __slots__ = ()


class SharingTable(Table):
    def _to_change(self, row: Row) -> Row:
        if isinstance(row, SharedRow):
            row = self.rows[row.id] = _unshared(row)
        return row


class SharingNode(Node):
    def _make_table(self, generation: int, now: float, wall_ms: int) -> SharingTable:
        return SharingTable(self.config, self.id, generation, now, wall_ms)


def shared(row: Row) -> SharedRow:
    """Return the row as many tables share it. An owner's row stays with its owner, so its content is copied."""
    new = SharedRow(row.id, row.liveness, row.changed_at)
    _fill(new, row)
    if isinstance(row.content, OwnContent):
        new.content = _copied(row.content)
    return new


def _unshared(row: SharedRow) -> Row:
    """Return a copy for one table. The shadow is not copied: a row with a shadow is never shared."""
    new = Row(row.id, row.liveness, row.changed_at)
    _fill(new, row)
    if row.content is not None:
        new.content = _copied(row.content)
    return new


def _fill(new: Row, row: Row) -> None:
    for name in Row.__slots__:
        setattr(new, name, getattr(row, name))


def _copied(content: Content) -> Content:
    """Return a copy as another member than the owner holds it."""
    new = Content(content.generation)
    for name in Content.__slots__:
        value = getattr(content, name)
        setattr(new, name, value.copy() if isinstance(value, dict) else value)
    return new
