"""Histories that break naive delivery: two instances at once, deadlock by back-pressure, poison, a rack that dies; and
what becomes of deliveries whose stream broke."""

from itertools import pairwise

import pytest

from gossipreg.events.backlog_feed import STEP
from gossipreg.events.entries import EventEntryKind, OutcomeCode, encode_letters
from gossipreg.events.messages import DeliveryResult
from gossipreg.events.tuning import EventsTuning
from tests.events.dispatch_members import Receiver, node
from tests.events.dispatch_world import DispatchWorld

ACKED, REJECTED, FAILED, DIED, UNREACHABLE = (
    *(DeliveryResult.ACKED, DeliveryResult.REJECTED, DeliveryResult.FAILED, DeliveryResult.DIED),
    DeliveryResult.UNREACHABLE,
)

# -- 10: one at a time per key and group, in order -------------------------------------------------------------------


def test_case_10b_a_wrong_verdict_does_not_reorder_a_key() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.deliver()
    paused = world["a"]
    world.members[node("b")] = b = Receiver(node("b"), {"work": [">"]})
    paused.seen_process = b""  # declared dead while it handles the first
    world.members_changed()
    assert world.sent_to("b") == [first]
    world.deliver()
    b.finish(("work", first), ACKED)
    world.hear_all()
    assert world.sent_to("b") == [first, second]
    paused.seen_process = b"boot-1"
    world.members_changed()
    paused.finish(("work", first), FAILED)  # it wakes, and is late
    world.hear_all()
    world.commit_all()
    assert world.indexes() == [first, first, second]
    assert world.codes(first) == [OutcomeCode.DIED, OutcomeCode.ACKED]


def test_case_10b_a_late_ack_of_a_member_given_up_counts() -> None:
    world = DispatchWorld("a", "b")
    (first,) = world.publish("k")
    world.deliver()
    holder = world.holder
    holder.seen_process = b""
    world.members_changed()
    assert world.indexes() == [first, first]
    holder.seen_process = b"boot-1"
    world.members_changed()
    holder.finish(("work", first), ACKED)
    world.hear_all()
    (second,) = world.publish("k")
    assert world.indexes() == [first, first, second]


def test_case_10c_a_new_leader_begins_a_key_with_its_oldest() -> None:
    world = DispatchWorld("a")
    first, second, third = world.publish("k", "k", "k")
    world.ack()
    world.commit_all()
    world.ack()  # of the second, and not committed
    world["a"].inbox.clear()
    world.take_over()
    assert world.sent[-1][1].index == second
    world.ack()  # the member remembers it
    world.read_all()
    assert world.sent[-1][1].index == third
    assert world.indexes().count(first) == 1


def test_case_10d_a_retried_letter_comes_after_what_went_on() -> None:
    world = DispatchWorld("a")
    first, second = world.publish("k", "k")
    world.answer(REJECTED)
    world.ack()
    world.commit_all()
    world.apply(EventEntryKind.DEAD_AGAIN, encode_letters(((1, first),)))
    world.read_all()
    assert world.indexes() == [first, second, first]


# -- 20: back-pressure -----------------------------------------------------------------------------------------------


def test_case_20_a_full_member_gets_nothing_and_its_answers_count() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1))
    world["a"].room = 1
    indexes = world.publish(*[""] * 50)
    for done in range(50):
        assert world.indexes() == indexes[: done + 1], "never more than it has room for"
        world.ack()
        world.commit_all()
    assert not world.machine.events


# -- 25: redelivery --------------------------------------------------------------------------------------------------


def test_case_25_poison_is_a_dead_letter_after_three_deaths() -> None:
    world = DispatchWorld(*"abcdefghij")
    (index,) = world.publish("")
    times = []
    while world.machine.events[index].waiting:
        times.append(world.now)
        world.kill_holder()
        world.commit_all()
        if world.dispatch.acting == 0:
            world.wait(min(world.timers.next_due() - world.now, 10.0))
    assert len(world.sent) == 3
    assert world.codes(index) == [OutcomeCode.DIED, OutcomeCode.DIED, OutcomeCode.DEAD]
    assert times[1] == times[0], "the first death: again at once"
    assert times[2] - times[1] == pytest.approx(2.0), "from the second on with backoff"
    assert [dict(log.fields)["index"] for log in world.logs] == [index]


def test_case_25_deaths_are_counted_across_leaders() -> None:
    world = DispatchWorld(*"abcdefghij")
    (index,) = world.publish("")
    for _ in range(3):
        world.kill_holder()
        world.commit_all()
        world.take_over()
    assert (1, index) in world.machine.dead


def test_case_25_a_slow_handler_is_not_delivered_again() -> None:
    world = DispatchWorld("a", "b")
    (index,) = world.publish("")
    world.wait(3000.0)
    assert world.indexes() == [index]


def test_case_25_closed_ports_and_absence_use_up_no_attempts() -> None:
    world = DispatchWorld("a")
    world["a"].refuses = {"work": UNREACHABLE}
    (index,) = world.publish("")
    for _ in range(200):
        world.deliver()
        world.hear_all()
        world.wait(30.0)
    world.deliver()
    world.hear_all()
    world.kill(world["a"])
    world.wait(3600.0)
    world["a"].refuses = {}
    world.start(world["a"])
    assert world.sent[-1][1].attempt == 1
    world.ack()
    world.commit_all()
    assert world.codes(index) == [OutcomeCode.ACKED]


