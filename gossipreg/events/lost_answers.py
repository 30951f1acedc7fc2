"""Answers that were lost with a stream, without the leader knowing: it holds its end of the stream for open.

Owns: which leader was answered last at each member, and when it is to be told that the stream broke. Never knows: what
was answered.

A leader has no timer for a delivery: it sends it once more when it learns that the stream broke. A firewall or a
router that has forgotten the stream may tell that to the side that sends, here with the answer, and not to the other.
So the receiving side opens a stream again with a message that says nothing, until one stays open: thereby the leader
learns it. An answer that was sent longer ago than `ARRIVED_S` has arrived.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gossipreg.events.room_grants import DeliveringLeader
from gossipreg.journal.model import Ballot
from gossipreg.model import NodeId
from gossipreg.retry import Retry
from gossipreg.timers import Timers

ARRIVED_S = 20.0
"""Longer than a stream stays open with unacked bytes."""
AGAIN = Retry(first_s=1.0, longest_s=30.0)


@dataclass(frozen=True, slots=True)
class TellBroken:
    """A timer: let this member know that the stream broke."""

    node: NodeId


@dataclass(slots=True)
class _Answered:
    leader: DeliveringLeader
    ballot: Ballot
    at: float
    wait_s: float = 0.0


class LostAnswers:
    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._last: OrderedDict[NodeId, _Answered] = OrderedDict()
        """By member, oldest first; those whose answers have arrived are forgotten with a later one."""

    def answered(self, leader: DeliveringLeader, ballot: Ballot, now: float) -> None:
        """This leader is sent an answer."""
        self._last[leader.node] = _Answered(leader, ballot, now)
        self._last.move_to_end(leader.node)
        while next(iter(self._last.values())).at < now - ARRIVED_S:
            self._last.popitem(last=False)

    def lost(self, node: NodeId, now: float) -> None:
        """The stream to this member broke."""
        answered = self._last.get(node)
        if answered is not None and now - answered.at <= ARRIVED_S:
            answered.wait_s = AGAIN.after(answered.wait_s) if answered.wait_s else AGAIN.first_s
            self._timers.set(TellBroken(node), now + answered.wait_s)

    def due(self, node: NodeId, now: float) -> tuple[DeliveringLeader, Ballot] | None:
        """The leader at this member to tell now; None: it is forgotten."""
        answered = self._last.get(node)
        if answered is None:
            return None
        answered.at = now  # this may be lost as well
        self._last.move_to_end(node)
        return answered.leader, answered.ballot
