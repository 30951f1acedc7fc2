"""What the entries of a journal make of its events: histories that break naive versions, one by one."""

import pytest

from gossipreg.events.entries import OutcomeCode
from gossipreg.events.facts import (
    AttemptNoted,
    DeliverySettled,
    EventAdded,
    EventGone,
    EventPublished,
    EventsExpired,
    GroupAdded,
    GroupForgotten,
    GroupPatternsChanged,
    KeptEventAdded,
    KeyReleased,
    LetterAgain,
    PublishVerdict,
)
from gossipreg.events.tuning import EventsTuning
from tests.events.machines import MachineByHand, new_event, shown

DAY_MS = 86_400_000
BILLING = ("billing", "order.>")
MAILER = ("mailer", "order.created")


def with_groups(*groups: tuple[str, ...], tuning: EventsTuning | None = None) -> MachineByHand:
    hand = MachineByHand(tuning)
    hand.publish(groups=groups)
    return hand


# -- case 9: each group gets every event -------------------------------------------------------------------------------


def test_a_group_added_in_the_same_entry_gets_the_event() -> None:
    hand = MachineByHand()
    event = new_event("1")
    assert hand.publish(event, groups=[BILLING]) == [
        GroupAdded(1, "billing"), EventPublished(PublishVerdict.NEW, 4096, 1), EventAdded(4096, (1,)),
    ]  # fmt: skip
    assert hand.records.payload(4096) == event.data


def test_a_group_that_comes_later_begins_at_its_entry() -> None:
    hand = with_groups(BILLING)
    (first,) = hand.published(new_event("1"))
    hand.publish(groups=[MAILER])
    (second,) = hand.published(new_event("2"))
    assert hand.machine.events[first].waiting == {1}
    assert hand.machine.events[second].waiting == {1, 2}
    assert first < hand.machine.groups["mailer"].added_index < second


def test_an_event_stays_until_each_of_its_groups_has_acked() -> None:
    hand = with_groups(BILLING, MAILER)
    (index,) = hand.published(new_event("1"))
    assert hand.ack(1, index) == [DeliverySettled(1, index)]
    assert hand.ack(1, index) == []
    assert hand.records.payload(index) is not None
    assert hand.ack(2, index) == [DeliverySettled(2, index), EventGone(index)]
    assert hand.records.payload(index) is None
    assert hand.ack(2, index) == []
    assert hand.machine.is_empty(hand.records)


def test_an_event_without_a_group_is_not_stored() -> None:
    hand = with_groups(MAILER)
    assert hand.publish(new_event("1", "user.left")) == [EventPublished(PublishVerdict.NEW, 8192, 0)]
    assert hand.machine.is_empty(hand.records)


def test_a_group_gets_patterns_beside_those_it_has() -> None:
    hand = with_groups(("billing", "order.paid"))
    assert hand.publish(new_event("1"), groups=[("billing", "order.created")])[-1] == EventAdded(8192, (1,))
    assert list(hand.machine.groups["billing"].patterns) == ["order.paid", "order.created"]


def test_a_group_whose_patterns_change_says_so() -> None:
    hand = with_groups(("billing", "order.paid"))
    changed = GroupPatternsChanged(1, "billing")
    assert changed in hand.publish(new_event("1"), groups=[("billing", "order.created")])
    assert changed not in hand.publish(new_event("2"), groups=[("billing", "order.created")])
    assert hand.seen("billing", "order.paid") == []
    hand.led_ms += int(EventsTuning().pattern_ttl_s * 1000) + 1
    assert hand.seen("billing", "order.paid") == [changed]


def test_a_forgotten_group_comes_back_with_another_number() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1"))
    assert hand.forget("billing") == [
        DeliverySettled(1, index), EventGone(index), GroupForgotten(1, "billing", "by hand", 1),
    ]  # fmt: skip
    hand.machine = hand.loaded()
    assert hand.publish(groups=[BILLING]) == [GroupAdded(2, "billing")]
    assert hand.machine.waiting_count(2) == 0


