"""Delivery at the leader: keys, windows, outcomes, one rule at a time."""

from itertools import pairwise

import pytest

from gossipreg.events.entries import EventEntryKind, OutcomeCode, decode_outcomes, encode_forget, encode_letters
from gossipreg.events.messages import MAX_BATCH_BYTES, DeliveryResult
from gossipreg.events.tuning import EventsTuning
from tests.events.dispatch_members import node
from tests.events.dispatch_world import DispatchWorld

ACKED, REJECTED, FAILED, DIED = (
    *(DeliveryResult.ACKED, DeliveryResult.REJECTED),
    *(DeliveryResult.FAILED, DeliveryResult.DIED),
)
NO_SUBSCRIBER, NO_ROOM, UNREACHABLE = DeliveryResult.NO_SUBSCRIBER, DeliveryResult.NO_ROOM, DeliveryResult.UNREACHABLE


# -- keys --------------------------------------------------------------------------------------------------------------


def test_next_event_of_a_key_follows_the_ack_not_the_commit() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    assert world.indexes() == [first]
    world.ack()
    assert world.indexes() == [first, second]
    assert [note.index for note in decode_outcomes(world.proposed[0].data)] == [first]


def test_events_without_a_key_do_not_wait_for_each_other() -> None:
    world = DispatchWorld("a")
    assert world.publish("", "", "") == world.indexes()


def test_a_failed_event_blocks_its_key_alone() -> None:
    world = DispatchWorld("a")
    first, second, other = world.publish("k", "k", "l")
    world.answer(FAILED, ("work", first))
    world.ack(("work", other))
    assert world.indexes() == [first, other]
    world.wait(1.0)
    assert world.indexes() == [first, other, first]
    world.ack()
    assert world.indexes()[-1] == second


def test_a_dead_letter_lets_its_key_go_on() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.answer(REJECTED, ("work", first))
    assert world.indexes() == [first, second]
    world.commit_all()
    assert world.codes(first) == [OutcomeCode.DEAD]
    assert (1, first) in world.machine.dead


def test_a_dead_letter_that_holds_its_key_holds_it() -> None:
    world = DispatchWorld("a")
    first, second, other = world.publish("k", "k", "l")
    world.answer(REJECTED, ("work", first), hold=1)
    world.commit_all()
    assert world.codes(first) == [OutcomeCode.DEAD_HOLDS]
    world.publish("k")
    world.wait(7200.0)
    assert world.indexes() == [first, other]
    world.apply(EventEntryKind.DEAD_DROPPED, encode_letters(((1, first),)))
    assert world.indexes() == [first, other, second]


def test_a_held_key_is_held_at_the_next_leader_too() -> None:
    world = DispatchWorld("a")
    first, _ = world.publish("k", "k")
    world.answer(REJECTED, ("work", first), hold=1)
    world.commit_all()
    world.take_over()
    assert world.indexes() == [first]


def test_a_letter_that_is_retried_goes_before_what_it_held() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.answer(REJECTED, ("work", first), hold=1)
    world.commit_all()
    world.apply(EventEntryKind.DEAD_AGAIN, encode_letters(((1, first),)))
    world.read_all()
    assert world.indexes() == [first, first]
    assert world.sent[-1][1].attempt == 1
    world.ack()
    assert world.indexes() == [first, first, second]


def test_a_letter_without_a_key_holds_nothing() -> None:
    world = DispatchWorld("a")
    (first,) = world.publish("")
    world.answer(REJECTED, hold=1)
    world.commit_all()
    assert world.codes(first) == [OutcomeCode.DEAD]


def test_a_retried_letter_waits_for_the_event_that_is_under_way() -> None:
    world = DispatchWorld("a")
    first, second, third = world.publish("k", "k", "k")
    world.answer(REJECTED, ("work", first))
    world.commit_all()
    world.apply(EventEntryKind.DEAD_AGAIN, encode_letters(((1, first),)))
    assert world.indexes() == [first, second]
    world.ack()
    world.read_all()
    assert world.indexes() == [first, second, first]
    world.ack()
    assert world.indexes()[-1] == third


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_member_gets_first_window_until_it_tells_its_own() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=3))
    world["a"].room = 5
    indexes = world.publish(*[""] * 20)
    assert world.indexes() == indexes[:3]
    world.ack(("work", indexes[0]))
    assert world.indexes() == indexes[:6]


