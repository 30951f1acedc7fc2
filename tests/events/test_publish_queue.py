"""New events at the leader: batches, groups before them, answers in their order."""

from collections import Counter
from collections.abc import Iterable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.events.effects import EventEffect, ProposeEntry, SendEventMessage
from gossipreg.events.entries import EventEntryKind, decode_publish, encode_forget
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import ForwardPublish, PublishAnswers
from gossipreg.events.publish_queue import MAX_FORGOTTEN, MAX_WAITING, PublishQueue
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import COPIES_TO_COME, ProposalOutcome, Settled
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from tests.events.machines import MachineByHand, new_event

JOURNAL = JournalId(b"j" * 16)
NODE = NodeId(b"n" * 16)


class Members:
    """What the registry knows of groups."""

    synced = True

    def __init__(self) -> None:
        self.groups: list[KnownGroup] = []
        self.running: set[str] = set()

    def has_subscriber(self, group: str) -> bool:
        return group in self.running

    def groups_for(self, type: tuple[str, ...]) -> Iterable[KnownGroup]:
        del type
        return self.groups


class Leader:
    def __init__(self, **tuning: int) -> None:
        self.by_hand = MachineByHand()
        self.members = Members()
        self.counts: Counter[str] = Counter()
        numbers = count(1)
        self.queue = PublishQueue(
            EventsTuning(**tuning), JOURNAL, self.by_hand.machine, self.members,  # type: ignore[arg-type]
            next_ticket=lambda: next(numbers), has_takeover=lambda: True, counts=self.counts,
        )  # fmt: skip
        self.proposed: list[ProposeEntry] = []
        self.answers: list[PublishAnswers] = []

    def take(self, effects: list[EventEffect]) -> None:
        for effect in effects:
            match effect:
                case ProposeEntry():
                    self.proposed.append(effect)
                case SendEventMessage(message=PublishAnswers() as answer):
                    self.answers.append(answer)

    def put(self, number: int, id: str | None = None, data: bytes = b"x") -> None:
        event = new_event(str(number) if id is None else id, data=data).data
        self.take(self.queue.put(NODE, ForwardPublish(journal=JOURNAL, number=number, event=event, keep_ms=0)))

    def commit(self) -> None:
        """The oldest entry is committed and applied."""
        entry = self.proposed.pop(0)
        facts = self.by_hand.apply(entry.kind, entry.data)
        self.queue.applied(self.by_hand.index, facts)
        self.take(self.queue.settled(Settled(JOURNAL, entry.ticket, ProposalOutcome.COMMITTED, self.by_hand.index, 2)))

    def codes(self) -> list[tuple[int, str]]:
        return [(answer.number, answer.code) for answer in self.answers]


def test_events_that_come_meanwhile_go_with_the_next_entry() -> None:
    leader = Leader(batches_at_once=1)
    for number in range(5):
        leader.put(number)
    assert [len(decode_publish(entry.data)[1]) for entry in leader.proposed] == [1]
    leader.commit()
    assert [len(decode_publish(entry.data)[1]) for entry in leader.proposed] == [4]
    leader.commit()
    assert leader.codes() == [(number, "") for number in range(5)]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=60), st.integers(1, 3))
def test_every_event_is_answered_once_in_order(sizes: list[int], at_once: int) -> None:
    leader = Leader(batches_at_once=at_once, batch_bytes=4096)
    for number, size in enumerate(sizes):
        leader.put(number, data=b"x" * size)
    while leader.proposed:
        assert len(leader.proposed) <= at_once
        leader.commit()
    assert leader.codes() == [(number, "") for number in range(len(sizes))]


def test_groups_that_the_journal_lacks_stand_before_the_event() -> None:
    leader = Leader()
    leader.members.groups = [KnownGroup("mail", ("order.*",)), KnownGroup("stock", ("order.created",))]
    leader.put(1)
    leader.commit()
    assert leader.answers[0].groups == 2
    leader.put(2)
    assert decode_publish(leader.proposed[0].data)[0] == []


def test_pattern_that_a_group_lacks_is_added() -> None:
    leader = Leader()
    leader.members.groups = [KnownGroup("mail", ("user.*",))]
    leader.put(1)
    leader.commit()
    assert leader.answers[0].groups == 0
    leader.members.groups = [KnownGroup("mail", ("order.*", "user.*"))]
    leader.put(2)
    leader.commit()
    assert leader.answers[1].groups == 1


def test_group_that_only_the_publisher_knows_gets_the_event() -> None:
    leader = Leader()
    message = ForwardPublish(
        journal=JOURNAL, number=1, event=new_event("1").data, keep_ms=0, groups=(KnownGroup("mail", ("order.*",)),)
    )
    leader.take(leader.queue.put(NODE, message))
    leader.commit()
    assert leader.answers[0].groups == 1