# -- case 14: time is led time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["2029-11-30T00:00:00Z", "2023-11-30T00:00:00Z", ""])
def test_a_wall_clock_years_off_ages_nothing_and_hides_no_duplicate(clock: str) -> None:
    """The time that an event says is its publisher's: a new leader with another clock keeps what waits, and knows the
    ids."""
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1", time="2026-11-30T00:00:00Z"))
    hand.machine = hand.loaded()
    (other,) = hand.published(new_event("2", time=clock))
    assert hand.expire() == []
    assert hand.machine.waiting_indexes(1) == [index, other]
    again = hand.publish(new_event("1", time="2026-11-30T00:00:00Z"))
    assert again == [EventPublished(PublishVerdict.DUPLICATE, index, 1)]


def test_nothing_ages_while_led_time_stands_still() -> None:
    hand = with_groups(BILLING)
    hand.published(new_event("1"))
    before = dict(hand.records.everything)
    for _ in range(3):
        assert hand.expire() == []
    assert hand.records.everything == before


def test_a_group_without_an_instance_is_forgotten_after_its_ttl() -> None:
    hand = with_groups(BILLING, MAILER, tuning=EventsTuning(max_age_s=30 * 86_400))
    (index,) = hand.published(new_event("1"))
    hand.led_ms = 7 * DAY_MS
    assert hand.expire() == []
    hand.seen("mailer", "order.created")
    hand.led_ms += 1
    assert hand.expire() == [
        DeliverySettled(1, index), GroupForgotten(1, "billing", "no instance for 7 days", 1),
    ]  # fmt: skip
    assert hand.machine.events[index].waiting == {2}


def test_what_is_too_old_is_dropped_and_counted_once() -> None:
    hand = with_groups(BILLING, MAILER)
    old, handled = hand.published(new_event("1"), new_event("2", keep_ms=40 * DAY_MS))
    for group in (1, 2):
        hand.ack(group, handled)
    hand.led_ms = 7 * DAY_MS
    (young,) = hand.published(new_event("3"))
    for name in ("billing", "mailer"):
        hand.seen(name, "order.created")
    assert hand.expire() == [EventGone(handled)]
    hand.led_ms += 1
    assert hand.expire() == [
        DeliverySettled(1, old), DeliverySettled(2, old), EventGone(old), EventsExpired(1),
    ]  # fmt: skip
    assert list(hand.machine.events) == [young]


def test_a_dead_letter_is_kept_from_the_time_it_was_set_aside() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1", key="k"))
    hand.led_ms = 5 * DAY_MS
    hand.outcome(1, index, OutcomeCode.DEAD_HOLDS, "400")
    hand.seen("billing", "order.>")
    hand.led_ms = 12 * DAY_MS
    hand.seen("billing", "order.>")
    assert hand.expire() == []
    hand.led_ms += 1
    assert hand.expire() == [KeyReleased(1, "k"), EventGone(index), EventsExpired(1)]


def test_a_pattern_without_an_instance_goes_while_its_group_lives() -> None:
    hand = with_groups(("billing", "order.paid", "order.created"))
    hand.led_ms = 3_600_000
    hand.seen("billing", "order.paid")
    assert list(hand.machine.groups["billing"].patterns) == ["order.paid", "order.created"]
    hand.led_ms += 1
    hand.seen("billing", "order.paid", "user.left")
    assert list(hand.machine.groups["billing"].patterns) == ["order.paid"]
    assert hand.publish(new_event("1")) == [EventPublished(PublishVerdict.NEW, 4 * 4096, 0)]


def test_a_kept_event_goes_when_its_time_is_over() -> None:
    hand = with_groups(BILLING)
    acked, waits, unheard = hand.published(
        new_event("1", keep_ms=1000), new_event("2", keep_ms=1000), new_event("3", "user.left", keep_ms=1000)
    )
    assert hand.ack(1, acked) == [DeliverySettled(1, acked)]
    hand.led_ms = 999
    assert hand.expire() == []
    hand.led_ms = 1000
    assert hand.expire() == [EventGone(acked), EventGone(unheard)]
    assert hand.ack(1, waits) == [DeliverySettled(1, waits), EventGone(waits)]


def test_a_dead_letter_outlives_the_time_its_event_is_kept() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1", keep_ms=1000))
    hand.outcome(1, index, OutcomeCode.DEAD)
    hand.led_ms = 1000
    assert hand.expire() == []
    assert hand.drop((1, index)) == [EventGone(index)]


