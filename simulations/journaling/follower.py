"""What stands on the journals of one process. This one has a state machine of its own, and does nothing else.

Owns: which calls a follower gets, in the order of the product (`daemon/journals/follower.py`): each after the journals
have handled the same news. Never knows: what the journals do.
"""

from collections.abc import Iterable

from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.model import EntryKind, JournalId, LogEntry
from gossipreg.journal.state import LARGE, Records, StateMachine
from gossipreg.model import NodeId

KEPT_LARGE = 30
"""How many large records a journal keeps: the others are removed, also while a replica gets the state."""


def large_key(index: int) -> bytes:
    """Return the key of the large record that the entry at this index puts."""
    return LARGE + index.to_bytes(8)


def large_value(entry: LogEntry) -> bytes:
    return entry.data * 3


class Notes:
    """A state machine that notes at which index each datum came, and keeps the last data as large records."""

    kinds = frozenset({EntryKind.DATA})

    def load(self, records: Records) -> None:
        """Nothing is derived from the records."""

    def is_empty(self, records: Records) -> bool:
        return not len(records)

    def apply(self, entry: LogEntry, records: Records) -> None:
        if entry.kind == EntryKind.DATA:
            records.put(entry.data, str(entry.index).encode())
            records.put(large_key(entry.index), large_value(entry))
            records.remove(large_key(max(0, entry.index - KEPT_LARGE)))


class Follower:
    """Base class: what stands on journals overrides what it needs."""

    def machine(self, journal: JournalId) -> StateMachine:  # noqa: ARG002  all journals have the same
        """Return a state machine for a replica of this journal that begins here."""
        return Notes()

    def begin(self) -> None:
        """The journals of this process are there."""

    def on_journal(self, effect: JournalEffect) -> None:
        """This effect of the journals was carried out."""

    def on_message(self, node: NodeId, message: object) -> None:
        """A message came that is not for a replica."""

    def on_closed(self, node: NodeId) -> None:
        """The stream with this member ended, or could not be opened."""

    def on_members(self, ids: Iterable[NodeId]) -> None:
        """These members, or what they announce, changed; none of them: this process came in sync."""
