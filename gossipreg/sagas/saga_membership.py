"""What sagas need to know of the cluster and of the journals: who leads, who lives.

Owns: the questions. Never knows: how members are found out, or how a journal is kept.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId


class SagaMembership(Protocol):
    @property
    def synced(self) -> bool:
        """Whether this sidecar knows the cluster, and so the journals of others."""

    def leader(self, journal: JournalId) -> NodeId | None:
        """The member that claims to lead this journal with the highest ballot, and runs."""

    def leaders(self) -> Sequence[NodeId]:
        """The members that run and lead any journal."""

    def claimed(self) -> Collection[JournalId]:
        """The journals that any member claims, whether it runs or not, as far as is known here."""

    def may_remember(self, journal: JournalId) -> Sequence[NodeId]:
        """The members that run and may have had a copy of this journal, so that they remember its end."""

    def process(self, node: NodeId) -> bytes:
        """The boot id of its process; empty where it does not run."""


class SagaJournals(Protocol):
    """What sagas ask of the journals of this sidecar: `journal.journals.Journals`."""

    def machine(self, journal: JournalId) -> object:
        """The SagasMachine of a journal that is led here."""

    def has_takeover(self, journal: JournalId) -> bool:
        """Whether another member goes on if this one is lost."""

    def kept(self) -> Collection[JournalId]:
        """The journals that have not ended and of which a replica is here."""

    def closed(self) -> bool:
        """Whether the disk of this sidecar cannot be used now, so that it is not known what its journals hold."""

    def ended(self) -> Collection[JournalId]:
        """The journals that have ended, as far as this sidecar remembers."""

    def led_ms(self, journal: JournalId, now: float) -> int:
        """The led time of a journal that is led here."""
