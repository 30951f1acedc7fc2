"""A receiving side with a made-up membership, and the leaders that deliver to it."""

from collections.abc import Iterable, Sequence
from random import Random

from gossipreg.events.cloud_event import encode_event, make_event
from gossipreg.events.effects import AnnounceSubscription, DropHandling, EventEffect, HandleEvent, SendEventMessage
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import (
    Deliveries,
    Delivery,
    DeliveryOutcome,
    DeliveryOutcomes,
    DeliveryResult,
    WindowOpened,
)
from gossipreg.events.receiving import Receiving
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import Ballot, JournalId, ReplicaId
from gossipreg.model import NodeId

OWN = NodeId(b"o" * 16)
ONE, TWO, THREE = (NodeId(name * 16) for name in (b"1", b"2", b"3"))
JOURNAL, OTHER = JournalId(b"j" * 16), JournalId(b"k" * 16)
START = 100.0


def ballot(round: int = 1) -> Ballot:
    return Ballot(round, ReplicaId(b"r" * 16))


def an_event(type: str = "order.created", key: str = "", id: str = "1") -> bytes:
    return encode_event(make_event(id, "shop", type, b"{}", extensions={"partitionkey": key} if key else None))


class MadeUpMembership:
    """An EventMembership in which all run, but for those that were stopped."""

    def __init__(self) -> None:
        self.stopped: set[NodeId] = set()
        self.leaders: dict[JournalId, NodeId] = {}
        self.synced = True

    def runs(self, node: NodeId) -> bool:
        return node not in self.stopped

    def process(self, node: NodeId) -> bytes:
        return b"p" if self.runs(node) else b""

    def subscribers(self, group: str, type: tuple[str, ...]) -> Sequence[NodeId]:
        raise NotImplementedError("the receiving side asks for no subscribers")

    def has_subscriber(self, group: str) -> bool:
        raise NotImplementedError("the receiving side asks for no subscribers")

    def running_patterns(self, group: str) -> tuple[str, ...]:
        raise NotImplementedError("the receiving side asks for no patterns")

    def listeners(self, type: tuple[str, ...]) -> Sequence[NodeId]:
        raise NotImplementedError("the receiving side asks for no listeners")

    def groups_for(self, type: tuple[str, ...]) -> Iterable[KnownGroup]:
        raise NotImplementedError("the receiving side asks for no groups")

    def past_groups(self) -> Iterable[KnownGroup]:
        raise NotImplementedError("the receiving side asks for no groups")

    def leader(self, journal: JournalId) -> NodeId | None:
        return self.leaders.get(journal)


class Receiver:
    """Runs one receiving side by hand. What it asked for since the last look stands in `handed`, `answers`, ..."""

    def __init__(self, tuning: EventsTuning | None = None, seed: int = 1) -> None:
        self.now = START
        self.members = MadeUpMembership()
        self.receiving = Receiving(tuning or EventsTuning(), OWN, Random(seed), self.members)
        self.clear()

    def clear(self) -> None:
        self.handed: list[HandleEvent] = []
        self.dropped: list[DropHandling] = []
        self.announced: list[AnnounceSubscription] = []
        self.messages: list[SendEventMessage] = []

    def flush(self) -> list[EventEffect]:
        effects = self.receiving.flush(self.now)
        for effect in effects:
            match effect:
                case HandleEvent():
                    self.handed.append(effect)
                case DropHandling():
                    self.dropped.append(effect)
                case AnnounceSubscription():
                    self.announced.append(effect)
                case SendEventMessage():
                    self.messages.append(effect)
                case _:
                    raise AssertionError(f"not asked by a receiving side: {effect}")
        return effects

    def run_until(self, now: float) -> None:
        """Timers that are due go off, at their time."""
        while self.receiving.next_deadline() <= now:
            self.now = max(self.now, self.receiving.next_deadline())
            self.receiving.advance(self.now)
            self.flush()
        self.now = now

    def deliver(
        self, *indexes: int, node: NodeId = ONE, journal: JournalId = JOURNAL, round: int = 1, attempt: int = 1,
        group: str = "billing", type: str = "order.created", key: str = "", event: bytes | None = None,
    ) -> None:  # fmt: skip
        """Events of these indexes come in one message."""
        data = an_event(type, key) if event is None else event
        deliveries = tuple(Delivery(group, index, attempt, data) for index in indexes)
        self.receiving.deliveries(
            node, Deliveries(journal=journal, ballot=ballot(round), deliveries=deliveries), self.now
        )
        self.flush()

    def done(
        self, handed: HandleEvent, result: DeliveryResult = DeliveryResult.ACKED, text: str = "", after_ms: int = 0
    ) -> bool:
        known = self.receiving.done(handed.number, handed.subscription, result, text, after_ms, self.now)
        self.flush()
        return known

    # -- what it said ------------------------------------------------------------------------------------------------

    def outcomes(self, node: NodeId | None = None) -> list[DeliveryOutcome]:
        return [
            outcome for sent in self.messages if node in (None, sent.node)
            if isinstance(sent.message, DeliveryOutcomes) for outcome in sent.message.outcomes
        ]  # fmt: skip

    def results(self, node: NodeId | None = None) -> list[DeliveryResult]:
        return [outcome.result for outcome in self.outcomes(node)]

    def windows(self, node: NodeId) -> list[tuple[str, int]]:
        return [
            window for sent in self.messages if sent.node == node
            if isinstance(sent.message, DeliveryOutcomes) for window in sent.message.windows
        ]  # fmt: skip

    def opened(self) -> list[NodeId]:
        """The members that were told that there is room, in order."""
        return [sent.node for sent in self.messages if isinstance(sent.message, WindowOpened)]


def with_subscription(**options: object) -> tuple[Receiver, int]:
    receiver = Receiver()
    number = receiver.receiving.subscribe("billing", ["order.*"], **options)  # type: ignore[arg-type]
    receiver.flush()
    return receiver, number
