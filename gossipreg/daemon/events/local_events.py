"""The events of this sidecar, over its journals, its streams and its local clients.

Owns: which client has which subscription, and who waits for the answer of a publish. Never knows: how events are kept,
delivered or tried again; `gossipreg/events/` does. It follows the journals (`JournalFollower`), and each of its effects
is carried out in their order, behind those that are being carried out.
"""

import os
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio

from gossipreg.core.event_membership import EventRegistry
from gossipreg.daemon.events.asked_members import AskedMembers
from gossipreg.daemon.events.ended_journals import ENDED, told_ended
from gossipreg.daemon.events.event_params import AskedPublish, AskedSubscription
from gossipreg.daemon.events.event_programs import EventSubscriber, PublishWaiter
from gossipreg.daemon.events.event_reports import EventReports
from gossipreg.daemon.events.event_spans import EventSpans
from gossipreg.daemon.events.events_shown import EventsShown
from gossipreg.daemon.events.kept_groups import KeepGroupsOnDisk, KeptGroups
from gossipreg.daemon.events.member_answers import MemberAnswer
from gossipreg.daemon.events.own_answers import OwnAnswer, OwnAnswers
from gossipreg.daemon.events.row_announcements import RowAnnouncements
from gossipreg.daemon.journals.journal_share import JournalShare
from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.daemon.part_timers import PartTimers
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.socket_client import Params
from gossipreg.daemon.streams.inbox import StreamClosed, StreamNews, StreamReceived
from gossipreg.errors import NoDataDirectory
from gossipreg.events import tuning as event_tuning
from gossipreg.events.cloud_event import CloudEvent, encode_event
from gossipreg.events.effects import (
    ActsUnderWay,
    AnnounceSubscription,
    CallAnswered,
    ConfirmLead,
    DropHandling,
    EventEffect,
    HandleEvent,
    KeepGroups,
    LogEvents,
    OpenOwnJournal,
    ProposeEntry,
    PublishSettled,
    RanGroup,
    ReadPayloads,
    SendEventMessage,
)
from gossipreg.events.events import Events
from gossipreg.events.machine import EventsMachine
from gossipreg.events.membership import KnownGroup
from gossipreg.events.messages import DeliveryResult, EventMessage, EventsCall
from gossipreg.events.stored_events import payload_key
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import JournalEffect, RecordsFound
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.tracing import NO_TRACER, Tracer

if TYPE_CHECKING:
    from gossipreg.core.node import Node
    from gossipreg.daemon.logs import Log
    from gossipreg.daemon.troubles import Troubles
    from gossipreg.wire.shapes import Shape


EventMethod = Callable[["LocalEvents", Params], Awaitable[bytes]]


