"""What one sidecar sees of the others: a membership that a test fills by hand."""

from collections.abc import Iterable

from gossipreg.journal.membership import JournalHost, LeaderClaim, ProcessStanding, SeenMember
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import BootId, NodeId

NOBODY = SeenMember(ProcessStanding.ABSENT, BootId(b""), 0.0)


class View:
    """What one sidecar sees of the others."""

    def __init__(self) -> None:
        self.synced_at: float | None = None
        self.incarnation = (1, 0)
        self.members: dict[NodeId, SeenMember] = {}
        self.rows: dict[NodeId, tuple[BootId, dict[JournalId, Ballot]]] = {}
        self.places: dict[NodeId, JournalHost] = {}

    def member(self, node: NodeId) -> SeenMember:
        return self.members.get(node, NOBODY)

    def claims(self, journal: JournalId) -> Iterable[LeaderClaim]:
        return [
            LeaderClaim(claims[journal], node, boot) for node, (boot, claims) in self.rows.items() if journal in claims
        ]

    def hosts(self) -> Iterable[JournalHost]:
        return [place for node, place in self.places.items() if self.member(node).runs]
