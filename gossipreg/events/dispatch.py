"""Delivery of a journal's events, at the sidecar that leads the journal: from `Established` until `Deposed`.

Owns: what follows from what: a committed entry, an answer, a broken stream, a change of the members. Never knows:
streams, disks, clocks. It acts on committed state only; what it decides itself (an attempt, a dead letter, an
acknowledgement) it proposes as OUTCOMES entries and does not wait for: the next event of a key follows the answer, not
the commit. After a takeover what was not committed is delivered again.

    machine           what each group waits for, as it is committed
    delivering        which of that goes to whom (group_queue: keys and order; windows: members)
    delivery_answers  what follows from an answer (attempts: how often it failed, when it goes again)
    outcome_batch     what is to be committed
    delivery_sender   payloads and messages
    group_look        which groups have instances, and what is too old

Each input returns its effects, and ends with `_finish`: as many deliveries as members and windows allow, the entries,
the timers. There is no timer while nothing waits.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf

from gossipreg.events.attempts import AttemptCounts, LetterId
from gossipreg.events.backlog_feed import PAUSE_S, BacklogFeed
from gossipreg.events.cloud_event import event_head
from gossipreg.events.delivering import Delivering
from gossipreg.events.delivery_answers import DeliveryAnswers
from gossipreg.events.delivery_sender import DeliverySender
from gossipreg.events.dispatched import DispatchedEvents
from gossipreg.events.effects import EventEffect, LogEvents
from gossipreg.events.entries import EVENTS_STEP, EventEntryKind, NewEvent, decode_publish
from gossipreg.events.facts import (
    DeliverySettled,
    EventAdded,
    EventFact,
    EventPublished,
    EventsExpired,
    GroupAdded,
    GroupForgotten,
    KeptEventAdded,
    KeyReleased,
    LetterAgain,
    PublishVerdict,
)
from gossipreg.events.group_lag import GroupLag, group_lag, group_to_blame
from gossipreg.events.group_look import RETRY_S, GroupLook
from gossipreg.events.membership import EventMembership
from gossipreg.events.messages import DeliveryOutcomes, DeliveryResult, WindowOpened
from gossipreg.events.outcome_batch import OutcomeBatch
from gossipreg.events.payload_cache import PayloadCache
from gossipreg.events.tuning import EventsTuning
from gossipreg.events.windows import MemberLink, MemberWindow, MemberWindows
from gossipreg.journal.model import Ballot, JournalId, LogEntry
from gossipreg.model import NodeId
from gossipreg.timers import Timers

MAX_UNSETTLED = 16_384
"""Outcomes that are not committed: with more, nothing is delivered until the journal commits again, so that little is
delivered twice after a takeover."""
MISSING_S = 30.0
"""A payload that could not be read is asked for again after this."""


class DispatchWork(Enum):
    """What a timer of a dispatch is for."""

    REDELIVER = "redeliver"
    MEMBERS = "members"
    """A wait for a member is over."""
    OUTCOMES = "outcomes"
    LOOK = "look"
    BACKLOG = "backlog"
    """The rest of what waits when a leader begins."""


@dataclass(frozen=True, slots=True)
class DispatchTimer:
    journal: JournalId
    work: DispatchWork


class JournalDispatch:
    def __init__(
        self,
        tuning: EventsTuning,
        journal: JournalId,
        ballot: Ballot,
        machine: DispatchedEvents,
        membership: EventMembership,
        timers: Timers,
        rng: random.Random,
        numbers: Iterator[int],
    ) -> None:
        """`numbers` counts up for tickets and reads, and is shared by all that propose to this journal."""
        self._tuning = tuning
        self._journal = journal
        self._ballot = ballot
        self._machine = machine
        self._membership = membership
        self._timers = timers
        self._numbers = numbers
        self._windows = MemberWindows(tuning)
        self._cache = PayloadCache()
        self._counts = AttemptCounts(tuning, lambda letter: machine.failures.get(letter))
        self._batch = OutcomeBatch(tuning, journal, numbers)
        self._sender = DeliverySender(journal, ballot, self._cache, self._windows, numbers)
        self._delivering = Delivering(machine, membership, self._windows, self._sender, self._counts, rng)
        self._answers = DeliveryAnswers(tuning, machine, self._delivering, self._windows, self._counts, self._batch)
        self._look = GroupLook(tuning, journal, machine, membership, numbers)
        self._look_not_before = 0.0
        self._feed = BacklogFeed()
        self._effects = self._answers.effects
        self._listeners: dict[str, Sequence[NodeId]] = {}
        """Of the types of the events of one entry."""
        self._paused = False
        self._led_at_zero_ms = 0.0
        """Led time when the clock was at zero."""

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def acting(self) -> int:
        """Deliveries that are unanswered, and outcomes that are not committed."""
        return self._windows.count + len(self._batch)

    @property
    def cached_bytes(self) -> int:
        """Of the events that are in memory to be delivered."""
        return self._cache.size_bytes

    def lag(self, now: float) -> list[GroupLag]:
        led_ms = self._led_ms(now)
        return [
            group_lag(self._machine, name, self._windows.unanswered_of(number), led_ms)
            for number, name in self._groups()
        ]

    def to_blame(self) -> str | None:
        """The group that waits for the most bytes; None if nobody waits."""
        return group_to_blame(self._machine)

    def _groups(self) -> list[tuple[int, str]]:
        return [(group.number, name) for name, group in self._machine.groups.items()]

    def _led_ms(self, now: float) -> int:
        return int(self._led_at_zero_ms + now * 1000)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def begin(self, now: float, led_ms: int) -> list[EventEffect]:
        """Our ballot is committed: from here on everything that waits is delivered."""
        self._led_at_zero_ms = led_ms - now * 1000
        self._look.begin(led_ms)
        self._look_not_before = now + RETRY_S
        for number, name in self._groups():
            self._delivering.add_group(number, name)
        self._feed.begin(self._waiting([*self._machine.events]))
        self._take_backlog()
        return self._finish(now)

    def applied(self, facts: Iterable[EventFact], entry: LogEntry, now: float) -> list[EventEffect]:
        """A committed entry, and what it changed."""
        facts = tuple(facts)
        published: list[NewEvent] = []
        if facts and entry.kind == EventEntryKind.PUBLISH:
            _, published = decode_publish(entry.data)
        self._listeners.clear()
        for fact in facts:
            self._on_fact(fact, published)
        if published and self._look_due() <= now:
            self._take_look(now)
        return self._finish(now)

    def outcomes(self, node: NodeId, message: DeliveryOutcomes, now: float) -> list[EventEffect]:
        """A member answers deliveries, and says how many it takes."""
        link, ours = self._windows.link(node), message.ballot == self._ballot
        died = Counter(outcome.group for outcome in message.outcomes if outcome.result is DeliveryResult.DIED)
        for outcome in message.outcomes:
            self._answers.answer(link, outcome, ours, now, died=died[outcome.group])
        for name, told in message.windows:
            if (window := self._window(name, node)) is not None:
                window.told = max(1, told)
        self._heard(link)
        return self._finish(now)

    def window(self, node: NodeId, message: WindowOpened, now: float) -> list[EventEffect]:
        """A member that refused has room again, or a subscriber."""
        for name, told in message.windows:
            if (window := self._window(name, node)) is not None:
                window.open(told)
        self._heard(self._windows.link(node))
        return self._finish(now)

    def closed(self, node: NodeId, now: float) -> list[EventEffect]:
        """The stream to this member broke, or could not be opened."""
        link = self._windows.link(node)
        if link is not None:
            if self._membership.process(node) != link.process:
                self._answers.member_ended(link, now)
            elif self._windows.broke(link, now):
                self._delivering.send_again(link)
            self._delivering.wake_all()
        return self._finish(now)

    def members_changed(self, now: float) -> list[EventEffect]:
        """The answers of the membership changed."""
        for link in self._windows.links():
            if self._membership.process(link.node) != link.process:
                self._answers.member_ended(link, now)
        self._windows.members_changed()
        self._delivering.members_changed()
        return self._finish(now)

    def payloads(self, number: int, values: Sequence[bytes | None], now: float) -> list[EventEffect]:
        """What `ReadPayloads` asked for, in the order of its indexes; None: it is not there."""
        for delivery in self._sender.payloads(number, values):
            if self._delivering.wants(delivery):
                self._windows.remove(delivery)
                self._delivering.redeliveries.wait((delivery.group, delivery.index), now + MISSING_S)
                fields = ("journal", self._journal.hex()), ("index", delivery.index)
                self._effects.append(LogEvents("event_payload_missing", fields))
            else:
                self._delivering.give_up(delivery)
        return self._finish(now)

    def settled(self, ticket: int, committed: bool, now: float) -> list[EventEffect]:
        """What became of an entry that was proposed here. Where that is unknown another leader goes on."""
        if not self._batch.settled(ticket, committed):
            self._effects += self._look.settled(ticket, committed)
        return self._finish(now)

    def refused(self, ticket: int, now: float) -> list[EventEffect]:
        """The journal did not accept this entry."""
        if not self._batch.refused(ticket, now):
            self._look.refused(ticket)
        return self._finish(now)

    def pause(self, now: float) -> list[EventEffect]:
        """The journal is about to be handed over: begin nothing new."""
        self._paused = True
        return self._finish(now)

    def resume(self, now: float) -> list[EventEffect]:
        self._paused = False
        self._delivering.wake_all()
        return self._finish(now)

    def on_timer(self, name: DispatchTimer, now: float) -> list[EventEffect]:
        match name.work:
            case DispatchWork.REDELIVER | DispatchWork.MEMBERS:
                self._delivering.take_due(now)
            case DispatchWork.BACKLOG:
                self._take_backlog()
            case DispatchWork.LOOK if self._look_due() <= now:
                self._take_look(now)
            case _:
                pass  # `_finish` proposes what is due
        return self._finish(now)

    def end(self) -> None:
        """We do not lead the journal any more."""
        for work in DispatchWork:
            self._timers.cancel(DispatchTimer(self._journal, work))

    # -- facts -------------------------------------------------------------------------------------------------------

    def _on_fact(self, fact: EventFact, published: list[NewEvent]) -> None:
        match fact:
            case DeliverySettled(group, index):
                self._delivering.settled((group, index))
                event = self._machine.events.get(index)
                if event is None or not event.waiting:
                    self._cache.drop(index)
            case EventPublished(PublishVerdict.NEW, index):
                self._broadcast(index, published[index % EVENTS_STEP].data)
            case EventAdded(index, groups):
                self._cache.put(index, published[index % EVENTS_STEP].data)
                for group in groups:
                    self._add((group, index))
            case LetterAgain(group, index) | KeptEventAdded(group, index):
                self._delivering.settled((group, index))
                self._add((group, index))
            case KeyReleased(group, key):
                self._delivering.release(group, key)
            case GroupAdded(number, name):
                self._delivering.add_group(number, name)
            case GroupForgotten(number, name, reason, dropped):
                self._delivering.forget_group(number)
                self._answers.forget_group(number)
                fields = ("group", name), ("reason", reason), ("dropped", dropped)
                self._effects.append(LogEvents("group_forgotten", fields))
            case EventsExpired(dropped):
                self._effects.append(LogEvents("events_expired", (("dropped", dropped),)))
            case _:
                pass  # a duplicate; an attempt, which is known here; an event that nobody waited for

    def _add(self, letter: LetterId) -> None:
        if self._feed.ended:
            self._delivering.add(letter)
        else:
            self._feed.put(letter)

    def _broadcast(self, index: int, payload: bytes) -> None:
        stored = self._machine.events.get(index)
        type = event_head(payload).type if stored is None else stored.type
        nodes = self._listeners.get(type)
        if nodes is None:
            nodes = self._listeners[type] = self._membership.listeners(tuple(type.split(".")))
        for node in nodes:
            self._sender.broadcast(node, index, payload)

    def _waiting(self, indexes: list[int]) -> Iterator[LetterId]:
        for index in indexes:
            event = self._machine.events.get(index)
            if event is not None:
                yield from ((group, index) for group in sorted(event.waiting))

    def _take_backlog(self) -> None:
        for letter in self._feed.step():
            self._delivering.add(letter)

    # -- members -----------------------------------------------------------------------------------------------------

    def _window(self, name: str, node: NodeId) -> MemberWindow | None:
        """The window of this group at this member, which may have room now."""
        group = self._machine.groups.get(name)
        if group is None:
            return None
        self._delivering.wake(group.number)
        return self._windows.known(group.number, node)

    def _heard(self, link: MemberLink | None) -> None:
        """Its process lives: what it was given before its stream broke goes again, to it or to another one."""
        if link is not None and self._windows.heard(link):
            self._delivering.give_up_all(link)
            self._delivering.wake_all()

    # -- the end of an input -----------------------------------------------------------------------------------------

    def _finish(self, now: float) -> list[EventEffect]:
        if not self._paused and len(self._batch) < MAX_UNSETTLED:
            self._delivering.deliver()
        effects = [*self._effects, *self._sender.flush(), *self._batch.take(now)]
        self._effects.clear()
        self._arm(DispatchWork.REDELIVER, self._delivering.redeliveries.next_due())
        self._arm(DispatchWork.MEMBERS, self._windows.next_due())
        self._arm(DispatchWork.OUTCOMES, self._batch.due())
        self._arm(DispatchWork.LOOK, self._look_due() if self._machine.events else inf)
        self._arm(DispatchWork.BACKLOG, inf if self._feed.ended else now + PAUSE_S)
        return effects

    def _arm(self, work: DispatchWork, due: float) -> None:
        timer = DispatchTimer(self._journal, work)
        if due == inf:
            self._timers.cancel(timer)
        elif self._timers.due(timer) != due:
            self._timers.set(timer, due)

    def _look_due(self) -> float:
        return max(self._look_not_before, (self._look.due_ms - self._led_at_zero_ms) / 1000)

    def _take_look(self, now: float) -> None:
        self._look_not_before = now + RETRY_S
        self._effects += self._look.take(self._led_ms(now)) or []