class LocalEvents:
    def __init__(
        self, node: "Node", pump: Pump, log: "Log", troubles: "Troubles", *, source: str,
        methods: "Mapping[str, EventMethod]", tuning: EventsTuning = event_tuning.default,
        declared: Sequence[KnownGroup] = (), ran: Sequence[tuple[str, str, float]] = (),
        keep: KeepGroupsOnDisk = lambda _: None, tracer: Tracer = NO_TRACER,
        answers: Mapping[str, OwnAnswer] | None = None, in_row: RowAnnouncements | None = None,
    ) -> None:  # fmt: skip
        """`source` stands in for events whose publisher names none; `methods` are those of the local socket, by name;
        `declared` are groups that our row names already, and so does it name those that `ran` here before, but for
        those for which `in_row` found no room; `keep` is called with those to keep over a restart; `answers` are those
        of the sidecar itself to other members, by the name of the question. `begin` comes next."""
        self._methods = methods
        self.tuning = tuning
        self.source = source
        self._declared = declared
        self.spans = EventSpans(tracer)
        self._ran = tuple(map(RanGroup._make, ran))
        self.kept_groups = KeptGroups(keep, lambda *reply: self.runtime.streams.send(*reply))
        self._node = node
        self._pump = pump
        self._reports = EventReports(log, troubles, max_age_s=tuning.max_age_s)
        self._in_row = in_row or RowAnnouncements(node, pump, log, troubles)
        self._rng = random.Random(os.urandom(16))
        self._share: JournalShare | None = None
        self._events: Events | None = None
        self._shown: EventsShown | None = None
        self._registry: EventRegistry | None = None
        self._asked: AskedMembers | None = None
        own = {**(answers or {}), ENDED: self._say_ended}
        self._own_answers = OwnAnswers(own, lambda *reply: self.runtime.streams.send(*reply), pump.bug)
        self._subscribers: dict[int, EventSubscriber] = {}
        self._waiters: dict[int, PublishWaiter] = {}
        self._effects: deque[EventEffect] = deque()
        self._acting = False
        self._timers = PartTimers(
            pump, "events_advance", deadline=lambda: self.events.next_deadline(), advance=self._advance
        )  # fmt: skip

    def begin(self, share: JournalShare) -> None:
        """The runtime that this follows is there; it has no journals yet."""
        self._share = share
        self._registry = EventRegistry(self._node, share.runtime.membership)
        journals = JournalsOfRuntime(share.runtime, EventsMachine)
        self._events = Events(
            self.tuning, node=self._node.id, journals=journals, membership=self._registry, rng=self._rng,
            declared=self._declared, ran=self._ran,
        )  # fmt: skip
        self._shown = EventsShown(self._events, journals, self._reports.counts)
        self._asked = AskedMembers(
            self._events, self._registry, name=self._node.name_of_gone, now=self._pump.now, carry_out=self._carry_out,
            runtime=self.runtime, source=self.source,
        )  # fmt: skip

    @property
    def share(self) -> JournalShare:
        assert self._share is not None, "begin comes first"
        return self._share

    @property
    def runtime(self) -> JournalRuntime:
        return self.share.runtime

    @property
    def registry(self) -> EventRegistry:
        assert self._registry is not None, "begin comes first"
        return self._registry

    @property
    def events(self) -> Events:
        assert self._events is not None, "begin comes first"
        return self._events

    @property
    def asked(self) -> AskedMembers:
        assert self._asked is not None, "begin comes first"
        return self._asked

    async def call(self, method: str, params: Params) -> bytes:
        """A method of the local socket about events."""
        return await self._methods[method](self, params)

    # -- what people see ---------------------------------------------------------------------------------------------

    def section(self) -> "Shape":
        """The section `events` of `info`; empty where nothing here has used events."""
        return {} if self._shown is None else self._shown.section(self._pump.now())

    def figures(self) -> dict[str, int]:
        """Figures and counters, for `info` and the metrics."""
        return self._in_row.counts() | ({} if self._shown is None else self._shown.counts())

    def look(self) -> None:
        """See what an operator should know. It is looked at now and then, since time alone can change it."""
        if self._shown is not None:
            self._carry_out(self.events.remembered.look(self._pump.now()))
            self._in_row.look(self.events.groups.left_out)
            self._reports.look(self._shown, self._pump.now())

    # -- for local clients -------------------------------------------------------------------------------------------

    async def publish(self, asked: AskedPublish) -> PublishSettled:
        """Publish, and wait until it is durable. Raises RequestError."""
        if self.runtime.disk is None:
            raise NoDataDirectory("this sidecar has no disk to publish to: start it with --data-dir DIR")
        event, span = self.spans.publish(asked.event)
        with span:
            return self.spans.published(span, await self._publish(event, asked))

    async def _publish(self, event: CloudEvent, asked: AskedPublish) -> PublishSettled:
        ticket, effects = self.events.publish(encode_event(event), asked.keep_ms, asked.timeout_s, self._pump.now())
        waiter = self._waiters[ticket] = PublishWaiter()
        self._carry_out(effects)
        try:
            await waiter.event.wait()
        finally:
            del self._waiters[ticket]
            if waiter.answer is None:
                self.events.publishing.abandon(ticket)
        return waiter.result(asked.event.id, self.runtime.disk_hint())

    async def ask_all(
        self, method: str, params: Mapping[str, Any], *, handlers: bool = False, journals: bool = True
    ) -> list[MemberAnswer]:
        """As `AskedMembers.ask`."""
        return await self.asked.ask(method, params, handlers=handlers, journals=journals)

    async def _say_ended(self, params: dict[str, Any]) -> Any:
        return told_ended(params, JournalsOfRuntime(self.runtime, EventsMachine).ended())

    def known_groups(self) -> dict[str, tuple[str, ...]]:
        """The patterns of each group that runs, was declared, or is remembered, at any member of the registry."""
        return self.registry.all_groups()

    def away_with(self, group: str) -> list[str]:
        """The names of the members that have this group so, and do not run; NAME.ID8 where another one of that name
        came back in its place and runs."""
        return [self._node.name_of_gone(node) for node in self.registry.away_with(group)]

    def dead_participants(self) -> list[str]:
        """The names of the members that may have handled events, and are dead."""
        return [self._node.name_of_gone(node) for node in self.registry.dead_participants()]

    def instances_of(self, group: str) -> int:
        """How many members have a subscription of this group now."""
        return self.registry.instances_of(group)

    def subscribe(self, subscriber: EventSubscriber, asked: AskedSubscription) -> int:
        """Hand events to this subscriber from now on. Returns the number of the subscription. Raises RequestError."""
        number = self.events.receiving.subscribe(
            asked.group, asked.patterns, window=asked.window, on_dead=asked.on_dead,
            max_attempts=asked.max_attempts or None, ack_timeout_s=asked.ack_timeout_s, broadcast=not asked.group,
            past=asked.past,
        )  # fmt: skip
        self._subscribers[number] = subscriber
        self.flush()
        return number

    def unsubscribe(self, number: int, *, hung_up: bool) -> None:
        """End a subscription; `hung_up`: without a word, so what it had is an attempt that failed."""
        self._subscribers.pop(number, None)
        if hung_up:
            self.spans.hung_up(number)
        self.events.receiving.unsubscribe(number, self._pump.now(), hung_up=hung_up)
        self.flush()

    def suspend(self, number: int, *, takes: bool) -> None:
        """Whether this subscription takes events now."""
        if takes:
            self.events.receiving.resume(number)
        else:
            self.events.receiving.suspend(number, self._pump.now())
        self.flush()

    def done(
        self, subscription: int, number: int, result: DeliveryResult, reason: str = "", after_s: float = 0.0
    ) -> bool:
        """What became of a handling of this subscription; number 0: one that nobody waits for. False: it was settled
        before, or its time was over. `flush` must follow. Raises NotFound."""
        known = self.events.done(subscription, number, result, reason, int(after_s * 1000), self._pump.now())
        self.spans.done(number, result)
        return known

    def give_back(self, handed: HandleEvent) -> bool:
        """The subscriber has not begun to handle this, and will not: that is no attempt. As `done`."""
        self.spans.given_back(handed.number)
        return self.events.give_back(handed, self._pump.now())

    def delay(self, handed: HandleEvent) -> None:
        """The subscriber keeps this until there is room for it: its time begins with `hand_over`. Raises NotFound."""
        self.events.receiving.delay(handed.number, handed.subscription)

    def hand_over(self, handed: HandleEvent) -> None:
        """The handler has what was delayed. `flush` must follow. Raises NotFound."""
        self.spans.waited(handed.number)
        self.events.receiving.hand_over(handed.number, handed.subscription, self._pump.now())

    def renew(self, subscription: int, number: int) -> bool:
        """The handler still runs. False: its time was over. `flush` must follow. Raises NotFound."""
        return self.events.receiving.renew(number, subscription, self._pump.now())

    def flush(self) -> None:
        """Carry out what follows from the calls above, which may be many."""
        self._carry_out(self.events.flush(self._pump.now()))

    # -- the journals (see JournalFollower) --------------------------------------------------------------------------

    def machine(self, journal: JournalId) -> EventsMachine:
        del journal
        return EventsMachine(self.tuning)

    def on_journal(self, effect: JournalEffect) -> None:
        self._carry_out(self.events.on_journal(effect, self._pump.now()))

    def on_stream(self, news: StreamNews) -> None:
        match news:
            case StreamClosed():
                self.kept_groups.gone(news.node)
                self._carry_out(self.events.closed(news.node, self._pump.now()))
            case StreamReceived(node=node, message=EventsCall() as call) if self._own_answers.takes(node, call):
                pass
            case StreamReceived() if isinstance(news.message, EventMessage):
                self.kept_groups.received(news.node, news.message)
                self._carry_out(self.events.received(news.node, news.message, self._pump.now()))

    def on_members(self, ids: Collection[NodeId]) -> None:
        self.registry.follow(ids)
        self._carry_out(self.events.members_changed(self._pump.now()))

    # -- time --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Fire the timers, and answer other members, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._own_answers.run)
            nursery.start_soon(self.kept_groups.run)
            nursery.start_soon(self._timers.run)

    def _advance(self, now: float) -> None:
        self._carry_out(self.events.advance(now))

    # -- effects -----------------------------------------------------------------------------------------------------

    def _carry_out(self, effects: Iterable[EventEffect]) -> None:
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                try:
                    self._carry_out_one(effect)
                except Exception as error:
                    self._pump.bug("events_effect", error)
        finally:
            self._acting = False
        self._timers.wake()

    def _carry_out_one(self, effect: EventEffect) -> None:
        match effect:
            case SendEventMessage():
                if not self.kept_groups.answers(effect.node, effect.message):
                    self.runtime.streams.send(effect.node, effect.message)
            case HandleEvent():
                self._hand(effect)
            case ProposeEntry():
                self._propose(effect)
            case PublishSettled():
                if (waiter := self._waiters.get(effect.ticket)) is not None:
                    waiter.answered(effect)
            case CallAnswered():
                if self._asked is not None:
                    self._asked.answered(effect)
            case ReadPayloads():
                self._read(effect)
            case DropHandling():
                self.spans.dropped(effect.number)
                if (subscriber := self._subscribers.get(effect.subscription)) is not None:
                    subscriber.drop(effect.number)
            case OpenOwnJournal():
                self._open()
            case ActsUnderWay():
                self.share.acts(effect.journal, effect.count)
            case ConfirmLead():
                self.share.confirm(effect.journal, effect.number)
            case AnnounceSubscription():
                self._in_row.announce(effect)
            case KeepGroups():
                self.kept_groups.keep(effect.groups)
            case LogEvents():
                self._reports.event(effect)

    def _hand(self, effect: HandleEvent) -> None:
        subscriber = self._subscribers.get(effect.subscription)
        if subscriber is not None:
            self._reports.counts["events.delivered"] += 1
            self.spans.handed(effect)
            subscriber.handle(effect)

    def _propose(self, effect: ProposeEntry) -> None:
        try:
            self.share.propose(effect.journal, effect.data, effect.ticket, kind=effect.kind, ends=effect.ends)
        except ProposalRefused as refusal:
            now = self._pump.now()
            self._carry_out(self.events.refused(effect.journal, effect.ticket, refusal.code, str(refusal), now))

    def _read(self, effect: ReadPayloads) -> None:
        """Where too much is read already the events are asked for again later, as those that are not there."""
        keys = tuple(map(payload_key, effect.indexes))
        try:
            self.share.read_records(effect.journal, keys, effect.number)
        except ProposalRefused:
            found = RecordsFound(effect.journal, effect.number, (None,) * len(keys))
            self._carry_out(self.events.on_journal(found, self._pump.now()))

    def _open(self) -> None:
        self.runtime.need_disk()
        try:
            journal = self.runtime.own.open()
        except ProposalRefused as refusal:
            self._carry_out(self.events.not_opened(refusal.code, str(refusal), self._pump.now()))
        else:
            self._carry_out(self.events.opened(journal, self._pump.now()))
