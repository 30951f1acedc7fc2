"""What a leader does for its journal beside committing entries: gives it its copies, gives it back to its owner, ends
it if it is an orphan. What is refused for want of copies is told whether they are being made.

Owns: the order of these. Never knows: how each is done.
"""

from gossipreg.journal.handover import Handover, HandOverTimer
from gossipreg.journal.leading import Leading, TooFewVoters
from gossipreg.journal.messages import ReplicaLeaving, ReplicaRefused, ReplicaTaken
from gossipreg.journal.model import JournalId, ReplicaId, ReplicaPlace
from gossipreg.journal.orphan import OrphanTimer, OwnerAway
from gossipreg.journal.replacing import ReplaceTimer, Replacing
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import NodeId


class Caring:
    def __init__(self, data: ReplicaData, leading: Leading, at_work: set[JournalId]) -> None:
        """`at_work` are the journals for which this sidecar makes copies now."""
        self._data = data
        self._leading = leading
        self.replacing = Replacing(data, leading, at_work)
        self.handover = Handover(data, leading)
        self.owner_away = OwnerAway(data, leading)

    def propose(self, data: bytes, ticket: int, kind: int, *, ends: bool) -> None:
        """As `Leading.propose`. Raises ProposalRefused."""
        try:
            self._leading.propose(data, ticket, kind, ends=ends)
        except TooFewVoters as refusal:
            raise (refusal.for_now() if self.replacing.voters_to_come() >= refusal.least else refusal) from None

    def look(self) -> None:
        """Members, rows, what is committed, or what a follower holds changed."""
        self.replacing.look()
        self.handover.look()
        self.owner_away.look()

    def receive(self, node: NodeId, message: ReplicaLeaving | ReplicaTaken | ReplicaRefused) -> None:
        match message:
            case ReplicaLeaving():
                self.replacing.on_leaving(message.sender)
            case ReplicaTaken():
                self.replacing.on_taken(node, message)
            case ReplicaRefused():
                self.replacing.on_refused(node, message)

    def on_stranger(self, node: NodeId, replica: ReplicaId) -> None:
        """Tell a replica that has come back, and that we send nothing to, that it is in no configuration, if that is
        certain."""
        leading, data = self._leading, self._data
        if leading.established and data.place_of(replica) is None and not self.replacing.expects(node, replica):
            leading.dismiss(ReplicaPlace(replica, node, b""))

    def on_timer(self, timer: HandOverTimer | ReplaceTimer | OrphanTimer) -> bool:
        """False: our member leaves, and no voter took the journal, so lead it no longer."""
        match timer:
            case HandOverTimer():
                self.handover.on_timer()
            case ReplaceTimer():
                self.replacing.on_timer()
            case OrphanTimer():
                self.owner_away.look()
        return not self.handover.failed

    def end(self) -> None:
        """We lead no longer."""
        self.handover.end()
        self.replacing.end()
        self.owner_away.end()
