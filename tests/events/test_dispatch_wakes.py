"""No lost wake-up: whatever makes room, or makes an event ready, is followed by a delivery, without another push."""

from dataclasses import replace

from gossipreg.events.entries import EventEntryKind, encode_forget
from gossipreg.events.messages import DeliveryOutcomes, DeliveryResult
from gossipreg.events.tuning import EventsTuning
from gossipreg.events.windows import BYTES_IN_FLIGHT
from tests.events.dispatch_world import DispatchWorld

ACKED, NO_ROOM = DeliveryResult.ACKED, DeliveryResult.NO_ROOM


def test_a_broken_stream_ends_a_refusal_whose_end_may_be_lost() -> None:
    world = DispatchWorld("a")
    world["a"].refuses = {"work": NO_ROOM}
    (index,) = world.publish("")
    world.deliver()
    world.hear_all()
    world["a"].refuses = {}
    world["a"].open()
    world.break_stream(world["a"])  # and the message is lost
    assert world.indexes() == [index, index]


def test_a_broken_stream_ends_the_window_that_was_told() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1))
    world.publish("")
    world.ack()
    world.break_stream(world["a"])
    world.publish("", "", "")
    assert len(world.sent) == 2


def test_a_group_goes_on_when_another_one_makes_room() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(deliveries_in_flight=1))
    world["a"].patterns["mail"] = [">"]
    world.members_changed()
    (index,) = world.publish("", groups=("work", "mail"))
    (first,) = [delivery.group for _, delivery in world.sent]
    world.ack((first, index))
    assert sorted(delivery.group for _, delivery in world.sent) == ["mail", "work"]


def test_a_group_that_was_cut_short_goes_on_when_another_makes_room() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(deliveries_in_flight=4))
    world["a"].patterns["mail"] = [">"]
    world.members_changed()
    (first,) = world.publish("")
    second, third = world.publish("", "", groups=("work", "mail"))
    assert [delivery.group for _, delivery in world.sent] == ["work", "work", "work", "mail"]
    world.ack(("work", first))
    assert sorted(delivery.index for _, delivery in world.sent if delivery.group == "mail") == [second, third]


def test_a_forgotten_group_leaves_no_timer() -> None:
    world = DispatchWorld("a")
    world.publish("")
    world.answer(DeliveryResult.FAILED)
    world.commit_all()
    assert len(world.timers)
    world.apply(EventEntryKind.FORGET_GROUP, encode_forget((("work", "unused"),)))
    assert len(world.timers) == 0


def test_bytes_in_flight_are_bounded_and_come_free() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=1000))
    world["a"].room = 1000
    size_bytes = 180_000
    count = BYTES_IN_FLIGHT // size_bytes + 20
    world.publish_large(count, size_bytes)
    assert len(world.sent) <= BYTES_IN_FLIGHT // size_bytes + 1
    for _ in range(3):
        world.read_all()
        world.ack()
    assert len({*world.indexes()}) == count
    assert world.dispatch.acting > 0
    world.commit_all()
    assert world.dispatch.acting == 0


def test_an_ack_of_a_member_that_has_nothing_wakes_its_group() -> None:
    world = DispatchWorld("a", "b")
    first, second = world.publish("k", "k")
    world.deliver()
    holder = world.holder
    holder.patterns = {}
    world.members_changed()
    world.take_over()
    assert world.holder is not holder
    holder.finish(("work", first), ACKED)
    message = holder.outbox.pop()
    assert isinstance(message, DeliveryOutcomes)
    holder.outbox.append(replace(message, windows=()))
    world.hear(holder)
    world.read_all()
    assert world.sent[-1][1].index == second


def test_what_a_forgotten_key_held_up_goes_on_at_once() -> None:
    """The current event of a key expires: the next one follows."""
    world = DispatchWorld("a", tuning=EventsTuning(max_age_s=100.0))
    world["a"].refuses = {"work": NO_ROOM}
    world.publish("k")
    world.deliver()
    world.hear_all()
    world.wait(90.0)
    (second,) = world.publish("k")
    world.wait(30.0)
    world.commit_all()
    world["a"].refuses = {}
    world["a"].open()
    world.hear_all()
    assert world.sent[-1][1].index == second
