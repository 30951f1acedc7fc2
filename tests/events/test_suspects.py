"""Events that were with a handler when it died: which of them is to blame."""

from collections import deque
from dataclasses import replace

import pytest

from gossipreg.events.entries import OutcomeCode
from gossipreg.events.messages import DeliveryOutcomes, DeliveryResult
from gossipreg.events.tuning import EventsTuning
from tests.events.dispatch_members import Receiver
from tests.events.dispatch_world import DispatchWorld

BLAMED = {OutcomeCode.DIED, OutcomeCode.DEAD}


def say_at_once(receiver: Receiver) -> None:
    """All outcomes of one turn are one message."""
    messages = [message for message in receiver.outbox if isinstance(message, DeliveryOutcomes)]
    outcomes = tuple(outcome for message in messages for outcome in message.outcomes)
    receiver.outbox = deque([replace(messages[-1], outcomes=outcomes)])


def run_with_poison(world: DispatchWorld, poison: int, *, hangs_up: bool) -> None:
    """Let the members handle everything; whoever has the poison dies, with all that it has, before it has handled
    anything."""
    for round in range(400):
        if not world.machine.events:
            return
        world.deliver()
        for receiver in [*world.members.values()]:
            letters = [*receiver.running]
            if ("work", poison) not in letters:
                for letter in letters:
                    receiver.finish(letter, DeliveryResult.ACKED)
            elif hangs_up:
                for letter in letters:
                    receiver.finish(letter, DeliveryResult.DIED)
                say_at_once(receiver)
            else:
                world.kill(receiver)
                world.start(receiver, b"boot-%d" % (round + 3))
        world.hear_all()
        world.read_all()
        world.commit_all()
        if world.machine.events and poison in world.machine.events and world.machine.events[poison].dead:
            assert not world.machine.events[poison].waiting
            if len(world.machine.events) == 1:
                return
        world.wait(1.0)
    raise AssertionError(f"still waiting: {[*world.machine.events]}")


@pytest.mark.parametrize("hangs_up", [True, False], ids=["program", "sidecar"])
@pytest.mark.parametrize("at", [0, 3, 11])
def test_poison_alone_becomes_a_dead_letter(at: int, hangs_up: bool) -> None:
    world = DispatchWorld("a", "b", tuning=EventsTuning(first_window=4))
    indexes = world.publish(*[""] * 12)
    poison = indexes[at]
    run_with_poison(world, poison, hangs_up=hangs_up)
    assert world.codes(poison) == [OutcomeCode.DIED, OutcomeCode.DIED, OutcomeCode.DEAD]
    assert [index for index in indexes if index != poison and BLAMED.intersection(world.codes(index))] == []


def test_events_that_died_together_go_again_one_at_a_time() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=3))
    indexes = world.publish(*[""] * 3)
    world.kill_holder()
    world.start(world["a"])
    assert world.indexes() == [*indexes, indexes[0]]
    world.ack()
    assert world.indexes() == [*indexes, *indexes[:2]]


def test_suspect_waits_until_a_member_has_nothing_else() -> None:
    world = DispatchWorld("a", "b", tuning=EventsTuning(first_window=2))
    first, second = world.publish("k", "l")
    holders = {world.sent[0][0], world.sent[1][0]}
    assert len(holders) == 2
    third, fourth = world.publish("m", "n")
    world.deliver()
    world.kill(world["a"])
    suspects = {index for index in (first, second, third, fourth) if index not in world.sent_to("b")}
    assert len(suspects) == 2
    world.read_all()
    assert not suspects & {*world.sent_to("b")}, "it has something else"
    world.ack()
    assert len(suspects & {*world.sent_to("b")}) == 1
    world.ack()
    assert suspects <= {*world.sent_to("b")}


def test_single_event_of_a_dead_member_is_a_death_at_once() -> None:
    world = DispatchWorld("a")
    (index,) = world.publish("")
    world.kill_holder()
    world.commit_all()
    assert world.codes(index) == [OutcomeCode.DIED]


def test_nothing_is_remembered_of_suspects_that_were_handled() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(first_window=3))
    world.publish(*[""] * 3)
    world.kill_holder()
    world.start(world["a"])
    for _ in range(3):
        world.ack()
        world.read_all()
    assert not world.dispatch._delivering.suspects
    assert len(world.publish("", "")) == 2
    assert len(world["a"].inbox) == 1, "both at once again"
