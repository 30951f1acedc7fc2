"""Which journals nobody has led for long, of those that have a copy here, so that the operator hears of them.

Owns: since when each was seen without a leader. Never knows: when a voter stands, which is over in seconds where a
majority of the voters lives (`journal/leaderless.py`).
"""

from collections.abc import Mapping

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.model import START, JournalId
from gossipreg.journal.replica import Replica

LEADERLESS_S = 60.0
"""From then on it is a trouble: an election, or a restart of the leader, takes less."""


class LeaderlessJournals:
    def __init__(self) -> None:
        self._since: dict[JournalId, float] = {}
        self._long: dict[JournalId, float] = {}

    def look(self, replicas: Mapping[JournalId, Replica], now: float) -> dict[JournalId, float]:
        """Those that nobody has led for LEADERLESS_S or longer, and since when, in the order of their ids."""
        leaderless = sorted(id for id, one in replicas.items() if has_no_leader(one))
        self._since = {id: self._since.get(id, now) for id in leaderless}
        self._long = {id: since for id, since in self._since.items() if now - since >= LEADERLESS_S}
        return self._long

    def __len__(self) -> int:
        """How many the last look found."""
        return len(self._long)


def has_no_leader(replica: Replica) -> bool:
    """Whether nobody leads its journal, seen from here. An idle leader whose majority is gone counts as none: nothing
    can be committed, and it gives up at the next entry. A copy that holds nothing, takes no part, or has ended needs no
    leader."""
    data = replica.data
    if data.out is not None or data.ended or data.log.last == START:
        return False
    if replica.leading is None:
        return leader_of(data) is None
    members = data.context.membership
    running = {place.replica for place in data.configuration.all_voters if members.member(place.node).runs}
    return not data.configuration.has_majority(running | {data.replica})
