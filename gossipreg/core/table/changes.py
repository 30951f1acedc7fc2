"""The rows that the current input has changed: the only list of them, and whether the node has followed them.

Owns: for each changed row, which slots of its content may read differently, whether its member is shown differently,
and whether the membership index has followed the change. Never knows: why a row changed, or what follows from it.

A row that changes again after the index has followed it is followed again, after those that changed before it.
"""

from collections.abc import Iterable

from gossipreg.model import NodeId


class RowChange:
    """The changes of one row since the index followed it last."""

    __slots__ = ("followed", "shown_differently", "slots")

    def __init__(self) -> None:
        self.slots: dict[int, None] = {}
        """The key of part 0 of each slot of the content whose view may have changed, in the order of their first
        change. Nothing is noted if the content was replaced: then the catalog reads all slots."""
        self.shown_differently = False
        """The member is shown differently than before: another state, standing or own entry."""
        self.followed = False


class TableChanges:
    def __init__(self) -> None:
        self.rows: dict[NodeId, RowChange] = {}
        """Those that are not followed are at the end."""
        self.pending = False
        """Whether there is something to follow. Most inputs change no row, so each asks for this before it calls those
        that follow."""

    @property
    def ids(self) -> list[NodeId]:
        """The rows that this input has changed or removed."""
        return list(self.rows)

    def begin_input(self) -> None:
        """Forget what earlier inputs changed, once the index has followed it."""
        self.rows = {id: change for id, change in self.rows.items() if not change.followed}

    def note(self, id: NodeId, slots: Iterable[int] = (), *, shown_differently: bool) -> None:
        """This row has changed, or was removed."""
        self.pending = True
        change = self.rows.get(id)
        if change is None or change.followed:
            self.rows.pop(id, None)
            change = self.rows[id] = RowChange()
        for key in slots:
            change.slots[key] = None
        if shown_differently:
            change.shown_differently = True

    def note_other(self) -> None:
        """Something that is no row has changed, and has to be followed as rows are: how the answers are marked, or
        whether this member is synced or isolated."""
        self.pending = True

    def follow(self) -> list[tuple[NodeId, RowChange]]:
        """The rows that changed since the last call, in the order of their first change."""
        self.pending = False
        new: list[tuple[NodeId, RowChange]] = []
        for id in reversed(self.rows):
            change = self.rows[id]
            if change.followed:
                break
            change.followed = True
            new.append((id, change))
        new.reverse()
        return new
