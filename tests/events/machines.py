"""A machine whose entries a test writes by hand, and everything of a machine that can be compared."""

from collections.abc import Iterable

from gossipreg.events.cloud_event import encode_event, make_event
from gossipreg.events.entries import (
    EXPIRE_DATA,
    DeliveryNote,
    EventEntryKind,
    NewEvent,
    NewGroup,
    OutcomeCode,
    encode_forget,
    encode_letters,
    encode_outcomes,
    encode_publish,
    encode_seen,
)
from gossipreg.events.facts import EventFact, EventPublished, PublishVerdict
from gossipreg.events.machine import EventsMachine
from gossipreg.events.stored_events import PAYLOAD, payload_key
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import NO_BALLOT, LogEntry
from gossipreg.journal.state import Records


def new_event(
    id: str, type: str = "order.created", *, key: str = "", data: bytes = b"x", source: str = "/shop", keep_ms: int = 0,
    time: str = "",
) -> NewEvent:  # fmt: skip
    extensions = {"partitionkey": key} if key else {}
    return NewEvent(encode_event(make_event(id, source, type, data, extensions=extensions, time=time)), keep_ms)


class RememberedRecords(Records):
    """Records that also show the values of large ones, which a state machine never reads."""

    def __init__(self) -> None:
        super().__init__({})
        self.everything: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        super().put(key, value)
        self.everything[key] = value

    def remove(self, key: bytes) -> None:
        super().remove(key)
        self.everything.pop(key, None)

    def payload(self, index: int) -> bytes | None:
        """Of this event."""
        return self.everything.get(payload_key(index))


class MachineByHand:
    """Applies entries to a machine, and keeps its records and its led time."""

    def __init__(self, tuning: EventsTuning | None = None) -> None:
        self.tuning = tuning or EventsTuning()
        self.machine = EventsMachine(self.tuning)
        self.records = RememberedRecords()
        self.machine.load(self.records)
        self.index = 0
        self.led_ms = 0

    def apply(self, kind: int, data: bytes) -> list[EventFact]:
        self.index += 1
        return list(self.machine.apply(LogEntry(self.index, NO_BALLOT, self.led_ms, kind, data), self.records))

    def publish(self, *events: NewEvent, groups: Iterable[tuple[str, ...]] = (), past: bool = False) -> list[EventFact]:
        """Each group: its name, and patterns."""
        added = tuple(NewGroup(group[0], group[1:], past) for group in groups)
        return self.apply(EventEntryKind.PUBLISH, encode_publish(added, events))

    def published(self, *events: NewEvent) -> list[int]:
        """The indexes of these new events."""
        facts = [fact for fact in self.publish(*events) if isinstance(fact, EventPublished)]
        assert all(fact.verdict is PublishVerdict.NEW for fact in facts)
        return [fact.index for fact in facts]

    def outcome(self, group: int, index: int, code: OutcomeCode, text: str = "") -> list[EventFact]:
        return self.apply(EventEntryKind.OUTCOMES, encode_outcomes((DeliveryNote(group, index, code, text),)))

    def ack(self, group: int, index: int) -> list[EventFact]:
        return self.outcome(group, index, OutcomeCode.ACKED)

    def again(self, *letters: tuple[int, int]) -> list[EventFact]:
        return self.apply(EventEntryKind.DEAD_AGAIN, encode_letters(letters))

    def drop(self, *letters: tuple[int, int]) -> list[EventFact]:
        return self.apply(EventEntryKind.DEAD_DROPPED, encode_letters(letters))

    def forget(self, name: str, reason: str = "by hand") -> list[EventFact]:
        return self.apply(EventEntryKind.FORGET_GROUP, encode_forget(((name, reason),)))

    def seen(self, name: str, *patterns: str) -> list[EventFact]:
        return self.apply(EventEntryKind.SEEN_GROUPS, encode_seen((NewGroup(name, patterns),)))

    def expire(self) -> list[EventFact]:
        return self.apply(EventEntryKind.EXPIRE, EXPIRE_DATA)

    def loaded(self) -> EventsMachine:
        """Another machine that begins with the records of this one."""
        machine = EventsMachine(self.tuning)
        small = {key: value for key, value in self.records.everything.items() if not key.startswith(PAYLOAD)}
        machine.load(Records(small))
        return machine


def shown(machine: EventsMachine) -> dict[str, object]:
    """All that a machine shows."""
    numbers = [group.number for group in machine.groups.values()]
    return {
        "groups": list(machine.groups.items()), "by number": [machine.group(number) for number in numbers],
        "events": list(machine.events.items()), "dead": machine.dead, "failures": machine.failures,
        "size": machine.size_bytes, "ids": (machine.known_ids, machine.known_ids_since_ms),
        "waiting": [
            (
                machine.waiting_count(number), machine.waiting_bytes(number), machine.oldest_led_ms(number),
                machine.waiting_indexes(number), machine.held_keys(number),
            )
            for number in numbers
        ],
    }  # fmt: skip