def test_the_member_with_the_fewest_unanswered_gets_the_next() -> None:
    world = DispatchWorld("a", "b")
    world.publish(*[""] * 6)
    assert len(world.sent_to("a")) == len(world.sent_to("b")) == 3


def test_a_type_that_nobody_takes_holds_up_no_other() -> None:
    world = DispatchWorld("a")
    world["a"].patterns = {"work": ["order.*"]}
    world.members_changed()
    (stock,) = world.publish("", type="stock.moved")
    (order,) = world.publish("", type="order.paid")
    assert world.indexes() == [order]
    world["a"].patterns = {"work": [">"]}
    world.members_changed()
    assert world.indexes() == [order, stock]


@pytest.mark.parametrize("why", [NO_SUBSCRIBER, NO_ROOM, UNREACHABLE])
def test_a_refusal_is_no_attempt_and_another_gets_it_at_once(why: DeliveryResult) -> None:
    world = DispatchWorld("a", "b")
    world["a"].refuses = {"work": why}
    indexes = [*world.publish(*[""] * 4)]
    world.deliver()
    world.hear_all()
    assert set(world.sent_to("b")) == {*indexes}
    assert {delivery.attempt for _, delivery in world.sent} == {1}
    assert not world.proposed


def test_a_member_that_refused_gets_nothing_until_it_opens() -> None:
    world = DispatchWorld("a")
    world["a"].refuses = {"work": NO_SUBSCRIBER}
    (first,) = world.publish("")
    world.deliver()
    world.hear_all()
    world.publish("")
    world.wait(7200.0)
    assert world.indexes() == [first]
    world["a"].refuses = {}
    world["a"].open()
    world.hear_all()
    assert len(world.indexes()) == 3


def test_a_member_that_refused_is_asked_with_one_delivery() -> None:
    world = DispatchWorld("a")
    world["a"].refuses = {"work": NO_SUBSCRIBER}
    world.publish(*[""] * 10)
    world.deliver()
    world.hear_all()
    assert len(world.sent) == 4
    world.members_changed()
    assert len(world.sent) == 5
    world["a"].refuses = {}
    world.deliver()
    world.ack()
    assert len(world.sent) == 14


def test_a_closed_port_is_tried_after_a_wait_that_doubles() -> None:
    world = DispatchWorld("a")
    world["a"].refuses = {"work": UNREACHABLE}
    world.publish("")
    tries = []
    for _ in range(7):
        tries.append(world.now)
        world.deliver()
        world.hear_all()
        before = len(world.sent)
        world.wait(world.timers.next_due() - world.now)
        assert len(world.sent) == before + 1
    waits = [after - before for before, after in pairwise(tries)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 30])


def test_deliveries_in_flight_bound_the_whole_journal() -> None:
    world = DispatchWorld("a", "b", tuning=EventsTuning(deliveries_in_flight=5, first_window=64))
    indexes = world.publish(*[""] * 20)
    assert sorted(world.indexes()) == indexes[:5]
    world.ack(("work", indexes[0]))
    assert sorted(world.indexes()) == indexes[:6]


# -- outcomes ----------------------------------------------------------------------------------------------------------


def test_acks_while_an_entry_is_under_way_share_the_next() -> None:
    world = DispatchWorld("a")
    indexes = world.publish("", "", "", "")
    world.ack(("work", indexes[0]))
    world.ack(("work", indexes[1]))
    world.ack(("work", indexes[2]))
    assert len(world.proposed) == 1
    world.commit()
    assert [note.index for note in decode_outcomes(world.proposed[0].data)] == indexes[1:3]


def test_outcomes_wait_no_longer_than_the_delay() -> None:
    world = DispatchWorld("a")
    indexes = world.publish("", "")
    world.ack(("work", indexes[0]))
    world.ack(("work", indexes[1]))
    world.wait(0.004)
    assert len(world.proposed) == 1
    world.wait(0.002)
    assert len(world.proposed) == 2


def test_a_refused_outcome_is_proposed_again_and_not_lost() -> None:
    world = DispatchWorld("a")
    indexes = world.publish("", "")
    world.refuses_entries = True
    world.ack()
    assert not world.proposed
    world.refuses_entries = False
    world.wait(0.9)
    assert not world.proposed
    world.wait(0.2)
    world.commit_all()
    assert [world.codes(index) for index in indexes] == [[OutcomeCode.ACKED], [OutcomeCode.ACKED]]
    assert not world.machine.events
    assert len(world.timers) == 0