def test_same_event_twice_is_a_duplicate_even_in_one_entry() -> None:
    leader = Leader(batches_at_once=1)
    leader.put(0)
    leader.put(1, id="same")
    leader.put(2, id="same")
    leader.commit()
    leader.commit()
    assert [(answer.number, answer.duplicate) for answer in leader.answers] == [(0, False), (1, False), (2, True)]
    assert leader.answers[1].index == leader.answers[2].index


def test_other_content_under_a_known_id_is_a_conflict() -> None:
    leader = Leader()
    leader.put(1, id="same")
    leader.commit()
    leader.put(2, id="same", data=b"other")
    leader.commit()
    assert leader.codes() == [(1, ""), (2, "conflict")]


def test_refused_entry_refuses_its_events_and_the_next_goes_on() -> None:
    leader = Leader(batches_at_once=1)
    leader.put(1)
    leader.put(2)
    leader.take(leader.queue.refused(leader.proposed.pop(0).ticket, "busy", "too much waits"))
    leader.commit()
    assert leader.codes() == [(1, "busy"), (2, "")]


def test_an_event_without_its_copies_may_be_sent_again() -> None:
    """A publisher of any release sends it again after `unavailable`, and after no code that it does not know."""
    leader = Leader()
    leader.put(1)
    leader.take(leader.queue.refused(leader.proposed.pop(0).ticket, COPIES_TO_COME, "others are being made"))
    assert leader.codes() == [(1, "unavailable")]


def test_end_tells_apart_what_was_never_proposed() -> None:
    leader = Leader(batches_at_once=1)
    leader.put(1)
    leader.put(2)
    leader.take(leader.queue.end("deposed"))
    assert sorted(leader.codes()) == [(1, "outcome_unknown"), (2, "unavailable")]


def test_unknown_outcome_of_an_entry_is_that_of_its_events() -> None:
    leader = Leader()
    leader.put(1)
    leader.take(leader.queue.settled(Settled(JOURNAL, leader.proposed[0].ticket, ProposalOutcome.UNKNOWN, 1, 0)))
    assert leader.codes() == [(1, "outcome_unknown")]


def test_bytes_that_are_no_event_are_refused_alone() -> None:
    leader = Leader()
    leader.take(leader.queue.put(NODE, ForwardPublish(journal=JOURNAL, number=1, event=b"\x01", keep_ms=0)))
    leader.put(2)
    leader.commit()
    assert leader.codes() == [(1, "bad_params"), (2, "")]


def test_more_than_may_wait_is_refused_as_busy() -> None:
    leader = Leader(batches_at_once=1)
    for number in range(MAX_WAITING + 2):
        leader.put(number)
    assert leader.codes() == [(MAX_WAITING + 1, "busy")]


def test_paused_queue_proposes_nothing_until_it_goes_on() -> None:
    leader = Leader()
    leader.queue.paused = True
    leader.put(1)
    assert leader.proposed == []
    leader.queue.paused = False
    leader.take(leader.queue.pump())
    assert len(leader.proposed) == 1


# -- groups that were forgotten ----------------------------------------------------------------------------------------


def groups_before_the_event(leader: Leader, number: int) -> list[str]:
    """The groups that the journal takes up before it takes the next event."""
    leader.put(number)
    names = [group.name for group in decode_publish(leader.proposed[0].data)[0]]
    leader.commit()
    return names


def forget(leader: Leader) -> None:
    leader.by_hand.apply(EventEntryKind.FORGET_GROUP, encode_forget((("mail", "no instance"),)))
    leader.queue.group_forgotten("mail")


def test_a_forgotten_group_does_not_come_back_by_a_row_that_remembers_it() -> None:
    leader = Leader()
    leader.members.groups = [KnownGroup("mail", (">",))]
    assert groups_before_the_event(leader, 1) == ["mail"]
    forget(leader)
    assert groups_before_the_event(leader, 2) == []
    leader.members.running = {"mail"}
    assert groups_before_the_event(leader, 3) == ["mail"]
    leader.queue.group_added("mail")
    leader.members.running = set()
    assert groups_before_the_event(leader, 4) == []  # it is there


def test_a_forgotten_group_that_is_declared_comes_back() -> None:
    leader = Leader()
    leader.members.groups = [KnownGroup("mail", (">",), declared=True)]
    assert groups_before_the_event(leader, 1) == ["mail"]
    forget(leader)
    assert groups_before_the_event(leader, 2) == ["mail"]


def test_groups_that_were_forgotten_are_remembered_up_to_a_bound() -> None:
    leader = Leader()
    leader.members.groups = [KnownGroup("mail", (">",))]
    leader.queue.group_forgotten("mail")
    for number in range(MAX_FORGOTTEN - 1):
        leader.queue.group_forgotten(f"g{number}")
    assert groups_before_the_event(leader, 1) == []
    leader.queue.group_forgotten("one more")
    assert groups_before_the_event(leader, 2) == ["mail"]