def test_case_25_attempts_end_with_a_dead_letter() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    times = []
    for _ in range(10):
        times.append(world.now)
        world.answer(FAILED)
        world.commit_all()
        world.wait(max(0.0, min(world.timers.next_due() - world.now, 1000.0)))
    waits = [round(after - before) for before, after in pairwise(times)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert world.codes(index) == [*[OutcomeCode.FAILED] * 9, OutcomeCode.DEAD]
    assert world.machine.dead[1, index].attempts == 10


def test_the_subscription_says_how_many_attempts_there_are() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world.answer(FAILED, max_attempts=1)
    world.commit_all()
    assert world.codes(index) == [OutcomeCode.DEAD]


def test_a_handler_may_ask_for_a_later_attempt() -> None:
    world = DispatchWorld("a")
    world.publish("")
    world.answer(FAILED, after_ms=20_000)
    world.wait(19.9)
    assert len(world.sent) == 1
    world.wait(0.2)
    assert len(world.sent) == 2


# -- 26: everybody at once -------------------------------------------------------------------------------------------


def test_case_26_a_takeover_goes_out_at_the_windows() -> None:
    world = DispatchWorld("a", "b", tuning=EventsTuning(first_window=4))
    for receiver in world.members.values():
        receiver.refuses = {"work": DeliveryResult.NO_SUBSCRIBER}
    for _ in range(12):
        world.publish(*["", "k"] * 500)
    world.sent.clear()
    world.take_over()
    assert len(world.sent) == 8
    for receiver in world.members.values():
        receiver.inbox.clear()


@pytest.mark.wide
def test_case_26_a_long_backlog_is_taken_in_steps_in_order() -> None:
    world = DispatchWorld(tuning=EventsTuning(first_window=1000))
    for _ in range(12):
        world.publish(*["k"] * 1000)
    (late,) = world.publish("k")
    world.members[node("a")] = Receiver(node("a"), {"work": [">"]})
    world.take_over()
    order: list[int] = []
    while not order or order[-1] != late:
        (next_one,) = world["a"].inbox[0].deliveries if world["a"].inbox else ()
        order.append(next_one.index)
        world.ack()
        world.read_all()
        if len(order) == 100:
            world.wait(1.0)
        if len(order) % 500 == 0:
            world.commit_all()
    assert len(order) == 12_001 > 2 * STEP
    assert order == sorted(order)


# -- streams ---------------------------------------------------------------------------------------------------------


def test_a_broken_stream_is_no_attempt_and_joins_where_it_ran() -> None:
    world = DispatchWorld("a", "b")
    (index,) = world.publish("")
    world.deliver()
    holder = world.holder
    world.break_stream(holder)
    assert [to for to, _ in world.sent] == [holder.id, holder.id]
    assert {delivery.attempt for _, delivery in world.sent} == {1}
    world.ack()
    world.commit_all()
    assert world.codes(index) == [OutcomeCode.ACKED]


def test_after_a_second_break_a_member_is_left_in_peace() -> None:
    world = DispatchWorld("a", "b")
    (index,) = world.publish("")
    holder = world.holder
    world.break_stream(holder)
    world.break_stream(holder)
    world.publish("", "")
    assert world.indexes().count(index) == 2
    assert holder.id not in [to for to, delivery in world.sent if delivery.index != index]
    world.wait(2.1)
    assert world.indexes().count(index) == 3
    assert {delivery.attempt for _, delivery in world.sent} == {1}


def test_a_member_that_is_heard_again_gets_its_deliveries_at_once() -> None:
    world = DispatchWorld("a")
    (first,) = world.publish("")
    world.break_stream(world["a"])
    world.break_stream(world["a"])
    world["a"].refused.add("work")
    world["a"].open()
    world.hear_all()
    assert world.indexes() == [first, first, first]


def test_a_replaced_process_is_a_death_though_nobody_saw_it_go() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world.deliver()
    world["a"].running.clear()
    world.start(world["a"], b"boot-2")
    assert [delivery.attempt for _, delivery in world.sent] == [1, 2]
    world.commit_all()
    assert world.codes(index) == [OutcomeCode.DIED]


def test_what_was_not_sent_yet_does_not_die_with_its_member() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world["a"].inbox.clear()
    world.dispatch.end()
    world.sent.clear()
    world.lead()
    assert world.reads
    world.start(world["a"], b"boot-2")
    world.read_all()
    world.commit_all()
    assert world.codes(index) == []
    assert [delivery.attempt for _, delivery in world.sent] == [1]


def test_a_payload_that_is_missing_is_read_again_and_reported() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world["a"].inbox.clear()
    world.dispatch.end()
    world.lead()
    read = world.reads.popleft()
    world.do(world.dispatch.payloads(read.number, (None,), world.now))
    assert [log.kind for log in world.logs] == ["event_payload_missing"]
    assert world.dispatch.acting == 0
    world.wait(30.0)
    world.read_all()
    assert world.sent[-1][1].index == index


def test_what_died_with_a_held_group_holds_its_key_too() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(max_deaths=1))
    ended, first, second = world.publish("", "k", "k")
    world.deliver()
    world.answer(ACKED, ("work", ended), hold=1)
    world.kill(world["a"])
    world.commit_all()
    assert world.codes(first) == [OutcomeCode.DEAD_HOLDS]
    world.start(world["a"])
    assert second not in world.indexes()
