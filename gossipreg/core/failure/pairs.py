"""Lossy pairs: members that others reach, while datagrams between them and us are lost, often one way only.

Owns: the signs of such a loss, and when there are enough of them to report the pair. It only watches: no suspicion or
declaration of death depends on it. It asks for one probe every `pair_recheck_periods` of a member of a lossy pair that
is no longer our successor on the ring. Never knows: why datagrams are lost.

    unanswered   our pings of a member get no ack, and each time a helper reaches it
    accused      a member tells us again and again that it suspects us: its pings arrive, our acks do not
    unheard      our ring predecessor, which pings us once a period, is alive, and its pings do not arrive here

    which way    unanswered, and its own datagrams arrive here    what we send is lost
                 accused                                          what we send is lost
                 unheard                                          what it sends is lost
                 unanswered, and nothing arrives from it          not known

A sign counts once it was seen `pair_signs` times in a row, at most once a period. It is over after `pair_acks` acks in
a row (unanswered), after `pair_over_periods` without an accusation (accused), or with the next ping of the predecessor
(unheard).
"""

from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId
from gossipreg.quick_dataclass import dataclass

PAIRS_MAX = 8
"""Pairs that are noted. If there are more, the fault is our own link, and other members see it too."""

Way = Literal["to", "from", "unknown"]
Sign = Literal["unanswered", "accused", "unheard"]


@dataclass(frozen=True, slots=True)
class LossyPair:
    """Datagrams between us and this member are lost."""

    id: NodeId
    sign: Sign
    way: Way
    """`to`: what we send does not arrive there. `from`: what it sends does not arrive here."""
    since: float
    through: tuple[NodeId, ...]
    """Helpers that reached it for us."""


@dataclass(slots=True)
class _Seen:
    """A sign: when it was seen first and last, and how often."""

    since: float
    at: float
    times: int = 0

    def again(self, now: float, apart_s: float) -> None:
        """Count the sign once more, unless it was counted less than `apart_s` seconds ago."""
        if not self.times or now - self.at >= apart_s:
            self.times += 1
            self.at = now


@dataclass(slots=True)
class _Pair:
    seen: dict[Sign, _Seen] = field(default_factory=dict)
    acks: int = 0
    """The acks in a row."""
    through: dict[NodeId, None] = field(default_factory=dict)
    reported: LossyPair | None = None
    """As it was last reported; None if it does not count as lossy."""


