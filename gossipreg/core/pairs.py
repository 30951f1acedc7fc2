"""Pairs: members that are alive as others see it, while datagrams between them and us are lost, often one way only.

Owns: the signs of that, and when there are enough of them to be told to a person. It only looks on: no probe,
suspicion or verdict depends on it, but for one probe every `RECHECK_PERIODS` of a member that the ring leaves aside by
now. Never knows: why datagrams are lost.

    unanswered   our pings of a member get no ack, and each time a helper reached it
    accused      a member tells us again and again that it suspects us: its pings arrive here, our acks do not arrive
    unheard      our ring predecessor, which pings us once a period, is alive, and its pings do not arrive here

    which way    unanswered, and its own datagrams arrive here    what we send is lost
                 accused                                          what we send is lost
                 unheard                                          what it sends is lost
                 unanswered, and nothing is heard of it           not known

A sign counts once it was seen `SIGNS` times in a row, one a period. The trouble is over after `ACKS` acks in a row,
once nobody accuses us for `OVER_PERIODS`, or with the next ping of the predecessor.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from gossipreg.core.commons import Commons
from gossipreg.model import NodeId

SIGNS = 8
"""At 10 % loss each way one ping in five gets no ack, eight in a row once in six days; where 80 % are lost one way that
takes a minute."""
ACKS = 4
"""Where 80 % are lost one way four acks in a row come once in ten minutes."""
OVER_PERIODS = 4
"""A member that suspects us says so once a period."""
_ROW_PERIODS = 2.5
"""Two accusations are in a row where no more time is between them: one may be lost."""
RECHECK_PERIODS = 10
UNHEARD_PERIODS = 10
UNHEARD_S = 10.0
"""... and no less than this: the predecessor may have another profile, with longer periods."""
PAIRS_MAX = 8
"""More pairs than this are not noted: then it is our own link, which others see, too."""

Way = Literal["to", "from", "unknown"]
Sign = Literal["unanswered", "accused", "unheard"]


@dataclass(frozen=True, slots=True)
class LossyPair:
    """Datagrams between us and this member are lost."""

    id: NodeId
    sign: Sign
    way: Way
    """to: what we send does not arrive there; from: what it sends does not arrive here."""
    since: float
    through: tuple[NodeId, ...]
    """Helpers that reached it for us."""


@dataclass(slots=True)
class _Seen:
    """A sign: since when, when last, and how often."""

    since: float
    at: float
    times: int = 0

    def again(self, now: float, apart_s: float) -> None:
        """Once more; what comes closely together is one."""
        if not self.times or now - self.at >= apart_s:
            self.times += 1
            self.at = now


@dataclass(slots=True)
class _Pair:
    seen: dict[Sign, _Seen] = field(default_factory=dict)
    acks: int = 0
    """In a row."""
    through: dict[NodeId, None] = field(default_factory=dict)
    told: LossyPair | None = None


class Pairs:
    def __init__(self, commons: Commons, probe: Callable[[NodeId], object]) -> None:
        self._commons = commons
        self._probe = probe
        self._pairs: dict[NodeId, _Pair] = {}
        self._predecessor: NodeId | None = None
        self._pinged_at = commons.now
        """When the predecessor pinged us last, or became our predecessor."""

    def lossy(self) -> list[LossyPair]:
        return [pair.told for pair in self._pairs.values() if pair.told is not None]

    # -- signs -------------------------------------------------------------------------------------------------------

    def missed(self, id: NodeId) -> None:
        """A ping of ours got no ack in time."""
        pair = self._pairs.get(id)
        if pair is not None:
            pair.acks = 0

    def vouched(self, id: NodeId, helper: NodeId) -> None:
        """A member that did not answer us was reached by this helper."""
        pair = self._sign(id, "unanswered")
        if pair is not None:
            pair.acks = 0
            pair.through.pop(helper, None)
            pair.through[helper] = None
            if len(pair.through) > self._commons.config.helpers:
                del pair.through[next(iter(pair.through))]
            self._tell(id, pair)

    def accused(self, by: NodeId) -> None:
        """This member told us itself that it suspects us."""
        known = self._pairs.get(by)
        seen = None if known is None else known.seen.get("accused")
        late = seen is not None and self._commons.now - seen.at > _ROW_PERIODS * self._commons.config.period_s
        if known is not None and seen is not None and late and seen.times < SIGNS:
            del known.seen["accused"]
        pair = self._sign(by, "accused")
        if pair is not None:
            self._tell(by, pair)

    def answered(self, id: NodeId) -> None:
        """It acked a ping of ours."""
        pair = self._pairs.get(id)
        if pair is not None:
            pair.acks += 1
            if pair.told is None or pair.acks >= ACKS:
                self._over(id, pair, "unanswered")

    def pinged(self, by: NodeId) -> None:
        """A ping of this member arrived."""
        if by == self._predecessor:
            self._pinged_at = self._commons.now
            if by in self._pairs:
                self._over(by, self._pairs[by], "unheard")

    def forget(self, id: NodeId) -> None:
        """It is no longer on the ring."""
        pair = self._pairs.pop(id, None)
        if pair is not None:
            pair.seen.clear()
            self._tell(id, pair)

    def on_period(self) -> None:
        """End signs that were not seen again, look for pings that should have come, and ping one member of a lossy pair
        that the ring does not ping any more."""
        commons = self._commons
        period_s = commons.config.period_s
        self._look_at_predecessor()
        recheck: NodeId | None = None
        for id, pair in list(self._pairs.items()):
            accused, unanswered = pair.seen.get("accused"), pair.seen.get("unanswered")
            if accused is not None and commons.now - accused.at > OVER_PERIODS * period_s:
                del pair.seen["accused"]
            if unanswered is not None and commons.now - unanswered.at > RECHECK_PERIODS * period_s:
                if unanswered.times < SIGNS:
                    del pair.seen["unanswered"]
                else:
                    recheck = id
            if pair.acks:
                recheck = id
            self._tell(id, pair)
        if recheck is not None:
            self._probe(recheck)

    def _look_at_predecessor(self) -> None:
        commons = self._commons
        predecessor = commons.ring.predecessor()
        if predecessor != self._predecessor or commons.config.probe_order != "ring":
            before, self._predecessor, self._pinged_at = self._predecessor, predecessor, commons.now
            if before is not None and before in self._pairs:
                self._over(before, self._pairs[before], "unheard")
            return
        unheard_s = max(UNHEARD_S, UNHEARD_PERIODS * commons.config.period_s)
        hears_others = commons.now - commons.heard_at <= OVER_PERIODS * commons.config.period_s
        if predecessor is None or not hears_others or commons.now - self._pinged_at < unheard_s:
            return
        pair = self._sign(predecessor, "unheard")
        if pair is not None:
            pair.seen["unheard"].since, pair.seen["unheard"].times = self._pinged_at, SIGNS
            self._tell(predecessor, pair)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _sign(self, id: NodeId, sign: Sign) -> _Pair | None:
        """Note one more; None where the member is not alive as others see it, or there are too many pairs already."""
        commons = self._commons
        if id not in commons.ring:
            return None
        pair = self._pairs.get(id)
        if pair is None:
            if len(self._pairs) >= PAIRS_MAX:
                commons.count("pairs_not_noted")
                return None
            pair = self._pairs[id] = _Pair()
        pair.seen.setdefault(sign, _Seen(commons.now, commons.now)).again(commons.now, commons.config.period_s / 2)
        return pair

    def _over(self, id: NodeId, pair: _Pair, sign: Sign) -> None:
        pair.seen.pop(sign, None)
        self._tell(id, pair)

    def _tell(self, id: NodeId, pair: _Pair) -> None:
        """Follow the signs that there are now: an event where something else is to be said than before."""
        before, pair.told = pair.told, self._found(id, pair)
        commons, after = self._commons, pair.told
        if before is None and after is not None:
            commons.count("lossy_pairs_found")
        if after is not None and (before is None or (before.sign, before.way) != (after.sign, after.way)):
            through = ", ".join(map(commons.name, after.through))
            commons.event("pair_lossy", **self._whom(id), sign=after.sign, way=after.way, through=through,
                          since_s=round(commons.now - after.since, 3))  # fmt: skip
        elif after is None and before is not None:
            commons.event("pair_lossy_over", **self._whom(id))
        if not pair.seen:
            self._pairs.pop(id, None)

    def _found(self, id: NodeId, pair: _Pair) -> LossyPair | None:
        for sign in _certain(pair):
            since = pair.seen[sign].since
            through = tuple(pair.through) if sign == "unanswered" else ()
            return LossyPair(id, sign, self._way(id, sign, since), since, through)
        return None

    def _way(self, id: NodeId, sign: Sign, since: float) -> Way:
        if sign == "unheard":
            return "from"
        peer = self._commons.peers.of_id(id)
        heard = peer is not None and peer.heard_at > since + self._commons.config.period_s
        return "to" if sign == "accused" or heard else "unknown"

    def _whom(self, id: NodeId) -> dict[str, str]:
        name, address = self._commons.named_at(id)
        return {"id": id.hex(), "name": name, "address": address}


def _certain(pair: _Pair) -> Iterator[Sign]:
    """The signs that were seen often enough, those first that say most."""
    order: tuple[Sign, ...] = ("unheard", "unanswered", "accused")
    return (sign for sign in order if sign in pair.seen and pair.seen[sign].times >= SIGNS)
