"""Acks of our row by all living members, so that a caller can wait until each of them holds a change.

Owns: the version to wait for, and which members have acked it (shown that they hold it). Never knows: what the change
was, or which caller waits for it.

Gossip brings acks from ring neighbours only, so an ack is requested from every living member, with messages that every
release knows: the change itself (Delta) and a Pull for it, in one datagram. A member that holds our row at that version
answers the Pull with its copy of the change, which is the ack. A member without that version merges the Delta first. A
fingerprint equal to ours is an ack too. If a member does not answer, the request is sent again at growing intervals,
until the member answers or is off the ring, or until the wait ends.
"""

from gossipreg.core.context import Context
from gossipreg.core.effects import RowAcked
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NodeId, Version
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Pull


@dataclass(frozen=True, slots=True)
class RequestAcks:
    """Timer: request acks from the members that are due."""


@dataclass(slots=True)
class _Requested:
    due: float
    """When to send the request again."""
    interval_s: float


class RowAcks:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._tuning = context.config.gossip
        self.goal: Version | None = None
        """The version to wait for; None: no caller waits."""
        self._acked: set[NodeId] = set()
        self._requested: dict[NodeId, _Requested] = {}

    def begin(self, version: Version) -> None:
        """Request acks from every living member until all hold our row at `version`; then the effect RowAcked comes. If
        another version is waited for already, the higher one of the two counts."""
        if self.goal is None or version > self.goal:
            self.goal = version
            self._acked.clear()
            self._requested.clear()
            self._context.timers.set(RequestAcks(), self._context.now)

    def end(self) -> None:
        """Stop sending requests: no caller waits any more."""
        self.goal = None
        self._acked.clear()
        self._requested.clear()
        self._context.timers.cancel(RequestAcks())

    def missing(self) -> list[NodeId]:
        """The living members that have not acked, in the order of the ring; empty if no caller waits."""
        context = self._context
        if self.goal is None:
            return []
        return [id for id in self._ring if id != context.id and id not in self._acked]

    def acked(self, peer: NodeId, version: Version) -> None:
        """Note that this member has sent our own row at that version."""
        if self.goal is not None and version >= self.goal:
            self._acked.add(peer)

    def equal_fingerprint(self, peer: NodeId) -> None:
        """Note that this member's table is equal to ours."""
        if self.goal is not None:
            self._acked.add(peer)

    def on_request_acks(self) -> None:
        """Send a request to each member that is due."""
        context, goal = self._context, self.goal
        if goal is None:
            return
        sent, next_due = 0, float("inf")
        for id in self.missing():
            before = self._requested.get(id)
            if before is None or before.due <= context.now:
                if sent == self._tuning.ack_requests_at_once or not self._channel.room(Class.DELTA):
                    next_due = context.now + self._tuning.ack_request_pause_s
                    break
                sent += 1
                before = self._request(id, goal, before)
            next_due = min(next_due, before.due)
        # A member that joins meanwhile has no entry here yet, so check again after the longest interval at the latest.
        context.timers.set(RequestAcks(), min(next_due, context.now + self._tuning.ack_request_max_s))

    def _request(self, id: NodeId, goal: Version, before: _Requested | None) -> _Requested:
        context = self._context
        interval_s = self._channel.bound_s(id) if before is None else self._doubled(before.interval_s)
        requested = self._requested[id] = _Requested(context.now + interval_s, interval_s)
        since = Version(goal.generation, goal.counter - 1)
        change = self._table.page(context.id, since, self._channel.limit(id) // 2)
        if change is not None:
            self._channel.to(id, change)
        self._channel.to(id, Pull(context.id, *since))
        return requested

    def _doubled(self, interval_s: float) -> float:
        return min(2 * interval_s, self._tuning.ack_request_max_s)

    def check(self) -> None:
        """At the end of each input: emit RowAcked if all have acked."""
        goal = self.goal
        if goal is not None and len(self._acked) >= len(self._ring) - 1 and not self.missing():
            self.end()
            self._context.effects.append(RowAcked(goal))