@pytest.mark.parametrize("loaded", [False, True])
def test_a_loaded_machine_drops_the_same_letters_in_the_same_order(loaded: bool) -> None:
    hand = with_groups(BILLING)
    first, second, third = hand.published(new_event("1"), new_event("2", key="b"), new_event("3", key="c"))
    for index in (third, second):
        hand.outcome(1, index, OutcomeCode.DEAD_HOLDS)
    hand.led_ms = 1
    hand.outcome(1, first, OutcomeCode.DEAD)
    hand.led_ms = 7 * DAY_MS + 1
    hand.seen("billing", "order.>")
    if loaded:
        hand.machine = hand.loaded()
    released = [KeyReleased(1, "b"), KeyReleased(1, "c")]
    assert hand.expire() == [*released, EventGone(second), EventGone(third), EventsExpired(2)]
    assert list(hand.machine.dead) == [(1, first)]


def test_a_new_group_may_begin_with_the_events_that_are_kept() -> None:
    hand = with_groups(BILLING)
    over, kept, _, _ = hand.published(
        new_event("1", keep_ms=1000),
        new_event("2", keep_ms=5000),
        new_event("3"),
        new_event("4", "user.left", keep_ms=5000),
    )
    hand.ack(1, kept)
    hand.led_ms = 1000
    assert hand.publish(groups=[MAILER], past=True) == [GroupAdded(2, "mailer"), KeptEventAdded(2, kept)]
    assert hand.machine.events[over].waiting == {1}
    hand.machine = hand.loaded()
    assert hand.publish(groups=[MAILER], past=True) == [], "it is not new any more"
    hand.led_ms = 5000
    hand.expire()
    assert hand.ack(2, kept) == [DeliverySettled(2, kept), EventGone(kept)]


# -- case 21: full -----------------------------------------------------------------------------------------------------


def test_the_group_to_blame_can_be_named() -> None:
    hand = with_groups(BILLING, ("forgotten-test", ">"))
    first, _ = hand.published(new_event("1", data=b"x" * 1000), new_event("2"))
    hand.led_ms = 5000
    hand.published(new_event("3"))
    hand.ack(1, first)
    assert [hand.machine.waiting_count(number) for number in (1, 2)] == [2, 3]
    assert hand.machine.waiting_bytes(2) == hand.machine.size_bytes > hand.machine.waiting_bytes(1) + 1000
    assert hand.machine.oldest_led_ms(2) == 0
    assert hand.machine.oldest_led_ms(3) is None


def test_forgetting_a_group_empties_the_journal() -> None:
    hand = with_groups(("gone", ">"))
    indexes = hand.published(*(new_event(str(place), key="k") for place in range(20)))
    hand.outcome(1, indexes[3], OutcomeCode.DEAD_HOLDS)
    facts = hand.forget("gone", "nobody needs it")
    assert facts[-1] == GroupForgotten(1, "gone", "nobody needs it", 20)
    assert KeyReleased(1, "k") in facts
    assert [fact.index for fact in facts if isinstance(fact, EventGone)] == indexes
    assert hand.machine.is_empty(hand.records)
    assert {key[:1] for key in hand.records.everything} == {b"N", b"I"}


# -- case 31: duplicate ids --------------------------------------------------------------------------------------------


def test_the_same_event_again_is_answered_with_the_first() -> None:
    hand = with_groups(BILLING)
    again = new_event("1", time="2026-05-31T12:00:00Z")
    facts = hand.publish(new_event("1"), again, new_event("1", data=b"other"), new_event("1", source="/other"))
    assert facts == [
        EventPublished(PublishVerdict.NEW, 8192, 1), EventPublished(PublishVerdict.DUPLICATE, 8192, 1),
        EventPublished(PublishVerdict.CONFLICT, 8192, 1), EventPublished(PublishVerdict.NEW, 8195, 1),
        EventAdded(8192, (1,)), EventAdded(8195, (1,)),
    ]  # fmt: skip
    hand.ack(1, 8192)
    hand.machine = hand.loaded()
    hand.publish(groups=[MAILER])
    assert hand.publish(again) == [EventPublished(PublishVerdict.DUPLICATE, 8192, 1)], "its groups, not those of now"


