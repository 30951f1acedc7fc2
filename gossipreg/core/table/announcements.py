"""What members announce in their rows beside their services: which journals a member leads, of which it has a copy that
nobody leads, whether it takes copies of others, to which events it subscribes, and which groups it remembers.

Owns: which slots of each row have an announcement. Never knows: what is in one; those who announce encode it. The
values stay in the rows and are read there.
"""

from collections.abc import Iterable, Iterator, Sequence

from gossipreg.core.table.content import Content
from gossipreg.core.table.layout import (
    KIND_GROUP,
    KIND_JOURNAL_CLAIM,
    KIND_JOURNAL_HOST,
    KIND_JOURNAL_LEADERLESS,
    KIND_SUBSCRIPTION,
    split_key,
)
from gossipreg.core.table.row import Row
from gossipreg.model import NodeId

ANNOUNCED = (KIND_JOURNAL_CLAIM, KIND_JOURNAL_HOST, KIND_JOURNAL_LEADERLESS, KIND_SUBSCRIPTION, KIND_GROUP)


class Announcements:
    def __init__(self) -> None:
        self._contents: dict[NodeId, Content] = {}
        """The content of each row as it was followed last: only one that was replaced is read as a whole."""
        self._slots: dict[NodeId, dict[int, dict[int, None]]] = {}
        """For each row that announces something: the slots of each kind."""

    def refresh(self, row: Row, slots: Iterable[int]) -> bool:
        """Follow a row that changed. `slots` are the keys (part 0) of the slots that may read differently. Returns
        whether what it announces may have changed."""
        content = row.content
        if content is None:
            return self.forget(row.id)
        if self._contents.get(row.id) is not content:
            return self._read(row.id, content)
        changed = [(kind, slot) for kind, slot, _ in map(split_key, slots) if kind in ANNOUNCED]
        if not changed:
            return False
        kinds = self._slots.setdefault(row.id, {kind: {} for kind in ANNOUNCED})
        for kind, slot in changed:
            if content.view(kind, slot) is None:
                kinds[kind].pop(slot, None)
            else:
                kinds[kind][slot] = None
        if not any(kinds.values()):
            del self._slots[row.id]
        return True

    def _read(self, id: NodeId, content: Content) -> bool:
        """Read a content that is new here."""
        self._contents[id] = content
        announced_before = self._slots.pop(id, None) is not None
        if not _announces(content):
            return announced_before
        kinds = {kind: dict.fromkeys(content.slots(kind)) for kind in ANNOUNCED}
        if any(kinds.values()):
            self._slots[id] = kinds
        return announced_before or id in self._slots

    def forget(self, id: NodeId) -> bool:
        """The row is gone. Returns whether it announced something."""
        self._contents.pop(id, None)
        return self._slots.pop(id, None) is not None

    def members(self) -> Sequence[NodeId]:
        """Those that announce something."""
        return list(self._slots)

    def of(self, id: NodeId, kind: int) -> Iterator[tuple[int, bytes]]:
        """(slot, value) of each announcement of this kind in this row."""
        content = self._contents.get(id)
        for slot in self._slots.get(id, {}).get(kind, ()):
            value = None if content is None else content.view(kind, slot)
            if value is not None:
                yield slot, value


def _announces(content: Content) -> bool:
    """Whether the row has any entry of such a kind: a look at the keys alone."""
    return any(split_key(key)[0] in ANNOUNCED for key in content.entries)
