"""What an entry may not do to a journal's events: bounds, and entries that make no sense."""

import msgpack
import pytest

from gossipreg.events.entries import (
    MAX_EVENTS,
    MAX_GROUP_PATTERNS,
    MAX_GROUPS,
    MAX_REASON_BYTES,
    EventEntryKind,
    NewEvent,
    OutcomeCode,
    encode_publish,
)
from gossipreg.events.facts import AttemptNoted, EventAdded, GroupAdded
from gossipreg.events.stored_events import MAX_GROUP_NUMBER, NEXT_GROUP
from tests.events.machines import MachineByHand, new_event, shown


def test_a_journal_has_at_most_so_many_groups() -> None:
    hand = MachineByHand()
    hand.publish(groups=[(f"g{number}", ">") for number in range(MAX_GROUPS + 5)])
    assert len(hand.machine.groups) == MAX_GROUPS
    hand.forget("g7")
    assert hand.publish(groups=[("late", ">"), ("too-late", ">")]) == [GroupAdded(MAX_GROUPS + 1, "late")]
    assert shown(hand.loaded()) == shown(hand.machine)


def test_a_journal_that_has_given_all_numbers_adds_no_group() -> None:
    hand = MachineByHand()
    hand.records.put(NEXT_GROUP, MAX_GROUP_NUMBER.to_bytes(5, "big"))
    hand.machine = hand.loaded()
    assert hand.publish(groups=[("last", ">"), ("late", ">")]) == [GroupAdded(MAX_GROUP_NUMBER, "last")]
    hand.machine = hand.loaded()
    assert hand.publish(new_event("1"), groups=[("late", ">")])[-1] == EventAdded(8192, (MAX_GROUP_NUMBER,))


def test_a_group_has_at_most_so_many_patterns() -> None:
    hand = MachineByHand()
    hand.publish(groups=[("g", *(f"type{number}" for number in range(MAX_GROUP_PATTERNS + 5)))])
    assert len(hand.machine.groups["g"].patterns) == MAX_GROUP_PATTERNS
    hand.publish(groups=[("g", "one.more")])
    assert "one.more" not in hand.machine.groups["g"].patterns


@pytest.mark.parametrize(
    "group", [("", ">"), ("g" * 256, ">"), ("\u00e9" * 128, ">"), ("g",), ("g", "a..b"), ("g", ">.a")]
)
def test_a_group_without_a_name_or_a_pattern_is_not_added(group: tuple[str, ...]) -> None:
    hand = MachineByHand()
    assert hand.publish(groups=[group]) == []
    assert len(hand.records) == 0


def test_a_pattern_without_form_leaves_the_others() -> None:
    hand = MachineByHand()
    hand.publish(groups=[("g", "a..b", "order.*")])
    assert list(hand.machine.groups["g"].patterns) == ["order.*"]


def test_a_reason_is_cut_between_characters() -> None:
    hand = MachineByHand()
    hand.publish(new_event("1"), groups=[("g", ">")])
    assert hand.outcome(1, 4096, OutcomeCode.FAILED, "x" + "\u00e9" * MAX_REASON_BYTES) == [AttemptNoted(1, 4096)]
    assert hand.machine.failures[1, 4096].text == "x" + "\u00e9" * (MAX_REASON_BYTES // 2 - 1)


def test_an_entry_with_too_many_events_changes_nothing() -> None:
    hand = MachineByHand()
    events = tuple(new_event(str(place)) for place in range(MAX_EVENTS + 1))
    assert hand.apply(EventEntryKind.PUBLISH, encode_publish((), events)) == []
    assert len(hand.records) == 0
    assert len(hand.publish(*events[:-1])) == MAX_EVENTS


@pytest.mark.parametrize(
    "bad",
    [b"", b"\xc1", msgpack.packb([1] * 8), msgpack.packb(["1", "s", "t", None, "", "", "", 5]), msgpack.packb([]),
     msgpack.packb(["1", "s", "t", None, "", "", "", [["partitionkey", 7]]]), msgpack.packb({"id": 1})],
)  # fmt: skip
def test_an_entry_with_one_bad_event_changes_nothing(bad: bytes) -> None:
    hand = MachineByHand()
    assert hand.publish(new_event("1"), NewEvent(bad), groups=[("g", ">")]) == []
    assert len(hand.records) == 0


@pytest.mark.parametrize("kind", [*EventEntryKind, 0, 1, 2, 77])
@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\xc0", msgpack.packb([[1]]), msgpack.packb([[-1, -1, 0, ""]]), msgpack.packb({"a": 1}),
             msgpack.packb([["g", 1]]), msgpack.packb([[1, 4096, 9, ""]]), msgpack.packb([[1 << 63, 1 << 63, 0, ""]])],
)  # fmt: skip
def test_an_entry_without_sense_changes_nothing(kind: int, data: bytes) -> None:
    hand = MachineByHand()
    hand.publish(new_event("1"), groups=[("g", ">")])
    before = dict(hand.records.everything)
    assert hand.apply(kind, data) == []
    assert hand.records.everything == before


def test_later_elements_of_an_entry_are_ignored() -> None:
    hand = MachineByHand()
    event = new_event("1")
    data = msgpack.packb([[["g", [">"], False, "new"]], [[event.data, 0, "new"]], "new"])
    assert hand.apply(EventEntryKind.PUBLISH, data)[-1] == EventAdded(4096, (1,))