class Pairs:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel) -> None:
        self._context = context
        self._tuning = context.config.failure
        self._table = table
        self._ring = ring
        self._channel = channel
        self._pairs: dict[NodeId, _Pair] = {}
        self._predecessor: NodeId | None = None
        self._pinged_at = context.now
        """When the predecessor last pinged us, or became our predecessor."""

    def lossy(self) -> list[LossyPair]:
        """The pairs that are reported as lossy."""
        return [pair.reported for pair in self._pairs.values() if pair.reported is not None]

    # -- signs -------------------------------------------------------------------------------------------------------

    def missed(self, id: NodeId) -> None:
        """Note that a ping of ours got no ack in time."""
        pair = self._pairs.get(id)
        if pair is not None:
            pair.acks = 0

    def helper_reached(self, id: NodeId, helper: NodeId) -> None:
        """Note that this helper reached a member that did not ack our ping."""
        pair = self._note_sign(id, "unanswered")
        if pair is not None:
            pair.acks = 0
            pair.through.pop(helper, None)
            pair.through[helper] = None
            if len(pair.through) > self._context.config.helpers:
                del pair.through[next(iter(pair.through))]
            self._report(id, pair)

    def accused(self, by: NodeId) -> None:
        """Note that this member sent us a claim that it suspects us."""
        known = self._pairs.get(by)
        seen = None if known is None else known.seen.get("accused")
        in_row_s = self._tuning.pair_row_periods * self._context.config.period_s
        late = seen is not None and self._context.now - seen.at > in_row_s
        if known is not None and seen is not None and late and seen.times < self._tuning.pair_signs:
            del known.seen["accused"]
        pair = self._note_sign(by, "accused")
        if pair is not None:
            self._report(by, pair)

    def answered(self, id: NodeId) -> None:
        """Note that it acked a ping of ours."""
        pair = self._pairs.get(id)
        if pair is not None:
            pair.acks += 1
            if pair.reported is None or pair.acks >= self._tuning.pair_acks:
                self._over(id, pair, "unanswered")

    def pinged(self, by: NodeId) -> None:
        """Note that a ping of this member arrived."""
        if by == self._predecessor:
            self._pinged_at = self._context.now
            if by in self._pairs:
                self._over(by, self._pairs[by], "unheard")

    def forget(self, id: NodeId) -> None:
        """Drop the signs of a member that is no longer on the ring."""
        pair = self._pairs.pop(id, None)
        if pair is not None:
            pair.seen.clear()
            self._report(id, pair)

    def on_period(self) -> NodeId | None:
        """End signs that were not seen again, and check whether the predecessor's pings arrive. Return a member of a
        lossy pair that has to be probed, because it is no longer our successor on the ring."""
        context = self._context
        period_s = context.config.period_s
        self._check_predecessor()
        recheck: NodeId | None = None
        for id, pair in list(self._pairs.items()):
            accused, unanswered = pair.seen.get("accused"), pair.seen.get("unanswered")
            if accused is not None and context.now - accused.at > self._tuning.pair_over_periods * period_s:
                del pair.seen["accused"]
            if unanswered is not None and context.now - unanswered.at > self._tuning.pair_recheck_periods * period_s:
                if unanswered.times < self._tuning.pair_signs:
                    del pair.seen["unanswered"]
                else:
                    recheck = id
            if pair.acks:
                recheck = id
            self._report(id, pair)
        return recheck

    def _check_predecessor(self) -> None:
        """Note it if the pings of our ring predecessor, which should arrive once a period, do not."""
        context = self._context
        predecessor = self._ring.predecessor()
        if predecessor != self._predecessor:
            before, self._predecessor, self._pinged_at = self._predecessor, predecessor, context.now
            if before is not None and before in self._pairs:
                self._over(before, self._pairs[before], "unheard")
            return
        unheard_s = max(self._tuning.pair_unheard_s, self._tuning.pair_unheard_periods * context.config.period_s)
        hears_others = context.now - context.heard_at <= self._tuning.pair_over_periods * context.config.period_s
        if predecessor is None or not hears_others or context.now - self._pinged_at < unheard_s:
            return
        pair = self._note_sign(predecessor, "unheard")
        if pair is not None:
            pair.seen["unheard"].since, pair.seen["unheard"].times = self._pinged_at, self._tuning.pair_signs
            self._report(predecessor, pair)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _note_sign(self, id: NodeId, sign: Sign) -> _Pair | None:
        """Count this sign of a pair once more. None if the member is not alive, or if there are too many pairs
        already."""
        context = self._context
        if id not in self._ring:
            return None
        pair = self._pairs.get(id)
        if pair is None:
            if len(self._pairs) >= PAIRS_MAX:
                context.count("pairs_not_noted")
                return None
            pair = self._pairs[id] = _Pair()
        pair.seen.setdefault(sign, _Seen(context.now, context.now)).again(context.now, context.config.period_s / 2)
        return pair

    def _over(self, id: NodeId, pair: _Pair, sign: Sign) -> None:
        """Drop this sign."""
        pair.seen.pop(sign, None)
        self._report(id, pair)

    def _report(self, id: NodeId, pair: _Pair) -> None:
        """Report it as an event if the signs now say something else than was last reported."""
        before, pair.reported = pair.reported, self._evaluated(id, pair)
        context, after = self._context, pair.reported
        if before is None and after is not None:
            context.count("lossy_pairs_found")
        if after is not None and (before is None or (before.sign, before.way) != (after.sign, after.way)):
            through = ", ".join(map(self._table.name, after.through))
            context.event("pair_lossy", **self._whom(id), sign=after.sign, way=after.way, through=through,
                          since_s=round(context.now - after.since, 3))  # fmt: skip
        elif after is None and before is not None:
            context.event("pair_lossy_over", **self._whom(id))
        if not pair.seen:
            self._pairs.pop(id, None)

    def _evaluated(self, id: NodeId, pair: _Pair) -> LossyPair | None:
        """What the signs of this pair say now; None if there are not enough of them."""
        for sign in _certain(pair, self._tuning.pair_signs):
            since = pair.seen[sign].since
            through = tuple(pair.through) if sign == "unanswered" else ()
            return LossyPair(id, sign, self._way(id, sign, since), since, through)
        return None

    def _way(self, id: NodeId, sign: Sign, since: float) -> Way:
        """Which datagrams of the pair are lost: the table at the head of this file."""
        if sign == "unheard":
            return "from"
        peer = self._channel.session(id)
        heard = peer is not None and peer.heard_at > since + self._context.config.period_s
        return "to" if sign == "accused" or heard else "unknown"

    def _whom(self, id: NodeId) -> dict[str, str]:
        name, address = self._channel.named_at(id)
        return {"id": id.hex(), "name": name, "address": address}


def _certain(pair: _Pair, times: int) -> Iterator[Sign]:
    """Yield the signs that were seen often enough, the most certain one first."""
    order: tuple[Sign, ...] = ("unheard", "unanswered", "accused")
    return (sign for sign in order if sign in pair.seen and pair.seen[sign].times >= times)
