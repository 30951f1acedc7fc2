"""What this sidecar remembers of deliveries that are over: acknowledged ones, and the highest ballot of each journal.

Owns: both memories, with their bounds. Never knows: what is answered to whom.

An acknowledgement may be lost with a stream or with a leader. The same delivery then comes once more and is answered at
once, without handling it again. What is forgotten here is handled again: a group gets each event at least once.
"""

from collections import OrderedDict

from gossipreg.events.handlings import DeliveryId
from gossipreg.journal.model import Ballot, JournalId

ACKS_KEPT_S = 300.0
"""Longer than a takeover, and than the longest wait for a stream."""
ACKS_MAX = 10_000
JOURNALS_MAX = 4096


class RecentAcks:
    def __init__(self) -> None:
        self._at: OrderedDict[DeliveryId, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def add(self, delivery: DeliveryId, now: float) -> None:
        self._at.pop(delivery, None)
        self._at[delivery] = now
        while len(self._at) > ACKS_MAX or next(iter(self._at.values())) < now - ACKS_KEPT_S:
            self._at.popitem(last=False)

    def has(self, delivery: DeliveryId, now: float) -> bool:
        return self._at.get(delivery, now - 2 * ACKS_KEPT_S) >= now - ACKS_KEPT_S


class HighestBallots:
    def __init__(self) -> None:
        self._ballots: OrderedDict[JournalId, Ballot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ballots)

    def is_old(self, journal: JournalId, ballot: Ballot) -> bool:
        """Whether a newer leader of this journal has delivered already. Remembers this ballot otherwise."""
        known = self._ballots.get(journal, ballot)
        self._ballots[journal] = max(known, ballot)
        self._ballots.move_to_end(journal)
        if len(self._ballots) > JOURNALS_MAX:
            self._ballots.popitem(last=False)
        return ballot < known
