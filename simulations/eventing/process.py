"""The events of one process, beside its journals: composed as the daemon does it (`daemon/events/local_events.py`).

Owns: how effects are carried out, and when timers fire. Never knows: what programs do with an event, or what must hold
(`simulations/checkers/events/`).

A program gets an event, and an answer gets to the sidecar, at once: the local socket takes no time. What programs say
waits while the process is stalled.
"""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Protocol

from gossipreg.core.event_membership import EventRegistry
from gossipreg.events.announced import GROUP_KIND, encode_group
from gossipreg.events.effects import (
    ActsUnderWay,
    AnnounceSubscription,
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
from gossipreg.events.messages import Deliveries, DeliveryResult, EventMessage
from gossipreg.events.remembered_groups import announced_groups
from gossipreg.events.stored_events import payload_key
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.combined import CombinedMachine, part_of
from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    Pausing,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from simulations.eventing.observer import EventObserver
from simulations.eventing.publication import Publication
from simulations.eventing.subscriber import Subscriber
from simulations.journaling.follower import Follower
from simulations.journaling.process import JournalProcess

_ENDED = (ProcessStanding.LEFT, ProcessStanding.REFUSED, ProcessStanding.SILENT)
_TOLD = AppliedEntry | Confirmed | Deposed | Established | Pausing | RecordsFound | Resumed | Settled
"""What the journals tell those that stand on them."""


class Programs(Protocol):
    """The programs of all hosts."""

    def begin(self, process: "EventProcess") -> None:
        """The events of this process are there."""


@dataclass(frozen=True, slots=True)
class _ProcessJournals:
    """What events ask of the journals (`LedJournals`)."""

    process: JournalProcess

    @property
    def _journals(self) -> Journals:
        assert self.process.journals is not None, "events begin behind the journals"
        return self.process.journals

    def machine(self, journal: JournalId) -> object:
        return part_of(self._journals.machine(journal), EventsMachine)

    def has_takeover(self, journal: JournalId) -> bool:
        return self._journals.has_takeover(journal)

    def led_ms(self, journal: JournalId, now: float) -> int:
        return self._journals.led_ms(journal, now)


@dataclass(slots=True)
class KeptGroups:
    """The groups that a host keeps over a restart of its sidecar. They are in a file of their own, so the faults of the
    journals' disk do not strike it."""

    ran: tuple[RanGroup, ...] = ()


class EventProcess(Follower):
    def __init__(
        self, process: JournalProcess, tuning: EventsTuning, programs: Programs, watcher: EventObserver,
        kept_groups: KeptGroups,
    ) -> None:  # fmt: skip
        self.process = process
        self.host = process.host
        self.registry = EventRegistry(process.host.node, process.membership)
        self.subscribers: dict[int, Subscriber] = {}
        """By the number of the subscription."""
        self.begun = False
        self._tuning = tuning
        self._programs = programs
        self._watcher = watcher
        self._publications: dict[int, tuple[Publication, Callable[[PublishSettled], None]]] = {}
        """By ticket."""
        self._boots: dict[NodeId, bytes] = {}
        """The process of each member, as far as its row says."""
        self._effects: deque[EventEffect] = deque()
        self._acting = False
        self._wake_at = inf
        self.wakes = 0
        """Timers that fired."""
        rng = process.world.randomness.of("events", self.host.number, process.starts)
        self._kept_groups = kept_groups
        self.events = Events(
            tuning, node=self.host.id, journals=_ProcessJournals(process), membership=self.registry, rng=rng,
            ran=kept_groups.ran,
        )  # fmt: skip
        for slot, group in enumerate(announced_groups(kept_groups.ran)):
            self._announce(AnnounceSubscription(GROUP_KIND, slot, encode_group(group)))

    @property
    def runs(self) -> bool:
        return self.begun and self.process.runs

    @property
    def now(self) -> float:
        return self.process.now

    # -- the journals ------------------------------------------------------------------------------------------------

    def machine(self, journal: JournalId) -> CombinedMachine:  # noqa: ARG002  all journals have events
        return CombinedMachine((EventsMachine(self._tuning),))

    def begin(self) -> None:
        self.begun = True
        if self.runs:
            self._programs.begin(self)

    def on_journal(self, effect: JournalEffect) -> None:
        if isinstance(effect, _TOLD) and self.process.runs:
            self._watcher.on_journal(self, effect)
            self.act(self.events.on_journal(effect, self.now))

    def on_message(self, node: NodeId, message: object) -> None:
        assert isinstance(message, EventMessage)
        if not self.runs:
            return
        if isinstance(message, Deliveries):
            self._watcher.on_deliveries(self, message)
        self.act(self.events.received(node, message, self.now))

    def on_closed(self, node: NodeId) -> None:
        if self.runs:
            self.act(self.events.closed(node, self.now))

    def on_members(self, ids: Iterable[NodeId]) -> None:
        ids = tuple(ids)
        self.registry.follow(ids)
        for id in ids:
            self._close_stream_if_gone(id)
        if self.runs:
            self.act(self.events.members_changed(self.now))

    def _close_stream_if_gone(self, id: NodeId) -> None:
        """End the stream to a process that does not run any more, as the daemon does."""
        member, peer = self.process.membership.member(id), self.process.world.by_id.get(id)
        before = self._boots.get(id)
        self._boots[id] = member.boot_id
        gone = member.standing in _ENDED or before not in (None, b"", member.boot_id)
        streams = self.process.world.connections
        if gone and peer is not None:
            had = streams.has(self.host, peer)
            streams.close(self.host, peer)
            if had:
                self.process.closed(peer, refused=False)

    # -- for programs ------------------------------------------------------------------------------------------------

    def publish(
        self, publication: Publication, timeout_s: float, settle: Callable[[PublishSettled], None]
    ) -> None:  # fmt: skip
        """Publish; `settle` is called with what becomes of it, unless this process ends before."""
        self._watcher.on_publish(self, publication)
        ticket, effects = self.events.publish(publication.event, publication.keep_ms, timeout_s, self.now)
        self._publications[ticket] = publication, settle
        self.act(effects)

    def subscribe(self, subscriber: Subscriber) -> int:
        """Begin the subscription of this program; return its number."""
        number = self.events.receiving.subscribe(
            subscriber.group, subscriber.patterns, window=subscriber.window, max_attempts=subscriber.max_attempts,
            ack_timeout_s=subscriber.ack_timeout_s, broadcast=not subscriber.group, past=subscriber.past,
            on_dead="hold" if subscriber.hold else "go_on",
        )  # fmt: skip
        self.subscribers[number] = subscriber
        self.flush()
        return number

    def hang_up(self, number: int, running: Iterable[int]) -> None:
        """The program of this subscription died while these handlings of it ran."""
        subscriber = self.subscribers.pop(number)
        for handling in running:
            self._watcher.on_over(self, subscriber, handling)
        self.events.receiving.unsubscribe(number, self.now, hung_up=True)
        self.flush()

    def answer(self, subscriber: Subscriber, handed: HandleEvent, result: DeliveryResult, after_ms: int = 0) -> None:
        """A program says what became of an event."""
        self._watcher.on_answer(self, subscriber, handed, result)
        if self.events.done(handed.subscription, handed.number, result, result.name, after_ms, self.now):
            self._watcher.on_over(self, subscriber, handed.number)
        self.flush()

    def take(self, handed: HandleEvent) -> None:
        """A program has taken an event that was broadcast."""
        self.events.done(handed.subscription, 0, DeliveryResult.ACKED, "", 0, self.now)
        self.flush()

    def renew(self, handed: HandleEvent) -> bool:
        """A handler still runs. Return whether its time was not over."""
        renewed = self.events.receiving.renew(handed.number, handed.subscription, self.now)
        self.flush()
        return renewed

    def ask(self, node: NodeId, method: str, params: bytes) -> None:
        """Ask a member that leads journals; nobody waits for the answer."""
        number, effects = self.events.ask(node, method, params, self.now)
        self.act(effects)
        self.events.ask_no_more(number)

    def flush(self) -> None:
        self.act(self.events.flush(self.now))

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, effects: Iterable[EventEffect]) -> None:
        """Carry out these effects, behind those that are being carried out."""
        self._effects.extend(effects)
        if self._acting:
            return
        self._acting = True
        while self._effects and self.process.runs:
            self._carry_out(self._effects.popleft())
        self._acting = False
        if self.process.runs:
            self._watcher.after(self)
            self._set_timer()

    def _carry_out(self, effect: EventEffect) -> None:
        match effect:
            case SendEventMessage():
                if isinstance(effect.message, Deliveries):
                    self._watcher.on_send_deliveries(self, effect.message)
                self.process.send(effect.node, effect.message)
            case HandleEvent():
                self._hand(effect)
            case ProposeEntry():
                self._propose(effect)
            case PublishSettled():
                self._settle(effect)
            case ReadPayloads():
                keys = tuple(map(payload_key, effect.indexes))
                self.process.input(
                    lambda journals: journals.read_records(effect.journal, keys, effect.number, self.now)
                )
            case DropHandling():
                if (subscriber := self.subscribers.get(effect.subscription)) is not None:
                    self._watcher.on_over(self, subscriber, effect.number)
                    subscriber.drop(effect.number)
            case OpenOwnJournal():
                self._open()
            case ActsUnderWay():
                self.process.input(lambda journals: journals.acts(effect.journal, effect.count, self.now))
            case ConfirmLead():
                with suppress(ProposalRefused):  # it is asked for again
                    self.process.input(lambda journals: journals.confirm(effect.journal, effect.number, self.now))
            case AnnounceSubscription():
                self._announce(effect)
            case KeepGroups():
                self._kept_groups.ran = effect.groups
            case LogEvents():
                self._watcher.on_log(self, effect)
            case _:
                pass  # the answer to a question, for which nobody waits

    def _announce(self, effect: AnnounceSubscription) -> None:
        effects = self.registry.announce(effect.kind, effect.slot, effect.value, self.now)
        self.process.world.act(self.host, effects)

    def _hand(self, effect: HandleEvent) -> None:
        subscriber = self.subscribers.get(effect.subscription)
        if subscriber is not None:
            self._watcher.on_handle(self, subscriber, effect)
            subscriber.handle(effect)

    def _settle(self, effect: PublishSettled) -> None:
        found = self._publications.pop(effect.ticket, None)
        if found is not None:
            publication, settle = found
            self._watcher.on_settled(self, publication, effect)
            settle(effect)

    def _propose(self, effect: ProposeEntry) -> None:
        try:
            self.process.input(
                lambda journals: journals.propose(
                    effect.journal, effect.data, effect.ticket, self.now, kind=effect.kind, ends=effect.ends
                )
            )
        except ProposalRefused as refusal:
            self.act(self.events.refused(effect.journal, effect.ticket, refusal.code, str(refusal), self.now))

    def _open(self) -> None:
        journals = self.process.journals
        assert journals is not None, "events begin behind the journals"
        try:
            journal, effects = journals.open(self.now)
        except ProposalRefused as refusal:
            self.act(self.events.not_opened(refusal.code, str(refusal), self.now))
        else:
            self.process.act(effects)
            self.act(self.events.opened(journal, self.now))

    # -- time --------------------------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        due = self.events.next_deadline()
        if due < self._wake_at:
            self._wake_at = due
            world, wake = self.process.world, partial(self._on_wake, due)
            when = max(self.host.world_time(due), world.now)
            world.at(when, lambda: world.to_process(self.host, wake, network=False) if self.runs else None)

    def _on_wake(self, due: float) -> None:
        if due != self._wake_at or not self.runs:
            return
        self._wake_at = inf
        if self.events.next_deadline() > due:
            self._set_timer()  # the timer was cancelled
            return
        self.wakes += 1
        self.act(self.events.advance(max(self.now, due)))
