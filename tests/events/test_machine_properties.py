"""Random histories of a journal's events, beside a simple model: nothing is lost, nothing is invented, and a machine
that begins with the records goes on as the one that wrote them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgpack
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipreg.events.entries import EventEntryKind, OutcomeCode
from gossipreg.events.facts import (
    DeliverySettled,
    EventAdded,
    EventFact,
    EventGone,
    EventPublished,
    KeptEventAdded,
    LetterAgain,
    PublishVerdict,
)
from gossipreg.events.patterns import check_pattern, check_type, matches
from gossipreg.events.stored_events import PAYLOAD, payload_key
from gossipreg.events.tuning import EventsTuning
from tests.events.machines import MachineByHand, new_event, shown
from tests.examples import examples

NAMES = ["billing", "mailer", "search"]
DEDUP_MS, MAX_AGE_MS, GROUP_TTL_MS, PATTERN_TTL_MS = 20_000, 60_000, 90_000, 40_000
TUNING = EventsTuning(dedup_s=20, max_age_s=60, group_ttl_s=90, pattern_ttl_s=40)

GROUPS = st.tuples(st.sampled_from(NAMES), st.sampled_from(["order.created", "order.*", ">", "mail.>"]))


@dataclass(frozen=True)
class Publishing:
    """One event as a publisher gives it; all of it but the times is its content."""

    id: str
    type: str
    key: str
    data: bytes
    keep_ms: int = field(compare=False)
    time: str = field(compare=False)


PUBLISHING = st.builds(
    Publishing, st.sampled_from("123456"), st.sampled_from(["order.created", "order.paid", "mail.sent"]),
    st.sampled_from(["", "a"]), st.sampled_from([b"x", b"longer"]), st.sampled_from([0, 0, 5_000, 100_000]),
    st.sampled_from(["", "2026-05-31T12:00:00Z"]),
)  # fmt: skip


@dataclass
class ModelEvent:
    type: str
    led_ms: int
    keep_ms: int
    waiting: set[str]
    dead: dict[str, int] = field(default_factory=dict)
    """Group -> when it was set aside."""


@dataclass
class ModelGroup:
    number: int
    patterns: dict[str, int]
    seen_ms: int

    def means(self, type: str) -> bool:
        return any(matches(check_pattern(pattern), check_type(type)) for pattern in self.patterns)


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.hand = MachineByHand(TUNING)
        self.twin = MachineByHand(TUNING)
        self.groups: dict[str, ModelGroup] = {}
        self.group_count = 0
        self.events: dict[int, ModelEvent] = {}
        self.known: dict[str, tuple[int, int, Publishing, int]] = {}
        """Id -> (led_ms, index, what was published)."""
        self.deliveries: set[tuple[int, int]] = set()
        """What a leader has to deliver, as the facts say: (group, index)."""

    def both(self, carry_out: Callable[[MachineByHand], list[EventFact]]) -> list[EventFact]:
        facts = carry_out(self.hand)
        assert carry_out(self.twin) == facts
        for fact in facts:
            match fact:
                case EventAdded(index=index, groups=groups):
                    self.deliveries |= {(group, index) for group in groups}
                case LetterAgain(group=group, index=index) | KeptEventAdded(group=group, index=index):
                    self.deliveries.add((group, index))
                case DeliverySettled(group=group, index=index):
                    self.deliveries.discard((group, index))
                case EventGone(index=index):
                    assert index not in self.hand.machine.events
        return facts

    # -- entries -------------------------------------------------------------------------------------------------------

    @rule(groups=st.lists(GROUPS, max_size=2), past=st.booleans(), events=st.lists(PUBLISHING, max_size=4))
    def publish(self, groups: list[tuple[str, str]], past: bool, events: list[Publishing]) -> None:
        new = [
            new_event(event.id, event.type, key=event.key, data=event.data, keep_ms=event.keep_ms, time=event.time)
            for event in events
        ]
        facts = self.both(lambda hand: hand.publish(*new, groups=groups, past=past))
        now = self.hand.led_ms
        self.known = {id: known for id, known in self.known.items() if now - known[0] <= DEDUP_MS}
        for name, pattern in groups:
            if name not in self.groups:
                self.group_count += 1
                self.groups[name] = ModelGroup(self.group_count, {pattern: now}, now)
                self.model_begin(name, past)
            self.groups[name].patterns.setdefault(pattern, now)
        published = [fact for fact in facts if isinstance(fact, EventPublished)]
        for place, (event, fact) in enumerate(zip(events, published, strict=True)):
            assert fact == self.model_publish(event, self.hand.index * 4096 + place)

    def model_begin(self, name: str, past: bool) -> None:
        for event in self.events.values():
            kept = self.hand.led_ms < event.led_ms + event.keep_ms
            if past and kept and self.groups[name].means(event.type):
                event.waiting.add(name)

    def model_publish(self, event: Publishing, index: int) -> EventPublished:
        if event.id in self.known:
            _, first, content, groups = self.known[event.id]
            return published("duplicate" if content == event else "conflict", first, groups)
        waiting = {name for name, group in self.groups.items() if group.means(event.type)}
        self.known[event.id] = self.hand.led_ms, index, event, len(waiting)
        if waiting or event.keep_ms:
            keep_ms = min(event.keep_ms, MAX_AGE_MS)
            self.events[index] = ModelEvent(event.type, self.hand.led_ms, keep_ms, waiting)
        return published("new", index, len(waiting))

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data(), code=st.sampled_from(OutcomeCode))
    def outcome(self, data: st.DataObject, code: OutcomeCode) -> None:
        group, index = data.draw(st.sampled_from(sorted(self.deliveries)))
        self.both(lambda hand: hand.outcome(group, index, code, "503"))
        if code in (OutcomeCode.FAILED, OutcomeCode.DIED):
            return
        name, event = self.name_of(group), self.events[index]
        event.waiting.remove(name)
        if code is not OutcomeCode.ACKED:
            event.dead[name] = self.hand.led_ms
        self.settle(index)

    @rule(group=st.integers(0, 5), place=st.integers(0, 5), code=st.sampled_from(OutcomeCode))
    def note_of_something_unknown(self, group: int, place: int, code: OutcomeCode) -> None:
        index = 4096 * 1000 + place
        assert self.both(lambda hand: hand.outcome(group, index, code)) == []

    @precondition(lambda self: self.letters())
    @rule(data=st.data(), again=st.booleans())
    def decide_on_a_letter(self, data: st.DataObject, again: bool) -> None:
        name, index = data.draw(st.sampled_from(self.letters()))
        letter = self.groups[name].number, index
        del self.events[index].dead[name]
        if again:
            self.both(lambda hand: hand.again(letter))
            self.events[index].waiting.add(name)
        else:
            self.both(lambda hand: hand.drop(letter))
            self.settle(index)

    @rule(name=st.sampled_from(NAMES))
    def forget(self, name: str) -> None:
        self.both(lambda hand: hand.forget(name))
        self.model_forget(name)

    @rule(name=st.sampled_from(NAMES), pattern=st.sampled_from(["order.*", ">"]))
    def seen(self, name: str, pattern: str) -> None:
        self.both(lambda hand: hand.seen(name, pattern))
        if name in self.groups:
            group, now = self.groups[name], self.hand.led_ms
            group.seen_ms = now
            if pattern in group.patterns:
                group.patterns[pattern] = now
            group.patterns = {text: last for text, last in group.patterns.items() if now - last <= PATTERN_TTL_MS}

    @rule()
    def expire(self) -> None:
        self.both(lambda hand: hand.expire())
        now = self.hand.led_ms
        self.known = {id: known for id, known in self.known.items() if now - known[0] <= DEDUP_MS}
        for index, event in list(self.events.items()):
            if now - event.led_ms > MAX_AGE_MS:
                event.waiting.clear()
            event.dead = {name: since for name, since in event.dead.items() if now - since <= MAX_AGE_MS}
            self.settle(index)
        for name, group in list(self.groups.items()):
            if now - group.seen_ms > GROUP_TTL_MS:
                self.model_forget(name)

    @rule(seconds=st.integers(1, 50))
    def time_passes(self, seconds: int) -> None:
        self.hand.led_ms += seconds * 1000
        self.twin.led_ms = self.hand.led_ms

    @rule()
    def twin_begins_with_its_records(self) -> None:
        self.twin.machine = self.twin.loaded()

    @rule(kind=st.sampled_from([*EventEntryKind, 0, 1, 2, 99]), data=st.binary(max_size=20))
    def garbage(self, kind: int, data: bytes) -> None:
        if kind != EventEntryKind.EXPIRE:
            before = dict(self.hand.records.everything)
            self.both(lambda hand: hand.apply(kind, b"\xc1" + data))
            assert self.hand.records.everything == before

    # -- the model -----------------------------------------------------------------------------------------------------

    def name_of(self, number: int) -> str:
        return next(name for name, group in self.groups.items() if group.number == number)

    def letters(self) -> list[tuple[str, int]]:
        return sorted((name, index) for index, event in self.events.items() for name in event.dead)

    def settle(self, index: int) -> None:
        event = self.events[index]
        if not event.waiting and not event.dead and self.hand.led_ms >= event.led_ms + event.keep_ms:
            del self.events[index]

    def model_forget(self, name: str) -> None:
        self.groups.pop(name, None)
        for index, event in list(self.events.items()):
            if name in event.waiting or name in event.dead:
                event.waiting.discard(name)
                event.dead.pop(name, None)
                self.settle(index)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def groups_are_those_of_the_model(self) -> None:
        machine = self.hand.machine
        assert {
            name: ModelGroup(group.number, dict(group.patterns), group.seen_ms)
            for name, group in machine.groups.items()
        } == self.groups

    @invariant()
    def each_group_waits_for_its_events_until_they_are_acked(self) -> None:
        machine = self.hand.machine
        numbers = {name: group.number for name, group in self.groups.items()}
        assert {index: (event.waiting, event.dead) for index, event in machine.events.items()} == {
            index: (frozenset(map(numbers.__getitem__, event.waiting)), frozenset(map(numbers.__getitem__, event.dead)))
            for index, event in self.events.items()
        }
        waiting = {(group, index) for index, event in machine.events.items() for group in event.waiting}
        assert self.deliveries == waiting
        assert machine.failures.keys() <= waiting

    @invariant()
    def figures_are_those_of_the_events(self) -> None:
        machine = self.hand.machine
        assert machine.size_bytes == sum(event.size_bytes for event in machine.events.values())
        for number in (group.number for group in machine.groups.values()):
            waiting = [event for event in machine.events.values() if number in event.waiting]
            assert machine.waiting_count(number) == len(waiting)
            assert machine.waiting_bytes(number) == sum(event.size_bytes for event in waiting)
            assert machine.oldest_led_ms(number) == (waiting[0].led_ms if waiting else None)
            letters = {index for (group, index), letter in machine.dead.items() if group == number and letter.holds}
            assert machine.held_keys(number) == {machine.events[index].key for index in letters} - {""}

    @invariant()
    def each_stored_event_has_its_payload_and_no_other_is_left(self) -> None:
        payloads = {key for key in self.hand.records.everything if key.startswith(PAYLOAD)}
        assert payloads == {payload_key(index) for index in self.events}

    @invariant()
    def a_loaded_machine_is_an_equal_one(self) -> None:
        assert self.twin.records.everything == self.hand.records.everything
        assert shown(self.hand.loaded()) == shown(self.hand.machine) == shown(self.twin.machine)

    @invariant()
    def it_is_empty_when_it_has_no_events(self) -> None:
        assert self.hand.machine.is_empty(self.hand.records) is (not self.events)


def published(verdict: str, index: int, groups: int) -> EventPublished:
    return EventPublished(PublishVerdict(verdict), index, groups)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


@given(st.sampled_from(EventEntryKind), st.recursive(
    st.none() | st.integers(0, 9000) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=5), max_leaves=12,
))  # fmt: skip
def test_any_array_as_an_entry_leaves_an_equal_machine(kind: EventEntryKind, content: object) -> None:
    hand = MachineByHand()
    hand.publish(new_event("1", key="k"), groups=[("billing", ">")])
    hand.outcome(1, 4096, OutcomeCode.FAILED)
    hand.apply(kind, msgpack.packb(content))
    assert shown(hand.loaded()) == shown(hand.machine)
