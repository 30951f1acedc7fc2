"""Events that are kept though all groups have acknowledged them, and who still gets them."""

from gossipreg.events.entries import EventEntryKind, NewEvent, NewGroup, encode_publish
from tests.events.dispatch_world import DispatchWorld


def publish(world: DispatchWorld, *events: NewEvent, group: str, past: bool = False) -> None:
    world.apply(EventEntryKind.PUBLISH, encode_publish((NewGroup(group, (">",), past),), events))


def test_a_new_group_gets_the_kept_events_that_it_asks_for() -> None:
    world = DispatchWorld("a")
    kept = world.event("k", "order.created")._replace(keep_ms=60_000)
    publish(world, kept, world.event("", "order.created"), group="work")
    world.ack()
    world.commit_all()
    world["a"].patterns["late"] = [">"]
    later = world.event("k", "order.created")
    publish(world, later, group="late", past=True)
    world.read_all()
    assert [delivery.event for _, delivery in world.sent if delivery.group == "late"] == [kept.data]
    world.ack()
    assert [delivery.event for _, delivery in world.sent if delivery.group == "late"] == [kept.data, later.data]


def test_a_new_group_begins_at_its_entry_if_it_asks_for_nothing() -> None:
    world = DispatchWorld("a")
    publish(world, world.event("k", "order.created")._replace(keep_ms=60_000), group="work")
    world["a"].patterns["late"] = [">"]
    publish(world, group="late")
    world.read_all()
    assert {delivery.group for _, delivery in world.sent} == {"work"}
