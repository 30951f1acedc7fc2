"""Dissemination: what is to be told to whom, packed into a datagram.

Owns: the news gathered for the next few milliseconds, and what ring neighbours have been told without having shown
that they know. Never knows: why a thing is news, or how a row is merged.

Each member tells a piece of news once: the first after a pause at once, and what comes within `gather_s` of that
together, since a wait at each hop would be most of the way. It tells its neighbours on the ring, which makes it
certain, and `fanout_random` random members, which makes it fast. A neighbour shows that it knows by a Receipt naming
the datagram, by sending that version or a higher one, or by an equal fingerprint; else it is told again, a few times,
and after that anti-entropy has the word. A row is told as a delta cut when the datagram is packed, on what the receiver
most likely has; a receiver that lacks the base pulls. What does not fit a datagram to that member is announced by
version and pulled.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gossipreg.core.context import Context
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.session.path_mtu import PathMtu
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import Liveness, NodeId, Version
from gossipreg.wire.messages import Announce, Claim, Message, Receipt

_THROTTLED_S = 0.02
"""How long news waits before the budget is looked at again."""

_WAITS = 1, 1, 4, 4
"""How long a neighbour is given to show that it knows, in its round-trip bounds: before it is told again for the first
time, the second, the third; after the last, anti-entropy has the word. At 20 % loss the last of 1,000 members has it
after 0.6 to 2.7 s (worst of 20, three seeds) with two repeats, after 0.2 to 0.4 with three. Where the third is as soon
as the others (0.2 s), one that is too slow to answer is told again three times as often."""
_UNRECEIPTED_MAX = 4096
"""Told and unreceipted pairs of (neighbour, topic) kept; beyond it the oldest is given up to anti-entropy."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Timer: the gathered news is due."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Timer: this neighbour has had its time to show that it knows."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class GiveReceipts:
    """Timer: gathered receipts for this member are due."""

    peer: NodeId


class Topic(NamedTuple):
    """What a rumour is about: a row's content, or the claim about a member's life."""

    id: NodeId
    claim: bool


@dataclass(slots=True)
class _News:
    base: Version
    """What receivers most likely have (rows only)."""
    known_to: dict[NodeId, None]
    """Who told us, and so needs not be told."""


@dataclass(slots=True)
class _Told:
    level: Version | Liveness
    """What was told; anything at or above it from that neighbour settles it."""
    base: Version
    counter: int
    """Of the datagram, 0 until it is sealed."""
    repeats: int
    """How often it was told again."""
    due: float
    """When it is told again, unless it is shown to be known by then."""
    large: bool = False
    """Whether it was sent along with more than the smallest datagram carries."""