@pytest.mark.wide
def test_a_journal_that_does_not_commit_gets_no_more_deliveries() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1000))
    world["a"].room = 10_000
    for _ in range(24):
        world.publish(*[""] * 1000)
    for _ in range(10):
        world.ack()
    assert 16_384 <= world.dispatch.acting < 24_000 - 1000
    before = len(world.sent)
    world.commit_all()
    assert len(world.sent) > before


def test_attempts_go_on_where_the_last_leader_stopped() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world.answer(FAILED)
    world.commit_all()
    world.take_over()
    assert world.sent[-1][1].index == index
    assert world.sent[-1][1].attempt == 2


def test_an_uncommitted_outcome_means_nothing_to_the_next_leader() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world.ack()
    world.take_over()
    assert world.indexes() == [index, index]


def test_a_late_ack_to_a_new_leader_counts() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.deliver()
    world.take_over()
    world["a"].inbox.clear()  # the stream is slow
    world["a"].finish(("work", first), ACKED)
    world.hear_all()
    world.read_all()
    assert world.indexes() == [first, first, second]
    world.commit_all()
    assert world.codes(first) == [OutcomeCode.ACKED]


def test_a_failure_of_an_older_leader_counts_for_nothing() -> None:
    world = DispatchWorld("a")
    world.publish("")
    world.deliver()
    world["a"].finish(("work", 4096), FAILED)
    world.take_over()
    world.hear_all()
    assert not world.proposed


# -- groups ------------------------------------------------------------------------------------------------------------


def test_a_forgotten_group_frees_what_its_members_had() -> None:
    world = DispatchWorld("a")
    world.publish("", "k", "k")
    assert world.dispatch.acting == 2
    world.apply(EventEntryKind.FORGET_GROUP, encode_forget((("work", "unused"),)))
    assert world.dispatch.acting == 0
    assert [log.kind for log in world.logs] == ["group_forgotten"]
    world.ack()
    assert not world.proposed


def test_a_broadcast_goes_to_every_listener_once_and_waits_for_none() -> None:
    world = DispatchWorld("a", "b", "c")
    for name in ("a", "b"):
        world[name].patterns[""] = ["order.>"]
    (stored,) = world.publish("")
    (unstored,) = world.publish("", groups=(), type="order.lost")
    heard = [(to, delivery.index) for to, delivery in world.broadcasts]
    assert sorted(heard) == [(node(name), index) for name in "ab" for index in (stored, unstored)]
    assert all(delivery.group == "" for _, delivery in world.broadcasts)


def test_many_events_for_a_member_are_few_messages() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1000))
    world.publish(*[""] * 100)
    assert len(world.messages) == 1
    assert len(world.messages[0][1].deliveries) == 100


def test_large_events_are_split_over_messages() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1000))
    world.publish_large(10, 100_000)
    sizes = [sum(len(delivery.event) for delivery in message.deliveries) for _, message in world.messages]
    assert len(world.sent) == 10
    assert all(size <= MAX_BATCH_BYTES for size in sizes)


def test_lag_and_the_group_to_blame() -> None:
    world = DispatchWorld("a")
    world.publish("", "", groups=("work", "nobody"))
    world.now += 3.0
    world.ack(("work", 4096))
    world.commit_all()
    lag = {lag.group: lag for lag in world.dispatch.lag(world.now)}
    assert (lag["work"].pending, lag["work"].unanswered, lag["work"].oldest_ms) == (1, 1, 3000)
    assert (lag["nobody"].pending, lag["nobody"].unanswered) == (2, 0)
    assert world.dispatch.to_blame() == "nobody"


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_paused_leader_begins_nothing_and_notes_what_ends() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.do(world.dispatch.pause(world.now))
    world.publish("")
    world.ack()
    assert world.indexes() == [first]
    assert world.dispatch.acting == 1
    world.commit_all()
    assert world.dispatch.acting == 0
    world.do(world.dispatch.resume(world.now))
    assert second in world.indexes()
    assert len(world.indexes()) == 3


def test_an_idle_leader_has_no_timer() -> None:
    world = DispatchWorld("a")
    assert len(world.timers) == 0
    world.publish("", "k", "k")
    for _ in range(3):
        world.ack()
        world.commit_all()
    assert len(world.timers) == 0


def test_an_ended_leader_has_no_timer() -> None:
    world = DispatchWorld("a")
    world.publish("", "k")
    world.answer(FAILED)
    assert len(world.timers)
    world.dispatch.end()
    assert len(world.timers) == 0
