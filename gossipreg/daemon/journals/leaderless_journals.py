"""Which journals nobody leads, of those that have a copy here or had one that the disk lost, so that others and the
operator hear of them.

Owns: since when each was seen without a leader, and the journals whose copy was lost. Never knows: when a voter stands,
which is over in seconds where a majority of the voters lives (`journal/leaderless.py`), or how a copy was lost.

Our row says so of each after ANNOUNCED_AFTER_S: a member without a copy, such as one that has lost its disk, would not
know of the journal otherwise, and answer that there is nothing. That its copy was lost a sidecar says for LOST_S, or
until the journal is led or has a copy here again: if it had no other copy, nobody else could tell that it was there.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
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
"""After a look that found one: no change of the members tells of a copy that was removed. The same after one that found
a leader which was heard a moment ago and is in no row: none tells that this counts no longer. Our row changes no more
often, since each change is an input to all copies here, and to those of other members."""
LOST_S = 3600.0
"""For how long a journal is named whose copy here was lost. It may have had no other one, and never be led again."""
Announced = tuple[Collection[JournalId], list[Effect]]


class LeaderlessJournals:
    def __init__(
        self, announce: Callable[[Collection[JournalId], float], Announced],
        command: Callable[[Callable[[float], Announced]], Collection[JournalId]],
        is_led: Callable[[JournalId], bool | None],
    ) -> None:  # fmt: skip
        """`announce(journals, now)` says in our row that these are all such journals, and returns those that it says
        now, fewer where our row is full; `command` gives a command to the node; `is_led` says whether a member that
        runs leads the journal, or None: that is not known yet."""
        self._announce = announce
        self._command = command
        self._is_led = is_led
        self._announced: frozenset[JournalId] = frozenset()
        self._since: dict[JournalId, float] = {}
        self._lost: dict[JournalId, float] = {}
        """The journals whose copy was lost, and until when they are named."""
        self._long = 0
        self.next_look = inf
        """When it is time for the next look, if nothing happens before."""

    def lose(self, journals: Iterable[JournalId], now: float) -> None:
        """The database was opened, and the copies of these were lost."""
        self.look_soon(now)
        self._lost |= dict.fromkeys(journals, now + LOST_S)
        if self._lost:
            self.next_look = now

    @property
    def lost(self) -> Collection[JournalId]:
        """The journals whose copy here was lost, and that were not led since then, nor had a copy here again."""
        return self._lost.keys()

    def look(self, replicas: Mapping[JournalId, Replica], now: float) -> None:
        """Members changed."""
        led = {id: self._is_led(id) for id in self._lost}
        self._lost = {
            id: until for id, until in self._lost.items() if not led[id] and id not in replicas and now < until
        }
        copies = [id for id, one in replicas.items() if has_no_leader(one)]
        leaderless = sorted([*copies, *(id for id in self._lost if led[id] is not None)])
        self._since = {id: self._since.get(id, now) for id in leaderless}
        if self._since or self._announced or self._lost or any(map(_is_only_heard, replicas.values())):
            self.look_soon(now)

    def look_soon(self, now: float) -> None:
        """A copy may be without a leader from now on, though no member changed."""
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
        """Those with a copy here that nobody has led for LEADERLESS_S or longer, and since when, in the order of their
        ids."""
        copies = ((id, since) for id, since in self._since.items() if id not in self._lost)
        found = {id: since for id, since in copies if now - since >= LEADERLESS_S}
        self._long = len(found)
        return found

    def __len__(self) -> int:
        """How many `long` found last."""
        return self._long


def _is_only_heard(replica: Replica) -> bool:
    """Whether its leader counts as one only because it was heard a moment ago: no row claims its ballot."""
    heard = replica.data.heard
    return replica.leading is None and heard is not None and leader_of(replica.data) is heard.claim


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
