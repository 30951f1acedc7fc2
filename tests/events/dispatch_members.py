"""Members that take deliveries in tests of the leader, and what the registry says of them."""

from collections import deque
from dataclasses import dataclass, field

from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import (
    Deliveries,
    Delivery,
    DeliveryOutcome,
    DeliveryOutcomes,
    DeliveryResult,
    WindowOpened,
)
from gossipreg.events.patterns import check_pattern, matches
from gossipreg.journal.model import NO_BALLOT, Ballot, JournalId
from gossipreg.model import NodeId

JOURNAL = JournalId(b"J" * 16)
NO_ATTEMPT = (DeliveryResult.NO_SUBSCRIBER, DeliveryResult.NO_ROOM, DeliveryResult.UNREACHABLE)


def node(name: str) -> NodeId:
    return NodeId(name.encode().ljust(16, b"."))


@dataclass
class Receiver:
    """A member with subscriptions. It answers when the test says so, except for what it refuses."""

    id: NodeId
    patterns: dict[str, list[str]] = field(default_factory=dict)
    """By group; "" is broadcast."""
    room: int = 64
    refuses: dict[str, DeliveryResult] = field(default_factory=dict)
    """Groups that it takes nothing of now."""
    process: bytes = b"boot-1"
    """Empty: it is down."""
    seen_process: bytes = b"boot-1"
    """What the registry says."""
    running: dict[tuple[str, int], Delivery] = field(default_factory=dict)
    acked: set[tuple[str, int]] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    """Groups whose refusal the leader knows, or will."""
    got: list[Delivery] = field(default_factory=list)
    inbox: deque[Deliveries] = field(default_factory=deque)
    outbox: deque[DeliveryOutcomes | WindowOpened] = field(default_factory=deque)
    ballot: Ballot = NO_BALLOT

    def subscribes(self, group: str, type: tuple[str, ...]) -> bool:
        return any(matches(check_pattern(pattern), type) for pattern in self.patterns.get(group, ()))

    def receive(self) -> None:
        message = self.inbox.popleft()
        self.ballot = max(self.ballot, message.ballot)
        for delivery in message.deliveries:
            self.got.append(delivery)
            if delivery.group:
                self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        letter = (delivery.group, delivery.index)
        running = sum(group == delivery.group for group, _ in self.running)
        if letter in self.running:
            self.running[letter] = delivery
        elif letter in self.acked:
            self.answer(delivery, DeliveryResult.ACKED)
        elif (why := self.refuses.get(delivery.group)) is not None:
            self.refuse(delivery, why)
        elif running >= self.room:
            self.refuse(delivery, DeliveryResult.NO_ROOM)
        else:
            self.running[letter] = delivery

    def refuse(self, delivery: Delivery, why: DeliveryResult) -> None:
        self.refused.add(delivery.group)
        self.answer(delivery, why)

    def finish(self, letter: tuple[str, int], result: DeliveryResult, **options: int) -> None:
        delivery = self.running.pop(letter)
        if result is DeliveryResult.ACKED:
            self.acked.add(letter)
        self.answer(delivery, result, **options)

    def answer(
        self, delivery: Delivery, result: DeliveryResult, after_ms: int = 0, hold: int = 0, max_attempts: int = 0
    ) -> None:
        outcome = DeliveryOutcome(
            delivery.group, delivery.index, delivery.attempt, result, f"{result.name.lower()} by {self.id!r}", after_ms,
            bool(hold), max_attempts,
        )  # fmt: skip
        windows = () if result in NO_ATTEMPT else ((delivery.group, self.room),)
        self.outbox.append(DeliveryOutcomes(journal=JOURNAL, ballot=self.ballot, outcomes=(outcome,), windows=windows))

    def open(self) -> None:
        """Say that there is room again, for groups that were refused."""
        for group in sorted(self.refused):
            if group not in self.refuses:
                self.refused.discard(group)
                self.outbox.append(WindowOpened(journal=JOURNAL, windows=((group, self.room),)))

    def lose(self) -> None:
        """The stream broke."""
        self.inbox.clear()
        self.outbox.clear()


class Members:
    """`EventMembership`, as the registry sees the members."""

    synced = True

    def __init__(self, receivers: dict[NodeId, Receiver]) -> None:
        self._receivers = receivers

    def runs(self, node: NodeId) -> bool:
        return self.process(node) != b""

    def process(self, node: NodeId) -> bytes:
        receiver = self._receivers.get(node)
        return b"" if receiver is None else receiver.seen_process

    def _running(self) -> list[Receiver]:
        return [receiver for receiver in self._receivers.values() if receiver.seen_process]

    def subscribers(self, group: str, type: tuple[str, ...]) -> list[NodeId]:
        return [receiver.id for receiver in self._running() if receiver.subscribes(group, type)]

    def listeners(self, type: tuple[str, ...]) -> list[NodeId]:
        return self.subscribers("", type)

    def has_subscriber(self, group: str) -> bool:
        return bool(self.running_patterns(group))

    def running_patterns(self, group: str) -> tuple[str, ...]:
        return tuple({pattern: None for receiver in self._running() for pattern in receiver.patterns.get(group, ())})

    def groups_for(self, type: tuple[str, ...]) -> list[KnownGroup]:  # noqa: ARG002  # the protocol's
        raise AssertionError("publishing asks for that")

    def past_groups(self) -> list[KnownGroup]:
        raise AssertionError("`PastGroups` asks for that")

    def leader(self, journal: JournalId) -> NodeId | None:  # noqa: ARG002  # the protocol's
        raise AssertionError("publishing asks for that")
