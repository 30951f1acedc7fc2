"""What a journal needs to know of the cluster: who lives, as which process, and who claims to lead.

Owns: the question. Never knows: how members are found out; the registry answers, from its own table alone.
"""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple, Protocol

from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import BootId, NodeId


class ProcessStanding(Enum):
    LIVES = "lives"
    """Alive, or suspected only."""
    RESTARTING = "restarting"
    """It said that it will be back, and its time for that is not over."""
    LEFT = "left"
    REFUSED = "refused"
    """Declared dead: its host answers, and its port is closed."""
    SILENT = "silent"
    """Declared dead: nothing answers."""
    ABSENT = "absent"
    """Not in the table."""


class SeenMember(NamedTuple):
    standing: ProcessStanding
    boot_id: BootId
    """Of its last known process; empty if it is absent."""
    since: float
    """When it came to this standing, or was first seen so by this process; seconds of our clock."""

    @property
    def runs(self) -> bool:
        """Whether what its last known process claims still holds."""
        return self.standing in (ProcessStanding.LIVES, ProcessStanding.RESTARTING)


class LeaderClaim(NamedTuple):
    """A row says: this process leads the journal with this ballot."""

    ballot: Ballot
    node: NodeId
    boot_id: BootId


class JournalHost(NamedTuple):
    """A living member that takes copies of journals."""

    node: NodeId
    host: bytes
    zone: str


class JournalMembership(Protocol):
    @property
    def synced_at(self) -> float | None:
        """When this sidecar came in sync; None: it is not yet."""

    @property
    def incarnation(self) -> tuple[int, int]:
        """Generation and incarnation of our own row. They change when others held us for dead, and we refuted it."""

    def member(self, node: NodeId) -> SeenMember: ...

    def claims(self, journal: JournalId) -> Iterable[LeaderClaim]: ...

    def hosts(self) -> Iterable[JournalHost]:
        """Ourselves included."""
