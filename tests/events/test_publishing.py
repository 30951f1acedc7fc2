"""The publisher's side: until the leader answers, or the time is over."""

from gossipreg.events.effects import EventEffect, OpenOwnJournal, PublishSettled, SendEventMessage
from gossipreg.events.messages import ForwardPublish, PublishAnswers
from gossipreg.events.publishing import MAX_PUBLISHES, Publishing
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.timers import Timers

JOURNAL = JournalId(b"j" * 16)
OTHER, ANOTHER = NodeId(b"o" * 16), NodeId(b"a" * 16)


class World:
    def __init__(self, leader: NodeId | None = OTHER) -> None:
        self.now = 0.0
        self.leader = leader
        self.timers = Timers()
        self.publishing = Publishing(EventsTuning(), self.timers, lambda _: self.leader)

    def opened(self) -> "World":
        self.publishing.opened(JOURNAL, self.now)
        return self

    def publish(self, ticket: int, timeout_s: float = 10.0) -> list[EventEffect]:
        return self.publishing.publish(ticket, b"event", 0, timeout_s, self.now)

    def answer(self, ticket: int, code: str = "", node: NodeId = OTHER) -> list[EventEffect]:
        return self.publishing.answered(
            node,
            PublishAnswers(
                journal=JOURNAL, number=ticket, code=code, text="why", index=7, copies=2, takeover=True,
                duplicate=False, groups=1,
            ),
            self.now,
        )  # fmt: skip

    def pass_time(self, seconds: float) -> list[EventEffect]:
        """Fire what is due until then."""
        until, effects = self.now + seconds, list[EventEffect]()
        while self.timers.next_due() <= until:
            self.now = self.timers.next_due()
            for name, _ in self.timers.pop_due(self.now):
                ticket = getattr(name, "ticket", None)
                effects += self.publishing.on_again(self.now) if ticket is None else self.publishing.on_deadline(ticket)
        self.now = until
        return effects


def sent(effects: list[EventEffect]) -> list[tuple[NodeId, int]]:
    return [
        (effect.node, effect.message.number) for effect in effects
        if isinstance(effect, SendEventMessage) and isinstance(effect.message, ForwardPublish)
    ]  # fmt: skip


def codes(effects: list[EventEffect]) -> list[tuple[int, str]]:
    return [(effect.ticket, effect.code) for effect in effects if isinstance(effect, PublishSettled)]


def test_first_publish_opens_the_journal_and_is_sent_then() -> None:
    world = World()
    assert world.publish(1) == [OpenOwnJournal()]
    assert sent(world.publishing.opened(JOURNAL, 0.0)) == [(OTHER, 1)]


def test_answer_settles_once() -> None:
    world = World().opened()
    assert sent(world.publish(1)) == [(OTHER, 1)]
    assert codes(world.answer(1)) == [(1, "")]
    assert world.answer(1) == []
    assert world.pass_time(60.0) == []


def test_event_is_sent_again_where_the_leader_refused() -> None:
    world = World().opened()
    world.publish(1)
    assert world.answer(1, "unavailable") == []
    world.leader = ANOTHER
    assert sent(world.pass_time(1.0)) == [(ANOTHER, 1)]
    assert codes(world.answer(1, node=ANOTHER)) == [(1, "")]


def test_refusal_of_the_event_itself_is_final() -> None:
    for code in ("conflict", "journal_full", "too_few_copies", "too_large"):
        world = World().opened()
        world.publish(1)
        assert codes(world.answer(1, code)) == [(1, code)]


def test_without_leader_the_last_refusal_is_told_not_unknown() -> None:
    world = World(leader=None).opened()
    world.publish(1)
    settled = world.pass_time(10.0)
    assert codes(settled) == [(1, "unavailable")]


def test_lost_answer_makes_the_outcome_unknown() -> None:
    world = World().opened()
    world.publish(1)
    world.publishing.closed(OTHER, world.now)
    world.leader = None
    assert codes(world.pass_time(10.0)) == [(1, "outcome_unknown")]


def test_lost_answer_and_later_refusal_is_still_unknown() -> None:
    world = World().opened()
    world.publish(1)
    world.publishing.closed(OTHER, world.now)
    assert sent(world.pass_time(1.0)) == [(OTHER, 1)]
    world.answer(1, "unavailable")
    world.leader = None
    assert codes(world.pass_time(10.0)) == [(1, "outcome_unknown")]


def test_event_without_an_answer_at_its_deadline_is_unknown() -> None:
    world = World().opened()
    world.publish(1, timeout_s=2.0)
    settled = world.pass_time(2.0)
    assert codes(settled) == [(1, "outcome_unknown")]
    assert "same id" in "".join(effect.text for effect in settled if isinstance(effect, PublishSettled))


def test_new_leader_gets_what_was_not_sent_at_once() -> None:
    world = World(leader=None).opened()
    world.publish(1)
    world.publish(2)
    world.leader = ANOTHER
    assert sent(world.publishing.try_all(world.now)) == [(ANOTHER, 1), (ANOTHER, 2)]


def test_answer_of_an_earlier_leader_does_not_lose_the_later_attempt() -> None:
    world = World().opened()
    world.publish(1)
    world.publishing.closed(OTHER, world.now)
    world.leader = ANOTHER
    assert sent(world.pass_time(1.0)) == [(ANOTHER, 1)]
    assert world.answer(1, "unavailable", node=OTHER) == []
    assert codes(world.answer(1, node=ANOTHER)) == [(1, "")]


def test_too_many_publishes_are_refused_at_once() -> None:
    world = World(leader=None).opened()
    for ticket in range(MAX_PUBLISHES):
        world.publish(ticket)
    assert codes(world.publish(MAX_PUBLISHES)) == [(MAX_PUBLISHES, "busy")]
    assert len(world.publishing) == MAX_PUBLISHES


def test_abandoned_publish_leaves_no_timer() -> None:
    world = World(leader=None).opened()
    world.publish(1)
    world.publishing.abandon(1)
    assert len(world.timers) == 0


def test_without_leader_the_journal_is_looked_for_again() -> None:
    """Its only disk may be lost: whoever opens it then opens another one, and what waits goes there."""
    world = World(leader=None).opened()
    world.publish(1)
    assert OpenOwnJournal() in world.pass_time(1.0)
    other = JournalId(b"o" * 16)
    world.leader = ANOTHER
    effects = world.publishing.opened(other, world.now)
    assert [effect.message.journal for effect in effects if isinstance(effect, SendEventMessage)
            and isinstance(effect.message, ForwardPublish)] == [other]  # fmt: skip
