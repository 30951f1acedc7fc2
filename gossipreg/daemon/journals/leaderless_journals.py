"""Which journals nobody leads, of those that have a copy here, so that others and the operator hear of them.

Owns: since when each was seen without a leader. Never knows: when a voter stands, which is over in seconds where a
majority of the voters lives (`journal/leaderless.py`).

Our row says so of each after ANNOUNCED_AFTER_S: a member without a copy, such as one that has lost its disk, would not
know of the journal otherwise, and answer that there is nothing.
"""

from collections.abc import Callable, Collection, Mapping
from math import inf

from gossipreg.core.effects import Effect
from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.model import START, JournalId
from gossipreg.journal.replica import Replica

ANNOUNCED_AFTER_S = 2.0
"""Most elections take less, and nothing is announced for them."""
LEADERLESS_S = 60.0
"""From then on it is a trouble: an election, or a restart of the leader, takes less."""
LOOK_AGAIN_S = 1.0
"""After a look that found one: no change of the members tells of a copy that was removed. Our row changes no more
often, since each change is an input to all copies here, and to those of other members."""
Announced = tuple[Collection[JournalId], list[Effect]]


class LeaderlessJournals:
    def __init__(
        self, announce: Callable[[Collection[JournalId], float], Announced],
        command: Callable[[Callable[[float], Announced]], Collection[JournalId]],
    ) -> None:  # fmt: skip
        """`announce(journals, now)` says in our row that these are all such journals, and returns those that it says
        now, fewer where our row is full; `command` gives a command to the node."""
        self._announce = announce
        self._command = command
        self._announced: frozenset[JournalId] = frozenset()
        self._since: dict[JournalId, float] = {}
        self._long = 0
        self.next_look = inf
        """When it is time for the next look, if nothing happens before."""

    def look(self, replicas: Mapping[JournalId, Replica], now: float) -> None:
        """Members changed."""
        leaderless = sorted(id for id, one in replicas.items() if has_no_leader(one))
        self._since = {id: self._since.get(id, now) for id in leaderless}
        if self._since or self._announced:
            self.next_look = min(self.next_look, now + LOOK_AGAIN_S)

    def advance(self, replicas: Mapping[JournalId, Replica], now: float) -> None:
        """Look if it is time, and say in our row what has changed since the last time, all at once."""
        if now < self.next_look:
            return
        self.next_look = inf
        self.look(replicas, now)
        announced = {id: None for id, since in self._since.items() if now - since >= ANNOUNCED_AFTER_S}
        if announced.keys() != self._announced:
            self._announced = frozenset(self._command(lambda now: self._announce(announced, now)))

    def long(self, now: float) -> dict[JournalId, float]:
        """Those that nobody has led for LEADERLESS_S or longer, and since when, in the order of their ids."""
        found = {id: since for id, since in self._since.items() if now - since >= LEADERLESS_S}
        self._long = len(found)
        return found

    def __len__(self) -> int:
        """How many `long` found last."""
        return self._long


def has_no_leader(replica: Replica) -> bool:
    """Whether nobody leads its journal, seen from here. An idle leader whose majority is gone counts as none: nothing
    can be committed, and it gives up at the next entry. A copy that holds nothing, takes no part, or has ended needs no
    leader. A sidecar that is not in sync yet does not know who leads."""
    data = replica.data
    if data.out is not None or data.ended or data.log.last == START or data.context.membership.synced_at is None:
        return False
    if replica.leading is None:
        return leader_of(data) is None
    members = data.context.membership
    running = {place.replica for place in data.configuration.all_voters if members.member(place.node).runs}
    return not data.configuration.has_majority(running | {data.replica})
