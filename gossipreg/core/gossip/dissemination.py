"""Dissemination: queue updates, send them to other members, and retransmit them to ring neighbours until those ack.

Owns: the updates that are queued for the next few milliseconds, and the updates that ring neighbours have not acked.
Never knows: why an update was made, how a row is merged, or when receipts are sent (`receipts.py`).

SWIM piggybacks updates on pings and acks (section 4.1). Here an update is sent at once, in datagrams of its own. The
first update after a pause is sent immediately, and those that follow within `gather_s` are sent together. If each hop
waited for `gather_s` first, an update would spend most of its way waiting.

- Each member sends an update once: to its ring neighbours, so that it certainly arrives, and to `fanout_random` random
  members, so that it arrives fast. Updates that are sent together go to the same random members, in one datagram each.
- A neighbour acks with a Receipt that names the datagram, by sending that version or a higher one itself, or with an
  equal fingerprint. Without an ack the update is retransmitted a few times. After that anti-entropy finds the
  difference.
- A row is sent as a delta: the entries that changed after the version that the receiver most likely has. A receiver
  that has an older version pulls the rest.
- A delta that does not fit one datagram to that member is replaced by an Announce of the row's version, and the
  receiver pulls it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Liveness, NodeId, Version
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire.messages import Announce, Claim, Message

_UNACKED_MAX = 4096
"""(neighbour, topic) pairs without an ack. Beyond it, the pairs of the neighbour that was sent the first of them are
forgotten: anti-entropy brings it what it lacks."""


@dataclass(frozen=True, slots=True)
class Disseminate:
    """Timer: send the queued updates."""


@dataclass(frozen=True, slots=True)
class Retransmit:
    """Timer: some update was not acked by this neighbour within its timeout."""

    peer: NodeId


class Topic(NamedTuple):
    """What an update is about: the content of a row, or the claim about a member's life."""

    id: NodeId
    claim: bool


@dataclass(slots=True)
class QueuedUpdate:
    base: Version
    """The version that receivers most likely have (rows only)."""
    acked_by: dict[NodeId, None]
    """Members that are known to hold this update already, so it is not sent to them."""


@dataclass(slots=True)
class _Unacked:
    """An update that was sent to a neighbour and not acked yet."""

    level: Version | Liveness
    """The version or claim that was sent. A neighbour that shows this one or a higher one has acked it."""
    base: Version
    counter: int
    """Of the datagram; 0 until that is sealed."""
    retransmissions: int
    """The retransmissions before it."""
    due: float
    """When it is retransmitted, unless an ack comes before."""
    large: bool = False
    """Whether it was sent in a datagram that is larger than the smallest size."""