class Dissemination:
    def __init__(self, context: Context, table: Table, ring: Ring, channel: Channel, paths: PathMtu) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._paths = paths
        self._news: dict[Topic, _News] = {}
        self._told: dict[NodeId, dict[Topic, _Told]] = {}
        """By neighbour, what it has not shown to know."""
        self._told_size = 0
        """Pairs of (neighbour, topic) in it."""
        self._last_at = float("-inf")
        """When gathered news last went out."""
        self._receipts: dict[NodeId, dict[int, None]] = {}
        """By member, the counters of its datagrams that we owe it a receipt for."""

    # -- what is news ------------------------------------------------------------------------------------------------

    def tell_row(self, id: NodeId, base: Version, told_by: NodeId | None = None) -> None:
        """The row's content went up from `base`: tell it. `told_by` knows already."""
        self._add(Topic(id, False), base, told_by)

    def tell_claim(self, id: NodeId, told_by: NodeId | None = None) -> None:
        """The claim about this member's life rose: tell it."""
        self._add(Topic(id, True), Version(0, 0), told_by)

    def _add(self, topic: Topic, base: Version, told_by: NodeId | None) -> None:
        news = self._news.get(topic)
        if news is None:
            news = self._news[topic] = _News(base, {})
        else:
            news.base = min(news.base, base)
            news.known_to.clear()  # they told us an earlier state of it
        if told_by is not None:
            news.known_to[told_by] = None
        context = self._context
        context.timers.set_earlier(Tell(), max(context.now, self._last_at + context.config.gather_s))

    def gathers(self, id: NodeId) -> bool:
        """Whether news of this row waits to be told."""
        return Topic(id, False) in self._news

    # -- telling -----------------------------------------------------------------------------------------------------

    def on_tell(self) -> None:
        """The gathered news goes out, to neighbours and random members."""
        context = self._context
        self._last_at = context.now
        claims, rows = (self._channel.room(klass) for klass in (Class.CLAIM, Class.DELTA))
        news = {
            topic: item
            for topic, item in self._news.items()
            if (claims if topic.claim else rows) or self._refutes(topic)
        }
        self._news = {topic: item for topic, item in self._news.items() if topic not in news}
        if self._news:
            context.timers.set(Tell(), context.now + _THROTTLED_S)
        messages: dict[tuple[Topic, int], Message | None] = {}

        def message_to(peer: NodeId, topic: Topic) -> Message | None:
            key = topic, self._channel.limit(peer)
            if key not in messages:
                messages[key] = self._message(topic, news[topic].base, key[1])
            return messages[key]

        spared = {topic: self._spared(topic) for topic in news}
        neighbours = self._ring.neighbours(context.config.fanout_ring)
        for peer in neighbours:
            for topic, item in news.items():
                if peer not in item.known_to and peer != spared[topic]:
                    self._tell(peer, topic, item.base, message_to(peer, topic))
        for topic, item in news.items():
            if message_to(context.id, topic) is None:  # gone meanwhile
                continue
            but = [context.id, spared[topic], *neighbours, *item.known_to]
            for peer in self._ring.sample(context.rng, context.config.fanout_random, but):
                self._say(peer, message_to(peer, topic))
            if topic.claim and self._accuses(topic):
                self._say(topic.id, message_to(topic.id, topic))

    def _say(self, peer: NodeId, message: Message | None) -> None:
        if message is not None:
            self._channel.to(peer, message)

    def _refutes(self, topic: Topic) -> bool:
        """Our own word that we live: it never waits for room."""
        return topic.claim and topic.id == self._context.id

    def _accuses(self, topic: Topic) -> bool:
        """Our own claim that somebody is gone: whom it is about must be able to refute it."""
        row = self._table.rows.get(topic.id)
        return row is not None and row.dead and row.reporter == self._context.id

    def _spared(self, topic: Topic) -> NodeId:
        """The member that an update is about needs not be told of it."""
        return topic.id

    def tell_now(self, peers: Iterable[NodeId], id: NodeId, base: Version) -> None:
        """Tell these members of a row's content at once, certainly: on leaving."""
        topic = Topic(id, False)
        for peer in peers:
            self._tell(peer, topic, base, self._message(topic, base, self._channel.limit(peer)))

    def _tell(self, peer: NodeId, topic: Topic, base: Version, message: Message | None, repeats: int = 0) -> None:
        """Tell a neighbour, and remember that it has to show that it knows."""
        context = self._context
        row = self._table.rows.get(topic.id)
        if row is None or message is None or peer == context.id:
            return
        due = context.now + self._channel.repeat_s(peer) * _WAITS[repeats]
        told = _Told(row.liveness if topic.claim else row.version, base, 0, repeats, due)

        def on_sent(counter: int) -> None:
            told.counter = counter

        if self._channel.to(peer, message, on_sent):
            told.large = self._channel.sends_large(peer)
            self._remember(peer, topic, told)

    def _message(self, topic: Topic, base: Version, limit_bytes: int) -> Message | None:
        """The message about this topic for a member that has `base`. A row that does not fit one message is announced.
        None if the topic is gone, or if nothing newer than `base` is known."""
        context, id = self._context, topic.id
        row = self._table.rows.get(id)
        if row is None:
            return None
        if topic.claim:
            return Claim(id, *row.liveness, row.reporter or context.id)
        page = self._table.page(id, base, limit_bytes)
        if page is None or page.reached == page.head:
            return page
        # What we were told of, not page.head: the rest of it may still be on its way to us.
        return Announce(id, row.told.generation, row.told.counter)

    def _remember(self, peer: NodeId, topic: Topic, told: _Told) -> None:
        topics = self._told.setdefault(peer, {})
        if topic not in topics:
            self._told_size += 1
        topics[topic] = told
        if self._told_size > _UNRECEIPTED_MAX:
            self._context.count("unreceipted_given_up")
            self._settle_all(next(iter(self._told)))
        self._context.timers.set_earlier(Repeat(peer), told.due)

    def on_repeat(self, peer: NodeId) -> None:
        """What this neighbour has had its time to show that it knows, and has not, is told it again."""
        context = self._context
        if peer not in self._ring:
            self._settle_all(peer)
            return
        topics = self._told.get(peer, {})
        overdue = {topic: told for topic, told in topics.items() if told.due <= context.now}
        if overdue:
            self._settle(peer, list(overdue))
        if topics:
            context.timers.set(Repeat(peer), min(told.due for told in topics.values()))
        if any(told.large for told in overdue.values()):
            self._paths.doubt(peer)
        for topic, told in overdue.items():
            if told.repeats + 1 < len(_WAITS):
                context.count("rumours_repeated")
                message = self._message(topic, told.base, self._channel.limit(peer))
                self._tell(peer, topic, told.base, message, told.repeats + 1)
            else:
                context.count("rumours_unreceipted")

    def on_dropped(self, peer: NodeId) -> None:
        """It had to ask who we are, so it dropped what we told: tell it again at once."""
        for topic, told in list(self._told.get(peer, {}).items()):
            message = self._message(topic, told.base, self._channel.limit(peer))
            self._tell(peer, topic, told.base, message, told.repeats)

    # -- who knows ---------------------------------------------------------------------------------------------------

    def on_receipt(self, peer: NodeId, counters: tuple[int, ...]) -> None:
        topics = self._told.get(peer)
        if topics:
            named = frozenset(counters)
            self._settle(peer, [topic for topic, told in topics.items() if told.counter in named])

    def shown(self, peer: NodeId, topic: Topic, level: Version | Liveness) -> None:
        """This member sent that version or claim itself, so it needs no telling of it or of anything lower."""
        told = self._told.get(peer, {}).get(topic)
        if told is not None and level >= told.level:
            self._settle(peer, [topic])
        news = self._news.get(topic)
        row = self._table.rows.get(topic.id)
        if news is not None and row is not None and level >= (row.liveness if topic.claim else row.version):
            news.known_to[peer] = None

    def shown_row(self, peer: NodeId, id: NodeId, version: Version) -> None:
        self.shown(peer, Topic(id, False), version)

    def in_step(self, peer: NodeId) -> None:
        """Its fingerprint equals ours: it knows all that we know of rows, and who is gone; but not who is suspected."""
        topics = self._told.get(peer)
        if topics:
            self._settle(peer, [topic for topic in topics if not self._beside_the_fingerprint(topic)])

    def _beside_the_fingerprint(self, topic: Topic) -> bool:
        row = self._table.rows.get(topic.id)
        return topic.claim and row is not None and (not row.dead or row.declared_left)

    def knows(self, peer: NodeId, id: NodeId) -> bool:
        """Whether this member, told of the row's present version, has shown that it knows it."""
        topic = Topic(id, False)
        return topic not in self._told.get(peer, {}) and topic not in self._news

    def unsettled(self) -> int:
        """How many (neighbour, topic) pairs have not been shown to be known."""
        return self._told_size

    def forget(self, id: NodeId) -> None:
        """No longer on the ring. A receipt that we owe is still given: who leaves waits for it."""
        self._settle_all(id)

    def _settle(self, peer: NodeId, topics: list[Topic]) -> None:
        told = self._told[peer]
        for topic in topics:
            del told[topic]
        self._told_size -= len(topics)
        if not told:
            self._settle_all(peer)

    def _settle_all(self, peer: NodeId) -> None:
        self._told_size -= len(self._told.pop(peer, {}))
        self._context.timers.cancel(Repeat(peer))

    # -- receipts for others -----------------------------------------------------------------------------------------

    def owe_receipt(self, peer: NodeId, counter: int) -> None:
        """A rumour came in this datagram. Only a ring neighbour waits for a receipt, or who has just left the ring."""
        context = self._context
        if peer in self._ring and peer not in self._ring.neighbours(context.config.fanout_ring):
            return
        self._receipts.setdefault(peer, {})[counter] = None
        context.timers.set_earlier(GiveReceipts(peer), context.now + context.config.receipt_gather_s)

    def on_give_receipts(self, peer: NodeId) -> None:
        counters = self._receipts.pop(peer, None)
        if counters:
            for chunk in _chunks(list(counters), 64):
                self._channel.to(peer, Receipt(tuple(chunk)))


def _chunks(values: list[int], size: int) -> Iterable[list[int]]:
    return (values[at : at + size] for at in range(0, len(values), size))
