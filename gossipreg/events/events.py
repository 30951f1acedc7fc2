"""All events of one sidecar: composes publishing, the journals that are led here, and the subscriptions here.

Owns: which part gets an input, and the journals that are led here. Never knows: streams, disks, rows, programs. What is
sent to this sidecar itself does not leave it: each input is complete, with all that follows here, before the next one.
"""

import random
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import Protocol

from msgpack import packb

from gossipreg.events.cloud_event import event_head
from gossipreg.events.dispatch import DispatchTimer, JournalDispatch
from gossipreg.events.effects import (
    AnnounceSubscription,
    CallAnswered,
    EventEffect,
    HandleEvent,
    RanGroup,
    SendEventMessage,
)
from gossipreg.events.entries import EventEntryKind
from gossipreg.events.facts import EventFact, GroupAdded, GroupForgotten, GroupPatternsChanged
from gossipreg.events.group_announcements import GroupAnnouncements
from gossipreg.events.handled import HandledEvents
from gossipreg.events.led_journal import LedJournal
from gossipreg.events.machine import EventsMachine
from gossipreg.events.member_questions import MemberQuestions
from gossipreg.events.membership import EventMembership, KnownGroup
from gossipreg.events.messages import (
    Deliveries,
    DeliveryOutcomes,
    DeliveryResult,
    EventMessage,
    EventsCall,
    EventsReply,
    ForwardPublish,
    PublishAnswers,
    WindowOpened,
)
from gossipreg.events.past_groups import PastGroups
from gossipreg.events.patterns import check_type
from gossipreg.events.publish_queue import PublishQueue
from gossipreg.events.publishing import PublishAgain, PublishDeadline, Publishing
from gossipreg.events.questions import Questions
from gossipreg.events.receiving import Receiving
from gossipreg.events.remembered_groups import RememberedGroups, announced_groups
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    Pausing,
    ProposalOutcome,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import ProvenQuestions
from gossipreg.journal.request_numbers import request_numbers
from gossipreg.model import NodeId
from gossipreg.timers import Timers

NO_STREAM = packb("no stream leads to it")


class LedJournals(Protocol):
    """What events ask of the journals of this sidecar: `journal.journals.Journals`."""

    def machine(self, journal: JournalId) -> object: ...

    def has_takeover(self, journal: JournalId) -> bool:
        """Whether another member goes on if this one is lost."""

    def led_ms(self, journal: JournalId, now: float) -> int:
        """The led time of a journal that is led here."""


