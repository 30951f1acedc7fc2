"""What members announce in their rows beside their services: for the journals, which of them a member leads, and
whether it takes copies.

Owns: which slots of each row have an announcement. Never knows: what is in one; those who announce encode it. The
values stay in the rows and are read there.
"""

from collections.abc import Iterable, Iterator, Sequence

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import KIND_JOURNAL_CLAIM, KIND_JOURNAL_HOST, split_key
from gossipreg.core.table.row import Row
from gossipreg.model import NodeId

ANNOUNCED = (KIND_JOURNAL_CLAIM, KIND_JOURNAL_HOST)


class Announcements:
    def __init__(self) -> None:
        self._slots: dict[NodeId, tuple[Content, dict[int, dict[int, None]]]] = {}
        """For each row that announces something: its content, and the slots of each kind."""

    def refresh(self, row: Row, slots: Iterable[int]) -> bool:
        """Follow a row that changed. `slots` are the keys (part 0) of the slots that may read differently. Returns
        whether what it announces may have changed."""
        content = row.content
        known = self._slots.get(row.id)
        if content is None:
            return self.forget(row.id)
        if known is None or known[0] is not content:
            kinds = {kind: dict.fromkeys(content.slots(kind)) for kind in ANNOUNCED} if _announces(content) else {}
            if any(kinds.values()):
                self._slots[row.id] = content, kinds
                return True
            return self.forget(row.id)
        changed = [(kind, slot) for kind, slot, _ in map(split_key, slots) if kind in ANNOUNCED]
        for kind, slot in changed:
            if content.view(kind, slot) is None:
                known[1][kind].pop(slot, None)
            else:
                known[1][kind][slot] = None
        return bool(changed)

    def forget(self, id: NodeId) -> bool:
        """The row is gone. Returns whether it announced something."""
        return self._slots.pop(id, None) is not None

    def members(self) -> Sequence[NodeId]:
        """Those that announce something."""
        return list(self._slots)

    def of(self, id: NodeId, kind: int) -> Iterator[tuple[int, bytes]]:
        """(slot, value) of each announcement of this kind in this row."""
        content, kinds = self._slots.get(id, (None, {}))
        if content is None:
            return
        for slot in kinds.get(kind, ()):
            value = content.view(kind, slot)
            if value is not None:
                yield slot, value


def _announces(content: Content) -> bool:
    """Whether the row has any entry of such a kind: a look at the keys alone."""
    return any(split_key(key)[0] in ANNOUNCED for key in content.entries)
