"""The leader's hourly look: which groups have instances, and what is too old."""

from gossipreg.events.entries import EventEntryKind, decode_seen
from gossipreg.events.tuning import EventsTuning
from tests.events.dispatch_world import DispatchWorld

HOUR, DAY = 3600.0, 86400.0


def kinds(world: DispatchWorld) -> list[EventEntryKind]:
    return [entry.kind for entry in world.proposed]


def with_backlog() -> DispatchWorld:
    """A group with an instance that takes nothing: an event waits."""
    world = DispatchWorld("a")
    world["a"].patterns = {"work": ["stock.>"]}
    world.members_changed()
    world.publish("", groups=("work", "gone"))
    return world


def test_a_look_is_taken_once_an_hour_while_an_event_waits() -> None:
    world = with_backlog()
    world.wait(HOUR - 1)
    assert not world.proposed
    for _ in range(3):
        world.wait(HOUR + 1)
        assert kinds(world) == [EventEntryKind.SEEN_GROUPS]
        world.commit()
        assert kinds(world) == [EventEntryKind.EXPIRE]
        world.commit_all()


def test_groups_with_an_instance_are_noted_with_its_patterns() -> None:
    world = with_backlog()
    world["a"].patterns["work"] = ["stock.>", ">"]
    world.wait(HOUR + 1)
    (group,) = decode_seen(world.proposed[0].data)
    assert (group.name, group.patterns) == ("work", (">",))


def test_expiry_waits_until_it_is_committed_who_was_seen() -> None:
    world = with_backlog()
    world.refuses_entries = True
    world.wait(HOUR + 1)
    assert not world.proposed
    world.refuses_entries = False
    world.wait(61.0)
    assert kinds(world) == [EventEntryKind.SEEN_GROUPS]


def test_no_look_is_taken_by_a_member_that_is_not_in_sync() -> None:
    world = with_backlog()
    world.membership.synced = False
    world.wait(HOUR + 1)
    assert not world.proposed
    world.membership.synced = True
    world.wait(61.0)
    assert world.proposed


def test_a_group_without_an_instance_is_forgotten_and_reported() -> None:
    world = with_backlog()
    for _ in range(8 * 24):
        world.wait(HOUR)
        world.commit_all()
        world.publish("")
    assert [*world.machine.groups] == ["work"]
    assert "group_forgotten" in [log.kind for log in world.logs]
    assert "events_expired" in [log.kind for log in world.logs]


def test_a_gap_without_looks_forgets_no_group_and_no_pattern() -> None:
    world = DispatchWorld("a")
    world.publish("")
    world.ack()
    world.commit_all()
    world.kill(world["a"])
    world.wait(30 * DAY)
    world.publish("")
    world.commit_all()
    world.wait(120.0)
    world.commit_all()
    assert [*world.machine.groups["work"].patterns] == [">"]
    world.start(world["a"])
    assert len(world.sent) == 2


def test_a_new_leader_takes_the_look_that_is_due_after_a_minute() -> None:
    world = with_backlog()
    world.wait(HOUR - 10)
    world.dispatch.end()
    world.lead()
    world.wait(50.0)
    assert not world.proposed
    world.wait(20.0)
    assert kinds(world) == [EventEntryKind.SEEN_GROUPS]


def test_an_event_that_is_kept_goes_when_its_time_is_over() -> None:
    world = DispatchWorld("a", tuning=EventsTuning(seen_every_s=60.0))
    world.publish_kept(30_000)
    world.ack()
    world.commit_all()
    assert world.machine.events
    world.wait(121.0)
    world.commit_all()
    assert not world.machine.events
    assert len(world.timers) == 0
