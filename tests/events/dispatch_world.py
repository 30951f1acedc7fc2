"""The leader of one journal, with members that take deliveries: everything that is under way is in the hands of a test.

The state machine is the real one. Entries that were proposed wait until the test commits them; messages wait until it
hands them over; streams break and processes end when it says so.
"""

import random
from collections import deque
from itertools import count

from gossipreg.events.cloud_event import encode_event, make_event
from gossipreg.events.dispatch import DispatchTimer, JournalDispatch
from gossipreg.events.effects import EventEffect, LogEvents, ProposeEntry, ReadPayloads, SendEventMessage
from gossipreg.events.entries import (
    DeliveryNote,
    EventEntryKind,
    NewEvent,
    NewGroup,
    OutcomeCode,
    decode_outcomes,
    encode_publish,
)
from gossipreg.events.facts import EventFact, EventPublished, LetterAgain
from gossipreg.events.machine import EventsMachine
from gossipreg.events.messages import (
    Deliveries,
    Delivery,
    DeliveryResult,
    WindowOpened,
)
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import Ballot, LogEntry, ReplicaId
from gossipreg.model import NodeId
from gossipreg.timers import Timers
from tests.events.dispatch_members import JOURNAL, Members, Receiver, node
from tests.events.machines import RememberedRecords


