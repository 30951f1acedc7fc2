"""One type of resources on one stream: the names that the client asked for, what it was sent, and what it said to it.

Owns the sets of names; knows neither protobufs nor where resources come from. A name is `due` from the moment when its
resource may be otherwise until the stream has looked at it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gossipreg.gateway.xds.model import Resource, ResourceType
from gossipreg.gateway.xds.streams.discovery_responses import SentResponse

IN_FULL = frozenset((ResourceType.CLUSTER, ResourceType.LISTENER))
"""In the state of the world, a client drops what is not in a response of these types."""
WITH_WILDCARD = IN_FULL
"""The types that a client may ask for without names, and then gets all."""
LEFT_KEPT = 256
"""Names that are not in the wildcard any more and are still sent. They are the clusters of tags that a policy no longer
names, which a client needs until it has the new routes. Where a machine makes the names of services, there is no end of
them: if there are more, those go that were here at the last look already."""
UNACKED_KEPT = 16
"""Responses that a client has not answered and that are remembered: a client that never answers costs no more. What it
says to an older one is passed over."""


@dataclass(frozen=True, slots=True)
class RefusedResponse:
    version: str
    """The version of the response that was refused."""
    text: str


NONE: frozenset[str] = frozenset()
"""Most sets of most subscriptions: a set of its own would take 216 bytes."""


@dataclass(slots=True, eq=False)
class TypeSubscription:
    type: ResourceType
    asked: tuple[str, ...] | None = None
    """The names of the last request of the state of the world, as they came; None: there was none."""
    names: set[str] = field(default_factory=set)
    """Asked for by name."""
    named: bool = False
    """Something was asked for by name once, so that no names mean none, and not all."""
    wildcard: bool = False
    wild: frozenset[str] = NONE
    """The names of the wildcard. One that leaves it stays here at first: a client that misses one whose routes it still
    has fails the calls to it."""
    left: frozenset[str] = NONE
    """Those of `wild` that were not in the wildcard any more when it was last looked at."""
    look: bool = False
    """The wildcard may have other names now."""
    due: set[str] = field(default_factory=set)
    again: frozenset[str] = NONE
    """Those due that are sent although the client has them."""
    alone: frozenset[str] = NONE
    """Those that came in a response with others that was refused: each is sent by itself, so that the client takes
    all but the bad one."""
    untaken: frozenset[str] = NONE
    """Those of a response in full that was refused: the client has older ones than `sent` says."""
    unknown: frozenset[str] = NONE
    """Those that the source does not know yet."""
    removed: frozenset[str] = NONE
    """Names that a client of delta has and is to drop."""
    answer: bool = False
    """The client waits for a response, also for one without resources."""
    sent: dict[str, str] = field(default_factory=dict)
    """The version of each resource that the client has, as far as it was sent or the client said so."""
    nonce: str = ""
    """Of the last response."""
    unacked: dict[str, SentResponse] = field(default_factory=dict)
    """By nonce, the oldest first."""
    version: str = ""
    """Of the last response."""
    acked: str = ""
    """The version of the last response that was accepted."""
    refused: dict[str, RefusedResponse] = field(default_factory=dict)
    """By name, for those that came in a response that was refused, until one with it is accepted."""

    @property
    def is_due(self) -> bool:
        return bool(self.due) or self.answer or self.look or bool(self.removed)

    def covers(self, name: str) -> bool:
        return name in self.names or name in self.wild

    def covered(self) -> set[str]:
        return self.names | self.wild

    def take_in(self, names: Iterable[str]) -> list[str]:
        """Subscribe to these by name. They are sent even if the client has them: it asks because it lacks them. Returns
        those that were not covered before."""
        wanted = frozenset(names)
        fresh = [name for name in wanted if not self.covers(name)]
        self.names |= wanted
        self.due |= wanted
        self.again |= wanted
        self.removed -= wanted
        return fresh

    def take_in_wild(self, names: Iterable[str]) -> list[str]:
        """Let the wildcard have these names too. Returns those that were not covered before."""
        added = [name for name in names if name not in self.wild]
        fresh = [name for name in added if name not in self.names]
        self.wild = self.wild.union(added)
        self.due.update(added)
        self.removed = self.removed.difference(added)
        return fresh

    def let_go(self, names: Iterable[str]) -> list[str]:
        """The wildcard has only these names now. Returns the names that are not covered any more."""
        left = self.wild.difference(names)
        old = left & self.left if len(left) > LEFT_KEPT else NONE
        self.left = left - old
        self.wild -= old
        gone = [name for name in old if name not in self.names]
        self._lose(gone)
        return gone

    def drop(self, names: Iterable[str]) -> list[str]:
        """Unsubscribe from these by name. Returns those that are not covered any more: asked for again, they are sent
        again."""
        gone = []
        for name in names:
            self.names.discard(name)
            if name not in self.wild:
                gone.append(name)
        self._lose(gone)
        return gone

    def drop_wildcard(self) -> list[str]:
        """Returns the names that are not covered any more."""
        gone = [name for name in self.wild if name not in self.names]
        self.wildcard = self.look = False
        self.wild = self.left = NONE
        self._lose(gone)
        return gone

    def _lose(self, names: Iterable[str]) -> None:
        lost = frozenset(names)
        for name in lost:
            self.sent.pop(name, None)
            self.refused.pop(name, None)
        self.due -= lost
        self.again -= lost
        self.alone -= lost
        self.unknown -= lost

    def send_again(self, names: Iterable[str]) -> None:
        """Send those of these that are subscribed to, also if the client has them."""
        again = frozenset(name for name in names if self.covers(name))
        self.due |= again
        self.again |= again

    def lacks(self, resource: Resource) -> bool:
        """Whether it is to be sent."""
        return self.sent.get(resource.name) != resource.version or resource.name in self.again

    def looked_at(self, names: Iterable[str]) -> None:
        """These were sent, or need not be."""
        self.due.difference_update(names)
        if self.again:
            self.again = self.again.difference(names)

    def hand_out(self, nonce: str, response: SentResponse, resources: Sequence[Resource]) -> None:
        """A response with these goes to the client."""
        for one in resources:
            self.sent[one.name] = one.version
        self.nonce, self.version, self.answer = nonce, response.version, False
        self.unacked[nonce] = response
        if len(self.unacked) > UNACKED_KEPT:
            del self.unacked[next(iter(self.unacked))]

    def answered(self, nonce: str) -> SentResponse | None:
        """The response that the client answers; it answers those before it too. None: that one is not open."""
        if nonce not in self.unacked:
            return None
        while True:
            oldest = next(iter(self.unacked))
            response = self.unacked.pop(oldest)
            if oldest == nonce:
                return response

    def accepted(self, response: SentResponse) -> None:
        self.acked = response.version
        if self.refused:
            for name in response.names:
                self.refused.pop(name, None)

    def refuse(self, response: SentResponse, text: str) -> None:
        """The client refuses it. Nothing of it is sent again until it changes."""
        refusal = RefusedResponse(response.version, text)
        self.refused.update({name: refusal for name in response.names if self.covers(name)})

    def send_alone(self, names: Iterable[str]) -> None:
        """Send these again, each by itself."""
        again = [name for name in names if self.covers(name)]
        self.alone = self.alone.union(again)
        self.send_again(again)
