"""Groups that begin with the events that are kept: when the leader of a journal adds them."""

from itertools import count

from gossipreg.events.effects import EventEffect, ProposeEntry
from gossipreg.events.entries import MAX_GROUP_PATTERNS, MAX_GROUPS, EventEntryKind, decode_publish, encode_forget
from gossipreg.events.facts import EventFact, GroupAdded, KeptEventAdded
from gossipreg.events.membership import KnownGroup
from gossipreg.events.past_groups import ENTRY_BYTES, PastGroups
from tests.events.machines import MachineByHand, new_event
from tests.events.test_publish_queue import JOURNAL, Leader

LATE = KnownGroup("late", ("order.*",), past=True)


class Members:
    def __init__(self) -> None:
        self.groups: list[KnownGroup] = []

    def past_groups(self) -> list[KnownGroup]:
        return self.groups


class PastLeader:
    """A leader whose journal keeps an event, unless `keeps` is False."""

    def __init__(self, *groups: KnownGroup, keeps: bool = True) -> None:
        self.by_hand = MachineByHand()
        self.members = Members()
        self.members.groups = list(groups)
        numbers = count(1)
        self.past = PastGroups(
            JOURNAL, self.by_hand.machine, self.members, lambda: next(numbers)  # type: ignore[arg-type]
        )  # fmt: skip
        if keeps:
            self.by_hand.publish(new_event("kept", keep_ms=60_000), new_event("gone"))
        self.proposed: list[ProposeEntry] = []

    def take(self, effects: list[EventEffect]) -> "PastLeader":
        for effect in effects:
            assert isinstance(effect, ProposeEntry)
            assert self.past.owns(effect.ticket)
            self.proposed.append(effect)
        return self

    def commit(self) -> list[EventFact]:
        entry = self.proposed.pop(0)
        facts = self.by_hand.apply(entry.kind, entry.data)
        self.take(self.past.settled(entry.ticket, committed=True))
        return facts


def test_a_group_joins_a_journal_that_keeps_events_at_once() -> None:
    leader = PastLeader(LATE)
    leader.take(leader.past.look())
    [entry] = leader.proposed
    assert (entry.kind, entry.ends, decode_publish(entry.data)[1]) == (EventEntryKind.PUBLISH, False, [])
    assert [type(fact) for fact in leader.commit()] == [GroupAdded, KeptEventAdded]
    assert leader.past.look() == leader.proposed == []


def test_a_journal_that_keeps_nothing_waits_for_its_next_event() -> None:
    assert PastLeader(LATE, keeps=False).past.look() == []


def test_a_group_that_the_journal_knows_gets_nothing_anew() -> None:
    leader = PastLeader(LATE)
    leader.take(leader.past.look()).commit()
    leader.members.groups = [LATE._replace(patterns=("order.*", "user.*"))]
    assert leader.past.look() == []


def test_one_entry_is_under_way_and_the_next_follows_it() -> None:
    leader = PastLeader(LATE)
    leader.take(leader.past.look())
    leader.members.groups.append(LATE._replace(name="later"))
    assert leader.past.look() == []
    leader.commit()
    assert [group.name for group in decode_publish(leader.proposed[0].data)[0]] == ["later"]


def test_many_large_groups_are_added_by_several_entries() -> None:
    patterns = tuple(f"{number}." + "x" * 240 for number in range(MAX_GROUP_PATTERNS))
    leader = PastLeader(*(KnownGroup(f"g{number}", patterns, past=True) for number in range(20)))
    leader.take(leader.past.look())
    sizes = []
    while leader.proposed:
        sizes.append(len(leader.proposed[0].data))
        leader.commit()
    assert len(sizes) > 1
    assert max(sizes) < ENTRY_BYTES + 1024
    assert len(leader.by_hand.machine.groups) == 20


def test_a_group_without_room_is_tried_again_when_one_goes() -> None:
    leader = PastLeader(*(LATE._replace(name=f"g{number:04}") for number in range(MAX_GROUPS + 1)))
    leader.take(leader.past.look())
    while leader.proposed:
        leader.commit()
    assert leader.past.look() == [], "and not again and again"
    leader.by_hand.apply(EventEntryKind.FORGET_GROUP, encode_forget((("g0000", "by hand"),)))
    leader.past.group_forgotten("g0000")
    leader.members.groups.pop(0)
    leader.take(leader.past.look())
    assert [group.name for group in decode_publish(leader.proposed[0].data)[0]] == [f"g{MAX_GROUPS:04}"]


def test_what_was_refused_is_tried_with_the_next_entry() -> None:
    leader = PastLeader(LATE)
    leader.take(leader.past.look())
    assert leader.past.applied() == []
    leader.past.refused()
    leader.proposed.clear()
    leader.take(leader.past.applied())
    assert leader.proposed
    assert leader.past.applied() == []


def test_a_group_that_is_forgotten_while_it_subscribes_begins_anew() -> None:
    """It did so with the next event, or when some member changed: until then nothing happened."""
    leader = PastLeader(LATE)
    leader.take(leader.past.look())
    leader.commit()
    leader.by_hand.apply(EventEntryKind.FORGET_GROUP, encode_forget((("late", "by hand"),)))
    leader.past.group_forgotten("late")
    leader.proposed.clear()
    leader.take(leader.past.applied())
    assert [group.name for group in decode_publish(leader.proposed[0].data)[0]] == ["late"]
    assert any(isinstance(fact, KeptEventAdded) for fact in leader.commit())


def test_nothing_is_added_while_the_journal_is_handed_over() -> None:
    leader = PastLeader(LATE)
    leader.past.paused = True
    assert leader.past.look() == []
    leader.take(leader.past.resume())
    assert leader.proposed


def test_a_new_leader_looks_after_an_outcome_that_is_unknown() -> None:
    leader = PastLeader(LATE)
    leader.take(leader.past.look())
    assert leader.past.settled(leader.proposed[0].ticket, committed=False) == []


def test_a_publish_that_comes_first_adds_the_group_with_the_past() -> None:
    """The publisher's sidecar knew of it, and told the leader."""
    leader = Leader()
    leader.by_hand.publish(new_event("kept", keep_ms=60_000))
    leader.members.groups = [LATE]
    leader.put(1)
    facts = leader.by_hand.apply(leader.proposed[0].kind, leader.proposed[0].data)
    assert [fact.index for fact in facts if isinstance(fact, KeptEventAdded)] == [4096]