class DispatchWorld:
    def __init__(
        self, *names: str, tuning: EventsTuning | None = None, rng: random.Random | None = None, group: str = "work"
    ) -> None:
        """Members of these names, which all subscribe to everything for this group."""
        self.tuning = tuning or EventsTuning()
        self.rng = rng or random.Random(1)
        self.now = 1000.0
        self.began = self.now
        self.members = {node(name): Receiver(node(name), {group: [">"]}) for name in names}
        self.membership = Members(self.members)
        self.machine = EventsMachine(self.tuning)
        self.records = RememberedRecords()
        self.machine.load(self.records)
        self.index = 0
        self.proposed: deque[ProposeEntry] = deque()
        self.reads: deque[ReadPayloads] = deque()
        self.logs: list[LogEvents] = []
        self.notes: list[DeliveryNote] = []
        """Of all committed OUTCOMES entries."""
        self.facts: list[EventFact] = []
        self.refuses_entries = False
        self.sent: list[tuple[NodeId, Delivery]] = []
        """Every delivery to a group, in the order in which the leader sent it."""
        self.broadcasts: list[tuple[NodeId, Delivery]] = []
        self.messages: list[tuple[NodeId, Deliveries]] = []
        self.resolved: dict[tuple[str, int], None] = {}
        """What a group has acknowledged or set aside, as far as the leader knows."""
        self._numbers = count(1)
        self._ballots = count(1)
        self.lead()

    def __getitem__(self, name: str) -> Receiver:
        return self.members[node(name)]

    # -- the leader --------------------------------------------------------------------------------------------------

    def lead(self) -> None:
        """A leader begins, with what is committed."""
        self.proposed.clear()
        self.reads.clear()
        self.timers = Timers()
        self.ballot = Ballot(next(self._ballots), ReplicaId(b"r"))
        self.dispatch = JournalDispatch(
            self.tuning, JOURNAL, self.ballot, self.machine, self.membership, self.timers, self.rng, self._numbers
        )
        self.do(self.dispatch.begin(self.now, self.led_ms))

    @property
    def led_ms(self) -> int:
        return int((self.now - self.began) * 1000)

    def do(self, effects: list[EventEffect]) -> None:
        for effect in effects:
            match effect:
                case ProposeEntry() if self.refuses_entries:
                    self.do(self.dispatch.refused(effect.ticket, self.now))
                case ProposeEntry():
                    self.proposed.append(effect)
                case ReadPayloads():
                    self.reads.append(effect)
                case SendEventMessage(to, Deliveries() as message):
                    self._send(to, message)
                case LogEvents():
                    self.logs.append(effect)
                case _:
                    raise AssertionError(f"a leader does not ask for {effect}")

    def _send(self, to: NodeId, message: Deliveries) -> None:
        assert message.ballot == self.ballot
        self.messages.append((to, message))
        for delivery in message.deliveries:
            (self.sent if delivery.group else self.broadcasts).append((to, delivery))
        receiver = self.members[to]
        if receiver.process == receiver.seen_process and receiver.process:
            receiver.inbox.append(message)

    # -- the journal -------------------------------------------------------------------------------------------------

    def apply(self, kind: int, data: bytes) -> tuple[EventFact, ...]:
        self.index += 1
        entry = LogEntry(self.index, self.ballot, self.led_ms, kind, data)
        facts = self.machine.apply(entry, self.records)
        self.facts += facts
        for fact in facts:
            if isinstance(fact, LetterAgain):
                self.resolved.pop((self._name(fact.group), fact.index), None)
        if kind == EventEntryKind.OUTCOMES:
            self.notes += decode_outcomes(data)
        self.do(self.dispatch.applied(facts, entry, self.now))
        return facts

    def publish(self, *keys: str, type: str = "order.created", groups: tuple[str, ...] = ("work",)) -> list[int]:
        """Events with these keys, in one entry. Returns their indexes."""
        events = [self.event(key, type) for key in keys]
        new = tuple(NewGroup(name, (">",)) for name in groups)
        facts = self.apply(EventEntryKind.PUBLISH, encode_publish(new, tuple(events)))
        return [fact.index for fact in facts if isinstance(fact, EventPublished)]

    def publish_large(self, events: int, size_bytes: int) -> None:
        """So many events of about this size, each in an entry of its own."""
        for _ in range(events):
            event = self.event("", "order.created", b"x" * size_bytes)
            self.apply(EventEntryKind.PUBLISH, encode_publish((NewGroup("work", (">",)),), (event,)))

    def publish_kept(self, keep_ms: int) -> None:
        event = NewEvent(self.event("", "order.created").data, keep_ms)
        self.apply(EventEntryKind.PUBLISH, encode_publish((NewGroup("work", (">",)),), (event,)))

    def event(self, key: str, type: str, data: bytes = b"{}") -> NewEvent:
        extensions = {"partitionkey": key} if key else {}
        id = f"{self.index}-{next(self._numbers)}"
        return NewEvent(encode_event(make_event(id, "/shop", type, data, extensions=extensions)))

    def commit(self) -> None:
        """The oldest entry that was proposed."""
        entry = self.proposed.popleft()
        self.apply(entry.kind, entry.data)
        self.do(self.dispatch.settled(entry.ticket, True, self.now))

    def commit_all(self) -> None:
        while self.proposed:
            self.commit()

    def read(self) -> None:
        """The oldest read is answered."""
        read = self.reads.popleft()
        values = [self.records.payload(index) for index in read.indexes]
        self.do(self.dispatch.payloads(read.number, values, self.now))

    def take_over(self) -> None:
        """Another leader begins; what the last one proposed is lost. The payloads are read."""
        self.dispatch.end()
        self.lead()
        self.read_all()

    def read_all(self) -> None:
        while self.reads:
            self.read()

    def _name(self, number: int) -> str:
        return next((name for name, group in self.machine.groups.items() if group.number == number), "")

    # -- members -----------------------------------------------------------------------------------------------------

    def hear(self, receiver: Receiver) -> None:
        """The leader gets the oldest message of this member."""
        message = receiver.outbox.popleft()
        if isinstance(message, WindowOpened):
            self.do(self.dispatch.window(receiver.id, message, self.now))
            return
        for outcome in message.outcomes:
            if outcome.result is DeliveryResult.ACKED:
                self.resolved[outcome.group, outcome.index] = None
        self.do(self.dispatch.outcomes(receiver.id, message, self.now))

    def deliver(self) -> None:
        """Every member receives what is on its way."""
        for receiver in self.members.values():
            while receiver.inbox:
                receiver.receive()

    def hear_all(self) -> None:
        for receiver in self.members.values():
            while receiver.outbox:
                self.hear(receiver)

    def answer(self, result: DeliveryResult, *letters: tuple[str, int], **options: int) -> None:
        """Whoever handles these ends with this result, and the leader hears it; without letters: all."""
        self.deliver()
        for receiver in self.members.values():
            for letter in [letter for letter in receiver.running if not letters or letter in letters]:
                receiver.finish(letter, result, **options)
        self.hear_all()

    def ack(self, *letters: tuple[str, int]) -> None:
        self.answer(DeliveryResult.ACKED, *letters)

    def break_stream(self, receiver: Receiver) -> None:
        receiver.lose()
        self.do(self.dispatch.closed(receiver.id, self.now))

    @property
    def holder(self) -> Receiver:
        """The member that got the last delivery."""
        return self.members[self.sent[-1][0]]

    def kill_holder(self) -> None:
        self.deliver()
        self.kill(self.holder)

    def kill(self, receiver: Receiver, seen: bool = True) -> None:
        """Its process ends; `seen`: the registry knows at once."""
        receiver.process = b""
        receiver.running.clear()
        receiver.refused.clear()
        if seen:
            receiver.seen_process = b""
        self.break_stream(receiver)
        if seen:
            self.members_changed()

    def start(self, receiver: Receiver, process: bytes = b"boot-2") -> None:
        receiver.process = receiver.seen_process = process
        self.members_changed()

    def members_changed(self) -> None:
        self.do(self.dispatch.members_changed(self.now))

    # -- time --------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.timers.next_due() <= until:
            self.now = max(self.now, self.timers.next_due())
            for name, _ in self.timers.pop_due(self.now):
                assert isinstance(name, DispatchTimer)
                self.do(self.dispatch.on_timer(name, self.now))
        self.now = until

    # -- what was seen -----------------------------------------------------------------------------------------------

    def sent_to(self, name: str) -> list[int]:
        return [delivery.index for to, delivery in self.sent if to == node(name)]

    def indexes(self) -> list[int]:
        return [delivery.index for _, delivery in self.sent]

    def codes(self, index: int) -> list[OutcomeCode]:
        return [note.code for note in self.notes if note.index == index]
