"""What stands on the journals: told what becomes of them, of the streams and of the members, in one order.

`NoFollower` is for a sidecar whose journals nobody uses yet.
"""

from collections.abc import Collection
from typing import Protocol

from gossipreg.daemon.streams.inbox import StreamNews
from gossipreg.journal.effects import JournalEffect
from gossipreg.journal.model import JournalId, LogEntry
from gossipreg.journal.state import Records, StateMachine
from gossipreg.model import NodeId


class JournalFollower(Protocol):
    """Each call is made between two inputs of the journals, and must not block. It may call `JournalRuntime.order`:
    what follows is carried out behind what is being carried out."""

    def machine(self, journal: JournalId) -> StateMachine:
        """A state machine for a replica of this journal that begins here."""

    def on_journal(self, effect: JournalEffect) -> None:
        """What the journals tell (Established, Deposed, AppliedEntry, Settled, ...): all effects but those that are
        for disk, streams, rows and log."""

    def on_stream(self, news: StreamNews) -> None:
        """A stream opened or closed, or a message came that is not for a replica."""

    def on_members(self, ids: Collection[NodeId]) -> None:
        """These members, or what they announce, changed; none of them: this sidecar came in sync."""


class NoMeaning:
    """A state machine that understands no entries but the journal's own."""

    kinds: Collection[int] = ()

    def load(self, records: Records) -> None:
        pass

    def is_empty(self, records: Records) -> bool:
        return not len(records)

    def apply(self, entry: LogEntry, records: Records) -> object:
        del entry, records
        return None


class NoFollower:
    def machine(self, journal: JournalId) -> StateMachine:
        del journal
        return NoMeaning()

    def on_journal(self, effect: JournalEffect) -> None:
        pass

    def on_stream(self, news: StreamNews) -> None:
        pass

    def on_members(self, ids: Collection[NodeId]) -> None:
        pass