class Events:
    def __init__(
        self,
        tuning: EventsTuning,
        *,
        node: NodeId,
        journals: LedJournals,
        membership: EventMembership,
        rng: random.Random,
        declared: Sequence[KnownGroup] = (),
        ran: Sequence[RanGroup] = (),
    ) -> None:
        """`declared` are groups that our row names already, in its first slots, and so does it name those that `ran`
        here before (`remembered_groups.py`)."""
        self._tuning = tuning
        self._node = node
        self._journals = journals
        self._membership = membership
        self._rng = rng
        self._timers = Timers()
        self._numbers = request_numbers(rng)
        """Of publishes, entries, reads and questions."""
        self.led: dict[JournalId, LedJournal] = {}
        """The journals that are led here: those for which we publish and deliver."""
        self.groups = GroupAnnouncements(declared, announced_groups(ran, declared))
        self.remembered = RememberedGroups(tuning, self.groups, membership, ran)
        self.counts: Counter[str] = Counter()
        """Of the journals that are led here, by what became of their events."""
        self.publishing = Publishing(tuning, self._timers, self._leader)
        self.receiving = Receiving(tuning, node, rng, membership)
        self._handled = HandledEvents()
        self._questions = Questions(self.next_ticket, self._handled, self.remembered.forget)
        self._member_questions = MemberQuestions(self._questions, self.led, ProvenQuestions(self._numbers))
        self._asked: dict[int, NodeId] = {}
        """By number: whom we asked."""

    def has_subscriber(self, group: str) -> bool:
        """Whether any member that runs subscribes to this group."""
        return self._membership.has_subscriber(group)

    def next_deadline(self) -> float:
        return min(self._timers.next_due(), self.receiving.next_deadline(), self._member_questions.next_due())

    def next_ticket(self) -> int:
        """A number for a publish, an entry or a question."""
        return next(self._numbers)

    def _leader(self, journal: JournalId) -> NodeId | None:
        return self._node if journal in self.led else self._membership.leader(journal)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def on_journal(self, effect: JournalEffect, now: float) -> list[EventEffect]:
        """What the journals tell."""
        match effect:
            case Established():
                return self._complete(self._begin(effect, now), now)
            case Deposed():
                return self._complete(self._end(effect), now)
        led = self.led.get(getattr(effect, "journal", JournalId(b"")))
        return [] if led is None else self._complete([*self._on_led(led, effect, now), *led.acts()], now)

    def _begin(self, effect: Established, now: float) -> list[EventEffect]:
        journal, machine = effect.journal, self._journals.machine(effect.journal)
        assert isinstance(machine, EventsMachine), "all journals have events"
        queue = PublishQueue(
            self._tuning, journal, machine, self._membership, next_ticket=self.next_ticket,
            has_takeover=lambda: self._journals.has_takeover(journal), counts=self.counts,
        )  # fmt: skip
        dispatch = JournalDispatch(
            self._tuning, journal, effect.ballot, machine, self._membership, self._timers, self._rng, self._numbers
        )
        led_ms = partial(self._journals.led_ms, journal)
        past = PastGroups(journal, machine, self._membership, self.next_ticket)
        self.led[journal] = LedJournal(journal, machine, queue, dispatch, past, led_ms)
        groups = self.groups.begin(journal, {name: group.patterns for name, group in machine.groups.items()})
        return [*groups, *dispatch.begin(now, led_ms(now)), *past.look(), *self.publishing.try_all(now)]

    def _end(self, effect: Deposed) -> list[EventEffect]:
        led = self.led.pop(effect.journal, None)
        if led is None:
            return []
        led.dispatch.end()
        self._member_questions.lost(effect.journal)
        answers = led.queue.end(f"this sidecar does not lead the journal any more: {effect.reason}")
        return [*self.groups.end(effect.journal), *answers]

    def _on_led(self, led: LedJournal, effect: JournalEffect, now: float) -> list[EventEffect]:
        match effect:
            case AppliedEntry():
                return self._on_applied(led, effect, now)
            case Settled():
                committed = effect.outcome is ProposalOutcome.COMMITTED
                effects = led.queue.settled(effect) + led.dispatch.settled(effect.ticket, committed, now)
                effects += led.past.settled(effect.ticket, committed)
                return effects + self._questions.settled(effect.ticket, committed=committed)
            case RecordsFound():
                return led.dispatch.payloads(effect.number, effect.values, now)
            case Confirmed():
                return self._member_questions.confirmed(led.journal, effect.number, now)
            case Pausing():
                led.paused = led.queue.paused = led.past.paused = True
                return led.dispatch.pause(now)
            case Resumed():
                led.paused = led.queue.paused = False
                return led.dispatch.resume(now) + led.queue.pump() + led.past.resume()
        return []

    def _on_applied(self, led: LedJournal, effect: AppliedEntry, now: float) -> list[EventEffect]:
        if not isinstance(effect.result, tuple):
            return []
        facts: Sequence[EventFact] = effect.result
        if effect.entry.kind == EventEntryKind.PUBLISH:
            led.queue.applied(effect.entry.index, facts)
        groups = [] if effect.entry.kind == EventEntryKind.OUTCOMES else self._on_groups(led, facts)
        return [*groups, *led.dispatch.applied(facts, effect.entry, now), *led.past.applied()]

    def _on_groups(self, led: LedJournal, facts: Iterable[EventFact]) -> list[EventEffect]:
        effects: list[EventEffect] = []
        for fact in facts:
            match fact:
                case GroupAdded() | GroupPatternsChanged():
                    led.queue.group_added(fact.name)
                    group = led.machine.groups.get(fact.name)
                    if group is not None:
                        effects += self.groups.put(led.journal, fact.name, group.patterns)
                case GroupForgotten():
                    led.queue.group_forgotten(fact.name)
                    led.past.group_forgotten(fact.name)
                    effects += self.groups.remove(led.journal, fact.name)
        return effects

    def refused(self, journal: JournalId, ticket: int, code: str, text: str, now: float) -> list[EventEffect]:
        """An entry that we proposed was not accepted."""
        led = self.led.get(journal)
        if led is None:
            return []
        if self._questions.owns(ticket):
            return self._complete(self._questions.refused(ticket, code, text), now)
        if led.past.owns(ticket):
            led.past.refused()
            return []
        if not led.queue.owns(ticket):
            return self._complete(led.dispatch.refused(ticket, now), now)
        if code == "journal_full":
            text += self._blame(led)
        return self._complete(led.queue.refused(ticket, code, text), now)

    def _blame(self, led: LedJournal) -> str:
        group = led.dispatch.to_blame()
        if group is None:
            return ""
        return (
            f"; group {group!r} has the most that is not acknowledged: start it, or `gossipreg events groups --forget`"
        )

    def received(self, node: NodeId, message: EventMessage, now: float) -> list[EventEffect]:
        """A message from the process of this member."""
        return self._complete(self._receive(node, message, now), now)

    def _receive(self, node: NodeId, message: EventMessage, now: float) -> list[EventEffect]:
        match message:
            case ForwardPublish():
                return self._on_publish(node, message)
            case PublishAnswers():
                return self.publishing.answered(node, message, now)
            case Deliveries():
                self.receiving.deliveries(node, message, now)
            case DeliveryOutcomes() | WindowOpened():
                return self._on_delivered(node, message, now)
            case EventsCall():
                return self._member_questions.ask(node, message, now)
            case EventsReply() if self._asked.get(message.number) == node:
                del self._asked[message.number]
                return [CallAnswered(message.number, message.code, message.result)]
        return []

    def _on_publish(self, node: NodeId, message: ForwardPublish) -> list[EventEffect]:
        led = self.led.get(message.journal)
        if led is not None:
            return led.queue.put(node, message)
        text = "this sidecar does not lead that journal now"
        refusal = PublishAnswers(
            journal=message.journal, number=message.number, code="unavailable", text=text, index=0, copies=0,
            takeover=False, duplicate=False, groups=0,
        )  # fmt: skip
        return [SendEventMessage(node, refusal)]

    def _on_delivered(self, node: NodeId, message: DeliveryOutcomes | WindowOpened, now: float) -> list[EventEffect]:
        led = self.led.get(message.journal)
        if led is None:
            return []
        if isinstance(message, WindowOpened):
            return led.dispatch.window(node, message, now) + led.acts()
        return led.dispatch.outcomes(node, message, now) + led.acts()

    def closed(self, node: NodeId, now: float) -> list[EventEffect]:
        """The stream to this member broke, or could not be opened."""
        effects = self.publishing.closed(node, now)
        for led in [*self.led.values()]:
            effects += led.dispatch.closed(node, now) + led.acts()
        self.receiving.closed(node, now)
        self._member_questions.closed(node)
        for number in [number for number, asked in self._asked.items() if asked == node]:
            del self._asked[number]
            effects.append(CallAnswered(number, "unavailable", NO_STREAM))
        return self._complete(effects, now)

    def members_changed(self, now: float) -> list[EventEffect]:
        """The answers of the membership changed."""
        effects = self.publishing.try_all(now)
        for led in [*self.led.values()]:
            effects += led.dispatch.members_changed(now) + led.past.look() + led.acts()
        self.receiving.members_changed()
        return self._complete(effects, now)

    def advance(self, now: float) -> list[EventEffect]:
        """Fire the timers that are due."""
        effects: list[EventEffect] = []
        for name, _ in self._timers.pop_due(now):
            effects += self._complete(self._on_timer(name, now), now)
        self.receiving.advance(now)
        return effects + self._complete(self._member_questions.advance(now), now)

    def _on_timer(self, name: Hashable, now: float) -> list[EventEffect]:
        match name:
            case PublishDeadline():
                return self.publishing.on_deadline(name.ticket)
            case PublishAgain():
                return self.publishing.on_again(now)
            case DispatchTimer():
                led = self.led.get(name.journal)
                return [] if led is None else led.dispatch.on_timer(name, now) + led.acts()
        return []

    # -- commands ----------------------------------------------------------------------------------------------------

    def publish(self, event: bytes, keep_ms: int, timeout_s: float, now: float) -> tuple[int, list[EventEffect]]:
        """Publish; PublishSettled with this ticket follows. `event` was checked."""
        ticket = self.next_ticket()
        groups = tuple(self._membership.groups_for(check_type(event_head(event).type)))
        effects = self.publishing.publish(ticket, event, keep_ms, timeout_s, now, groups=groups)
        return ticket, self._complete(effects, now)

    def opened(self, journal: JournalId, now: float) -> list[EventEffect]:
        """Our own journal is open."""
        return self._complete(self.publishing.opened(journal, now), now)

    def not_opened(self, code: str, text: str, now: float) -> list[EventEffect]:
        """Our own journal cannot be opened now."""
        return self._complete(self.publishing.not_opened(code, text, now), now)

    def done(
        self, subscription: int, number: int, result: DeliveryResult, text: str, after_ms: int, now: float
    ) -> bool:
        """What became of a handling here; `flush` gives what follows. False: its time was over, or it was settled.
        Raises NotFound."""
        self._handled.done(number, result, now)
        return self.receiving.done(number, subscription, result, text, after_ms, now)

    def give_back(self, handed: HandleEvent, now: float) -> bool:
        """A subscription here has not begun with this event, and will not. As `done`."""
        self._handled.drop(handed.number)
        return self.receiving.give_back(handed.number, handed.subscription, handed.event, now)

    def flush(self, now: float) -> list[EventEffect]:
        """What follows from commands to `receiving`."""
        return self._complete([], now)

    def ask(self, node: NodeId, method: str, params: bytes, now: float) -> tuple[int, list[EventEffect]]:
        """Ask a member that leads journals (`questions.py`); CallAnswered with this number follows."""
        number = self.next_ticket()
        self._asked[number] = node
        call = EventsCall(number=number, method=method, params=params)
        return number, self._complete([SendEventMessage(node, call)], now)

    def ask_no_more(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        self._asked.pop(number, None)

    # -- what follows here -------------------------------------------------------------------------------------------

    def _complete(self, effects: list[EventEffect], now: float) -> list[EventEffect]:
        """Carry out what is sent to this sidecar itself; return the rest, in order."""
        for_others: list[EventEffect] = []
        waiting = deque(effects)
        while waiting or (waiting := deque([*self.receiving.flush(now), *self._member_questions.answers(now)])):
            effect = waiting.popleft()
            if isinstance(effect, SendEventMessage) and effect.node == self._node:
                waiting.extend(self._receive(self._node, effect.message, now))
                continue
            if isinstance(effect, HandleEvent):
                self._handled.begin(effect, now)
            if isinstance(effect, AnnounceSubscription):
                for_others += self.remembered.announce(effect, now)
                continue
            for_others.append(effect)
        return for_others