class Dissemination:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel, paths: PathMtu) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._paths = paths
        self._ack_timeouts = context.config.gossip.ack_timeouts
        self._queue: dict[Topic, QueuedUpdate] = {}
        self._unacked: dict[NodeId, dict[Topic, _Unacked]] = {}
        """By neighbour."""
        self._unacked_pairs = 0
        """Pairs of (neighbour, topic) in it."""
        self._last_at = float("-inf")
        """When queued updates were last sent."""

    # -- queue updates -----------------------------------------------------------------------------------------------

    def queue_row(self, id: NodeId, base: Version, received_from: NodeId | None = None) -> None:
        """Queue the change of this row since `base`. It is not sent to `received_from`, which sent it to us."""
        self._add(Topic(id, False), base, received_from)

    def queue_claim(self, id: NodeId, received_from: NodeId | None = None) -> None:
        """Queue the claim about this member's life. It is not sent to `received_from`, which sent it to us."""
        self._add(Topic(id, True), Version(0, 0), received_from)

    def _add(self, topic: Topic, base: Version, received_from: NodeId | None) -> None:
        update = self._queue.get(topic)
        if update is None:
            update = self._queue[topic] = QueuedUpdate(base, {})
        else:
            update.base = min(update.base, base)
            update.acked_by.clear()  # they hold what was queued before, not this newer change
        if received_from is not None:
            update.acked_by[received_from] = None
        context = self._context
        context.timers.set_earlier(Disseminate(), max(context.now, self._last_at + context.config.gather_s))

    def is_queued(self, id: NodeId) -> bool:
        """Whether a change of this row is queued."""
        return Topic(id, False) in self._queue

    # -- send --------------------------------------------------------------------------------------------------------

    def on_disseminate(self) -> None:
        """Send the queued updates to the ring neighbours and to random members, as far as the byte budget allows."""
        context = self._context
        self._last_at = context.now
        claims, rows = self._channel.room(Class.CLAIM), self._channel.room(Class.DELTA)
        updates = {
            topic: update
            for topic, update in self._queue.items()
            if (claims if topic.claim else rows) or self._refutes(topic)
        }
        self._queue = {topic: update for topic, update in self._queue.items() if topic not in updates}
        if self._queue:
            context.timers.set(Disseminate(), context.now + context.config.gossip.throttled_s)
        neighbours = self._ring.neighbours(context.config.fanout_ring)
        random = self._ring.sample(context.rng, context.config.fanout_random, neighbours)
        for topic, update in updates.items():
            self._spread(topic, update, neighbours, random)

    def _spread(self, topic: Topic, update: QueuedUpdate, neighbours: Sequence[NodeId], random: list[NodeId]) -> None:
        """Send one update to the neighbours and to these random members. In place of those of them that need it not,
        draw others."""
        excluded = {self._skipped(topic): None, **update.acked_by}
        base_limit = self._channel.base_limit
        messages = {base_limit: self._message(topic, update.base, base_limit)}
        if messages[base_limit] is None:  # the row was forgotten after the update was queued
            return

        def message_to(peer: NodeId) -> Message | None:
            limit = self._channel.limit(peer)
            if limit not in messages:
                messages[limit] = self._message(topic, update.base, limit)
            return messages[limit]

        for peer in neighbours:
            if peer not in excluded:
                self._send_until_acked(peer, topic, update.base, message_to(peer))
        if not excluded.keys().isdisjoint(random):
            random = self._ring.sample(
                self._context.rng, self._context.config.fanout_random, [*neighbours, *excluded]
            )  # fmt: skip
        if topic.claim and self._accuses(topic):
            random = [*random, topic.id]
        for peer in random:
            message = message_to(peer)
            if message is not None:
                self._channel.to(peer, message)

    def _refutes(self, topic: Topic) -> bool:
        """Whether this is the claim that we ourselves live. It is sent even if the byte budget is used up."""
        return topic.claim and topic.id == self._context.id

    def _accuses(self, topic: Topic) -> bool:
        """Whether this is our own claim that a member is dead. That member gets it too, so that it can refute it."""
        row = self._table.rows.get(topic.id)
        return row is not None and row.dead and row.reporter == self._context.id

    def _skipped(self, topic: Topic) -> NodeId:
        """The member that needs no update on this topic: the one that the topic is about."""
        return topic.id

    def send_now(self, peers: Iterable[NodeId], id: NodeId, base: Version) -> None:
        """Send the change of this row since `base` to these members immediately, and retransmit it until they ack."""
        topic = Topic(id, False)
        for peer in peers:
            self._send_until_acked(peer, topic, base, self._message(topic, base, self._channel.limit(peer)))

    def _send_until_acked(
        self, peer: NodeId, topic: Topic, base: Version, message: Message | None, retransmissions: int = 0
    ) -> None:
        """Send a message to a neighbour, and retransmit it later unless the neighbour acks it."""
        context = self._context
        row = self._table.rows.get(topic.id)
        if row is None or message is None or peer == context.id:
            return
        due = context.now + self._channel.repeat_s(peer) * self._ack_timeouts[retransmissions]
        unacked = _Unacked(row.liveness if topic.claim else row.version, base, 0, retransmissions, due)

        def on_sent(counter: int) -> None:
            unacked.counter = counter

        if self._channel.to(peer, message, on_sent):
            unacked.large = self._channel.sends_large(peer)
            self._await_ack(peer, topic, unacked)

    def _message(self, topic: Topic, base: Version, limit_bytes: int) -> Message | None:
        """The message on this topic for a member that has `base`; an Announce if the row does not fit one message. None
        if the row is gone, or if nothing newer than `base` is known."""
        context, id = self._context, topic.id
        row = self._table.rows.get(id)
        if row is None:
            return None
        if topic.claim:
            return Claim(id, *row.liveness, row.reporter or context.id)
        page = self._table.page(id, base, limit_bytes)
        if page is None or page.reached == page.head:
            return page
        # The version that we hold. page.head may be higher: we may still be pulling the rest.
        return Announce(id, row.content_version.generation, row.content_version.counter)

    def _await_ack(self, peer: NodeId, topic: Topic, unacked: _Unacked) -> None:
        topics = self._unacked.setdefault(peer, {})
        if topic not in topics:
            self._unacked_pairs += 1
        topics[topic] = unacked
        if self._unacked_pairs > _UNACKED_MAX:
            self._context.count("unreceipted_given_up")
            self._remove_all(next(iter(self._unacked)))
        self._context.timers.set_earlier(Retransmit(peer), unacked.due)

    def on_retransmit(self, peer: NodeId) -> None:
        """Retransmit each update that this neighbour has not acked within its timeout. After the last retransmission,
        stop waiting: anti-entropy brings it."""
        context = self._context
        if peer not in self._ring:
            self._remove_all(peer)
            return
        topics = self._unacked.get(peer, {})
        overdue = {topic: unacked for topic, unacked in topics.items() if unacked.due <= context.now}
        if overdue:
            self._remove(peer, list(overdue))
        if topics:
            context.timers.set(Retransmit(peer), min(unacked.due for unacked in topics.values()))
        if any(unacked.large for unacked in overdue.values()):
            self._paths.validate(peer)
        for topic, unacked in overdue.items():
            if unacked.retransmissions + 1 < len(self._ack_timeouts):
                context.count("rumours_repeated")
                message = self._message(topic, unacked.base, self._channel.limit(peer))
                self._send_until_acked(peer, topic, unacked.base, message, unacked.retransmissions + 1)
            else:
                context.count("rumours_unreceipted")

    def on_dropped(self, peer: NodeId) -> None:
        """Send the unacked updates to this member again at once: it had no session with us, so it dropped them."""
        for topic, unacked in list(self._unacked.get(peer, {}).items()):
            message = self._message(topic, unacked.base, self._channel.limit(peer))
            self._send_until_acked(peer, topic, unacked.base, message, unacked.retransmissions)

    # -- acks --------------------------------------------------------------------------------------------------------

    def on_receipt(self, peer: NodeId, counters: tuple[int, ...]) -> None:
        """This member has received the datagrams with these counters: an ack for the updates in them."""
        topics = self._unacked.get(peer)
        if topics:
            named = frozenset(counters)
            self._remove(peer, [topic for topic, unacked in topics.items() if unacked.counter in named])

    def acked_by(self, peer: NodeId, topic: Topic, level: Version | Liveness) -> bool:
        """This member sent that version or claim itself: an ack for it and for each lower one. Returns whether we have
        sent it that version or a higher one, without an ack so far: the two messages have crossed, and ours is the ack
        for its."""
        update = self._queue.get(topic)
        if update is not None:
            row = self._table.rows.get(topic.id)
            if row is not None and level >= (row.liveness if topic.claim else row.version):
                update.acked_by[peer] = None
        topics = self._unacked.get(peer)
        unacked = None if topics is None else topics.get(topic)
        if unacked is None:
            return False
        sent = unacked.level
        if level >= sent:
            self._remove(peer, [topic])
        return sent >= level

    def tables_equal(self, peer: NodeId) -> None:
        """The fingerprint of this member's table equals ours: an ack for everything that is in the fingerprint."""
        topics = self._unacked.get(peer)
        if topics:
            self._remove(peer, [topic for topic in topics if self._in_fingerprint(topic)])

    def _in_fingerprint(self, topic: Topic) -> bool:
        """Whether the table's fingerprint depends on this: it does on rows and deaths, not on suspicions, nor on a dead
        member being declared left."""
        row = self._table.rows.get(topic.id)
        return not topic.claim or row is None or (row.dead and not row.declared_left)

    def has_acked(self, peer: NodeId, id: NodeId) -> bool:
        """Whether this member has acked the present version of the row, which was sent to it before."""
        topic = Topic(id, False)
        return topic not in self._unacked.get(peer, {}) and topic not in self._queue

    def unacked(self) -> int:
        """The number of (neighbour, topic) pairs that are not acked."""
        return self._unacked_pairs

    def forget(self, id: NodeId) -> None:
        """Forget the unacked updates of this member, which is not on the ring any more. It still gets its receipts,
        because a member that leaves waits for them."""
        self._remove_all(id)

    def _remove(self, peer: NodeId, topics: list[Topic]) -> None:
        unacked = self._unacked[peer]
        for topic in topics:
            del unacked[topic]
        self._unacked_pairs -= len(topics)
        if not unacked:
            self._remove_all(peer)

    def _remove_all(self, peer: NodeId) -> None:
        self._unacked_pairs -= len(self._unacked.pop(peer, {}))
        self._context.timers.cancel(Retransmit(peer))
