"""What a leader does for its journal beside committing entries: gives it its copies, gives it back to its owner, ends
it if it is an orphan.

Owns: the order of these. Never knows: how each is done.
"""

from gossipreg.journal.handover import Handover
from gossipreg.journal.leading import Leading
from gossipreg.journal.model import JournalId
from gossipreg.journal.orphan import OwnerAway
from gossipreg.journal.replacing import Replacing
from gossipreg.journal.replica_data import ReplicaData


class Caring:
    def __init__(self, data: ReplicaData, leading: Leading, at_work: set[JournalId]) -> None:
        """`at_work` are the journals for which this sidecar makes copies now."""
        self.replacing = Replacing(data, leading, at_work)
        self.handover = Handover(data, leading)
        self.owner_away = OwnerAway(data, leading)

    def look(self) -> None:
        """Members, rows, what is committed, or what a follower holds changed."""
        self.replacing.look()
        self.handover.look()
        self.owner_away.look()

    def end(self) -> None:
        """We lead no longer."""
        self.handover.end()
        self.replacing.end()
        self.owner_away.end()