def test_an_id_is_remembered_for_its_time_after_the_event_is_gone() -> None:
    hand = MachineByHand()
    hand.publish(new_event("1"))
    hand.led_ms = 600_000
    assert hand.publish(new_event("1")) == [EventPublished(PublishVerdict.DUPLICATE, 4096, 0)]
    hand.led_ms = 600_001
    assert hand.publish(new_event("1")) == [EventPublished(PublishVerdict.NEW, 3 * 4096, 0)]


def test_at_most_so_many_ids_are_remembered_the_oldest_go() -> None:
    hand = MachineByHand(EventsTuning(dedup_ids=100))
    hand.publish(new_event("first"))
    hand.led_ms = 5
    hand.publish(*(new_event(str(place)) for place in range(100)))
    assert (hand.machine.known_ids, hand.machine.known_ids_since_ms) == (100, 5)
    first, known = hand.publish(new_event("first"), new_event("50"))
    assert first == EventPublished(PublishVerdict.NEW, 3 * 4096, 0)
    assert known == EventPublished(PublishVerdict.DUPLICATE, 2 * 4096 + 50, 0)
    assert hand.machine.known_ids == 1, "whole entries go, the newest never"
    assert shown(hand.loaded()) == shown(hand.machine)


def test_an_entry_with_more_ids_than_are_remembered_keeps_its_own() -> None:
    hand = MachineByHand(EventsTuning(dedup_ids=100))
    hand.publish(*(new_event(str(place)) for place in range(150)))
    assert hand.publish(new_event("7")) == [EventPublished(PublishVerdict.DUPLICATE, 4096 + 7, 0)]


def test_a_quiet_journal_forgets_old_ids_when_it_expires() -> None:
    hand = MachineByHand()
    hand.publish(new_event("1"))
    hand.led_ms = 600_001
    hand.expire()
    assert hand.machine.known_ids == 0
    assert len(hand.records) == 0


# -- dead letters ------------------------------------------------------------------------------------------------------


def test_attempts_survive_a_takeover_and_end_in_a_dead_letter() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1"))
    assert hand.outcome(1, index, OutcomeCode.FAILED, "503") == [AttemptNoted(1, index)]
    hand.outcome(1, index, OutcomeCode.DIED, "instance died")
    hand.machine = hand.loaded()
    failures = hand.machine.failures[1, index]
    assert (failures.attempts, failures.deaths, failures.text) == (2, 1, "instance died")
    hand.led_ms = 70
    assert hand.outcome(1, index, OutcomeCode.DEAD, "400") == [DeliverySettled(1, index)]
    letter = hand.machine.dead[1, index]
    assert (letter.reason, letter.attempts, letter.led_ms, letter.holds) == ("400", 3, 70, False)
    assert hand.machine.events[index].dead == {1}
    assert not hand.machine.failures


def test_a_letter_is_delivered_again_from_its_first_attempt_on() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1", key="k"))
    hand.outcome(1, index, OutcomeCode.FAILED, "503")
    hand.outcome(1, index, OutcomeCode.DEAD_HOLDS)
    assert hand.machine.dead[1, index].reason == "503"
    assert hand.machine.held_keys(1) == {"k"}
    assert hand.again((1, index), (1, index), (2, index), (1, index + 1)) == [
        KeyReleased(1, "k"), LetterAgain(1, index),
    ]  # fmt: skip
    assert not hand.machine.failures
    assert hand.machine.waiting_indexes(1) == [index]
    assert hand.ack(1, index) == [DeliverySettled(1, index), EventGone(index)]


def test_a_key_is_released_with_the_last_letter_that_holds_it() -> None:
    hand = with_groups(BILLING)
    first, second, free = hand.published(new_event("1", key="k"), new_event("2", key="k"), new_event("3"))
    for index in (first, second, free):
        hand.outcome(1, index, OutcomeCode.DEAD_HOLDS)
    assert hand.machine.held_keys(1) == {"k"}
    assert hand.drop((1, first), (1, free)) == [EventGone(first), EventGone(free)]
    assert hand.drop((1, second)) == [KeyReleased(1, "k"), EventGone(second)]
    assert hand.machine.held_keys(1) == frozenset()


def test_a_late_ack_settles_a_dead_letter() -> None:
    hand = with_groups(BILLING)
    (index,) = hand.published(new_event("1", key="k"))
    hand.outcome(1, index, OutcomeCode.DEAD_HOLDS)
    assert hand.ack(1, index) == [KeyReleased(1, "k"), EventGone(index)]
