"""How many names all streams together may be subscribed to, and who gives way when there are no more.

A client that asks for more than is left gets room from the one that holds most, as long as that one holds more than
the asking one would then. So one client cannot use up the names of all, and one that asks for few is not refused for
another that asks for many. Streams that gave way end, and may come again for what is left then.

A client is a process on a unix socket, or a connection over TCP. It holds what none but one of its streams asked for by
name: that is what the end of this stream frees.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Protocol

from gossipreg.gateway.xds.model import ResourceKey, ResourceType
from gossipreg.gateway.xds.streams.discovery_requests import BadRequest
from gossipreg.gateway.xds.streams.subscription_index import CHARACTERS_A_NAME, Subscriber, SubscriptionIndex, cost_of

NAMES_OF_ALL = 32_768
"""Different names that all streams together may be subscribed to, by type. The source keeps 2 to 3 kB for each; a name
of many labels may take 30. A cluster of 2,000 services has 8,000."""
CHARACTERS_OF_ALL = CHARACTERS_A_NAME * NAMES_OF_ALL
"""In these names."""


class NameHolder(Subscriber, Protocol):
    """A stream."""

    peer: str
    """Its client."""

    def give_way(self) -> None:
        """End, and hold no names from now on."""


class NameShares:
    def __init__(self, index: SubscriptionIndex, streams: Collection[NameHolder]) -> None:
        """`streams` are all that are open, also later."""
        self._index = index
        self._streams = streams

    def make_room_untrusted(self, asking: NameHolder, type: ResourceType, names: Iterable[str]) -> None:
        """Let streams give way until these names have room. Raises BadRequest where nobody holds more than the client
        of this stream would."""
        keys = {ResourceKey(type, name) for name in names}
        while True:
            fresh = [key.name for key in keys if key not in self._index]
            lacking = self._lacking(fresh)
            if not lacking:
                return
            if not self._give_way(asking, fresh):
                raise BadRequest("xds_names_of_all", lacking)

    def _lacking(self, fresh: Collection[str]) -> str:
        """Why there is no room for these names, which nobody has; empty if there is."""
        if len(self._index) + len(fresh) > NAMES_OF_ALL:
            return f"all clients together ask for more than {NAMES_OF_ALL} names: ask for fewer"
        if self._index.characters + sum(map(len, fresh)) > CHARACTERS_OF_ALL:
            return f"the names of all clients have more than {CHARACTERS_OF_ALL} characters: ask for fewer"
        return ""

    def _give_way(self, asking: NameHolder, fresh: Collection[str]) -> bool:
        """End streams of the client that holds most, until there is room or another client holds more. False: it holds
        no more than the asking one would."""
        held: Counter[str] = Counter()
        for one in self._streams:
            held[one.peer] += self._index.held_by(one)
        least = held.pop(asking.peer, 0) + sum(map(cost_of, fresh))
        peer, most = max(held.items(), key=lambda item: item[1], default=("", 0))
        if most <= least:
            return False
        giving = [one for one in self._streams if one.peer == peer]
        for one in sorted(giving, key=self._index.held_by, reverse=True):
            most -= self._index.held_by(one)
            one.give_way()
            if most <= least or not self._lacking(fresh):
                break
        return True
