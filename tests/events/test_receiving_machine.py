"""Random histories of deliveries, handlers and subscriptions at one sidecar, beside a model of what must hold."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipreg.events.cloud_event import event_head
from gossipreg.events.effects import DropHandling, HandleEvent, SendEventMessage
from gossipreg.events.messages import DeliveryOutcome, DeliveryOutcomes, DeliveryResult, WindowOpened
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from tests.events.receiver import JOURNAL, ONE, OTHER, TWO, Receiver
from tests.examples import examples

REFUSALS = (DeliveryResult.NO_ROOM, DeliveryResult.NO_SUBSCRIBER)
Id = tuple[JournalId, int, str]
nodes = st.sampled_from((ONE, TWO))
journals = st.sampled_from((JOURNAL, OTHER))
groups = st.sampled_from(("billing", "billing", "billing", "stock"))
indexes = st.integers(1, 4)
"""Few, so that deliveries join, and keys meet."""
picks = st.integers(0, 100)


class Deliveries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.receiver = Receiver(EventsTuning(ack_timeout_s=5.0, max_handling_s=12.0))
        self.windows: dict[int, int] = {}
        """Of each subscription that has not ended."""
        self.groups: dict[int, str] = {}
        self.suspended: set[int] = set()
        self.running: dict[int, HandleEvent] = {}
        self.over: dict[int, HandleEvent] = {}
        """Handlings that were dropped because their time was over."""
        self.delayed: set[int] = set()
        """Those whose client has not got them: their time does not run."""
        self.unanswered: dict[Id, tuple[NodeId, int, int]] = {}
        """(node, round, attempt) of who delivered last."""
        self.rounds: dict[JournalId, int] = {}
        self.acked: set[Id] = set()
        self.refused: set[tuple[NodeId, JournalId, str]] = set()

    # -- what the receiving side says ----------------------------------------------------------------------------------

    def look(self) -> None:
        for effect in self.receiver.flush():
            match effect:
                case HandleEvent():
                    self.handed(effect)
                case DropHandling(_, number):
                    assert number not in self.delayed
                    self.over[number] = self.running.pop(number)
                case SendEventMessage(node, DeliveryOutcomes() as message):
                    for outcome in message.outcomes:
                        self.answered(node, message.journal, message.ballot.round, outcome)
                case SendEventMessage(node, WindowOpened() as message):
                    self.refused -= {(node, message.journal, group) for group, _ in message.windows}
                case _:
                    pass

    def handed(self, effect: HandleEvent) -> None:
        key = event_head(effect.event).key
        locks = [(one.group, event_head(one.event).key) for one in self.running.values()]
        assert not key or (effect.group, key) not in locks, "one handler for each group and key"
        assert effect.subscription in self.windows
        assert effect.subscription not in self.suspended
        assert self.groups[effect.subscription] == effect.group
        assert (effect.journal, effect.index, effect.group) in self.unanswered
        self.running[effect.number] = effect
        self.delayed.discard(effect.number)

    def answered(self, node: NodeId, journal: JournalId, round: int, outcome: DeliveryOutcome) -> None:
        id = (journal, outcome.index, outcome.group)
        if outcome.result in REFUSALS:
            self.refused.add((node, journal, outcome.group))
        waiting = self.unanswered.pop(id, None)
        assert waiting == (node, round, outcome.attempt), "each is answered once, to whoever delivered it last"

    # -- what happens --------------------------------------------------------------------------------------------------

    @rule(node=nodes, journal=journals, up=st.booleans(), index=indexes, attempt=st.integers(1, 3), group=groups)
    def deliver_one_event(
        self, node: NodeId, journal: JournalId, up: bool, index: int, attempt: int, group: str
    ) -> None:  # fmt: skip
        self.deliver(node, journal, up, index, attempt, group)

    def deliver(self, node: NodeId, journal: JournalId, up: bool, index: int, attempt: int, group: str) -> None:
        round = self.rounds[journal] = self.rounds.get(journal, 1) + up
        id = (journal, index, group)
        running_before = len(self.running)
        self.unanswered[id] = (node, round, attempt)
        self.deliver_one(node, journal, round, index, attempt, group)
        if id in self.acked:
            assert id not in self.unanswered, "it is answered at once"
            assert len(self.running) == running_before, "and not handled again"

    def deliver_one(self, node: NodeId, journal: JournalId, round: int, index: int, attempt: int, group: str) -> None:
        key = "" if index == 1 else "k"
        flush, self.receiver.flush = self.receiver.flush, list  # type: ignore[method-assign]
        self.receiver.deliver(index, node=node, journal=journal, round=round, attempt=attempt, group=group, key=key)
        self.receiver.flush = flush  # type: ignore[method-assign]
        self.look()

    @initialize()
    def begin(self) -> None:
        self.subscribe_to("billing", 3)

    @rule(node=nodes, journal=journals, indexes=st.lists(indexes, min_size=1, max_size=4))
    def deliver_several(self, node: NodeId, journal: JournalId, indexes: list[int]) -> None:
        """The rule that is drawn more often than others."""
        for index in indexes:
            self.deliver(node, journal, False, index, 1, "billing")

    @rule(node=nodes, journal=journals, index=indexes, group=groups)
    def deliver_with_an_old_ballot(self, node: NodeId, journal: JournalId, index: int, group: str) -> None:
        if self.rounds.get(journal, 1) == 1:
            return
        id = (journal, index, group)
        before = self.unanswered.get(id)
        self.unanswered[id] = (node, 1, 9)
        self.deliver_one(node, journal, 1, index, 9, group)
        assert id not in self.unanswered, "an old ballot is answered at once"
        if before is not None:
            self.unanswered[id] = before

    @precondition(lambda self: self.running)
    @rule(pick=picks, result=st.sampled_from((DeliveryResult.ACKED, DeliveryResult.ACKED, DeliveryResult.FAILED)))
    def answer(self, pick: int, result: DeliveryResult) -> None:
        handed = self.running.pop(sorted(self.running)[pick % len(self.running)])
        self.say(handed, result)
        if result is DeliveryResult.ACKED:
            self.acked.add((handed.journal, handed.index, handed.group))
        assert not self.receiver.receiving.done(handed.number, handed.subscription, result, "", 0, self.receiver.now), (
            "a second answer is harmless"
        )

    def say(self, handed: HandleEvent, result: DeliveryResult) -> None:
        now = self.receiver.now
        assert self.receiver.receiving.done(handed.number, handed.subscription, result, "why", 0, now)
        self.look()

    @precondition(lambda self: self.running)
    @rule(pick=picks)
    def give_back(self, pick: int) -> None:
        """Somebody else gets it, here or elsewhere; or it comes again."""
        handed = self.running.pop(sorted(self.running)[pick % len(self.running)])
        id, now = (handed.journal, handed.index, handed.group), self.receiver.now
        assert self.receiver.receiving.give_back(handed.number, handed.subscription, handed.event, now)
        self.look()
        again = self.running.get(handed.number)
        assert (again is None) is (id not in self.unanswered)
        assert again is None or again.subscription != handed.subscription

    @precondition(lambda self: self.over)
    @rule(pick=picks)
    def acknowledge_late(self, pick: int) -> None:
        handed = self.over.pop(sorted(self.over)[pick % len(self.over)])
        id = (handed.journal, handed.index, handed.group)
        before = self.unanswered.pop(id, None)
        now = self.receiver.now
        assert self.receiver.receiving.done(handed.number, handed.subscription, DeliveryResult.ACKED, "", 0, now)
        (effect,) = self.receiver.flush()
        assert isinstance(effect, SendEventMessage)
        assert isinstance(effect.message, DeliveryOutcomes)
        assert [one.result for one in effect.message.outcomes] == [DeliveryResult.ACKED]
        if before is not None:
            self.unanswered[id] = before
        if not any((one.journal, one.index, one.group) == id for one in self.running.values()):
            self.acked.add(id)

    @precondition(lambda self: self.running)
    @rule(pick=picks)
    def delay_or_hand_over(self, pick: int) -> None:
        handed = self.running[sorted(self.running)[pick % len(self.running)]]
        receiving, number = self.receiver.receiving, handed.number
        if number in self.delayed:
            self.delayed.discard(number)
            assert receiving.hand_over(number, handed.subscription, self.receiver.now)
        else:
            self.delayed.add(number)
            assert receiving.delay(number, handed.subscription)

    @precondition(lambda self: self.running.keys() - self.delayed)
    @rule(pick=picks)
    def renew(self, pick: int) -> None:
        mine = sorted(self.running.keys() - self.delayed)
        handed = self.running[mine[pick % len(mine)]]
        assert self.receiver.receiving.renew(handed.number, handed.subscription, self.receiver.now)

    @rule(group=groups, window=st.integers(1, 3))
    def subscribe(self, group: str, window: int) -> None:
        self.subscribe_to(group, window)

    def subscribe_to(self, group: str, window: int) -> None:
        if len(self.windows) < 4:
            number = self.receiver.receiving.subscribe(group, [">"], window=window)
            self.windows[number], self.groups[number] = window, group
            self.look()

    @precondition(lambda self: self.windows)
    @rule(pick=picks)
    def hang_up(self, pick: int) -> None:
        number = sorted(self.windows)[pick % len(self.windows)]
        del self.windows[number]
        self.suspended.discard(number)
        for handed in [one for one in self.running.values() if one.subscription == number]:
            del self.running[handed.number]
        self.receiver.receiving.unsubscribe(number, self.receiver.now, hung_up=True)
        self.look()

    @precondition(lambda self: self.windows)
    @rule(pick=picks)
    def suspend_or_resume(self, pick: int) -> None:
        number = sorted(self.windows)[pick % len(self.windows)]
        if number in self.suspended:
            self.suspended.discard(number)
            self.receiver.receiving.resume(number)
        else:
            self.suspended.add(number)
            self.receiver.receiving.suspend(number, self.receiver.now)
        self.look()

    @rule(node=nodes)
    def break_the_stream(self, node: NodeId) -> None:
        self.receiver.receiving.closed(node, self.receiver.now)
        self.look()

    @rule(seconds=st.sampled_from((0.1, 1.0, 3.0, 7.0)))
    def wait(self, seconds: float) -> None:
        until = self.receiver.now + seconds
        while (due := self.receiver.receiving.next_deadline()) <= until:
            self.receiver.now = max(self.receiver.now, due)
            self.receiver.receiving.advance(self.receiver.now)
            self.look()
        self.receiver.now = until

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def windows_are_kept(self) -> None:
        for number, window in self.windows.items():
            assert sum(one.subscription == number for one in self.running.values()) <= window

    @invariant()
    def what_is_handled_or_waits_is_unanswered(self) -> None:
        assert self.receiver.receiving.statistics()["handlings"] == len(self.unanswered)
        assert len(self.running) <= len(self.unanswered)

    def teardown(self) -> None:
        """Once all answer and all take events, nothing is left over, and whoever was refused has been told."""
        for number in list(self.suspended):
            self.suspended.discard(number)
            self.receiver.receiving.resume(number)
        self.look()
        while self.running:
            self.say(self.running.pop(min(self.running)), DeliveryResult.ACKED)
        assert self.unanswered == {}
        self.wait(5.0)
        taking = {self.groups[number] for number in self.windows}
        assert [refused for refused in self.refused if refused[2] in taking] == []
        assert self.receiver.receiving.next_deadline() == float("inf")


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(max_examples=examples(60), stateful_step_count=40)
