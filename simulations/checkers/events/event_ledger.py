"""What the checkers of events need to know: what is committed, and what programs and leaders have said of it.

Owns: the events of all journals by index, with their groups; what was handled, and what was set aside. Never knows: any
one invariant. It reads entries when the first replica applies them: all apply the same (`state_safety`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gossipreg.events.cloud_event import event_head
from gossipreg.events.effects import HandleEvent, LogEvents
from gossipreg.events.entries import EventEntryKind, OutcomeCode, decode_letters, decode_outcomes, decode_publish
from gossipreg.events.facts import EventAdded, EventFact, EventPublished, GroupAdded, KeptEventAdded, PublishVerdict
from gossipreg.events.machine import EventsMachine
from gossipreg.events.messages import DeliveryResult
from gossipreg.events.patterns import matches
from gossipreg.journal.combined import part_of
from gossipreg.journal.effects import AppliedEntry, JournalEffect
from gossipreg.journal.model import JournalId, LogEntry
from simulations.eventing.observer import EventObserver
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber

LedgerDelivery = tuple[JournalId, str, int]
"""(journal, group, index of the event)"""


@dataclass(slots=True, eq=False)
class Committed:
    """An event that is in a journal."""

    journal: JournalId
    index: int
    id: str
    source: str
    type: str
    key: str
    kept_until_ms: int
    """In led time; that of its entry: it is not kept."""
    groups: frozenset[str] = frozenset()


class EventLedger(EventObserver):
    def __init__(self) -> None:
        self.events: dict[tuple[JournalId, int], Committed] = {}
        self.of_id: dict[tuple[JournalId, str, str], Committed] = {}
        """By journal, source and id."""
        self.of_key: dict[tuple[JournalId, str, str], list[Committed]] = {}
        """By journal, group and key: in their order, without those that are done for good."""
        self.handled: set[LedgerDelivery] = set()
        """A program has acknowledged it."""
        self.dead: dict[LedgerDelivery, str] = {}
        """It was set aside, or its leader has said so; with the reason."""
        self.letters: dict[LedgerDelivery, bool] = {}
        """Dead letters that are committed; whether each holds its key."""
        self.dropped: set[LedgerDelivery] = set()
        """A person has thrown it away."""
        self.kept_added: dict[tuple[JournalId, int], tuple[set[int], set[int]]] = {}
        """By journal and entry that added a group with its past: the events that it should have got, and has."""
        self.handed: dict[LedgerDelivery, int] = {}
        """How often it was handed to a program."""
        self._applied: set[tuple[JournalId, int]] = set()

    def is_done(self, delivery: LedgerDelivery) -> bool:
        return delivery in self.handled or delivery in self.dead

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:  # noqa: ARG002
        if not handed.group:
            return
        delivery = handed.journal, handed.group, handed.index
        self.handed[delivery] = self.handed.get(delivery, 0) + 1

    def on_answer(self, *said: *tuple[EventProcess, Subscriber, HandleEvent, DeliveryResult]) -> None:
        _, _, handed, result = said
        if result is DeliveryResult.ACKED:
            self.handled.add((handed.journal, handed.group, handed.index))

    def on_journal(self, process: EventProcess, effect: JournalEffect) -> None:
        if not isinstance(effect, AppliedEntry) or (effect.journal, effect.entry.index) in self._applied:
            return
        self._applied.add((effect.journal, effect.entry.index))
        journals = process.process.journals
        machine = None if journals is None else part_of(journals.machine(effect.journal), EventsMachine)
        if machine is None or not isinstance(effect.result, tuple):
            return
        match effect.entry.kind:
            case EventEntryKind.PUBLISH:
                self._add_groups(effect.journal, machine, effect.entry, effect.result)
                self._publish(effect.journal, machine, effect.entry, effect.result)
            case EventEntryKind.OUTCOMES:
                self._note_dead(effect.journal, machine, effect.entry)
            case EventEntryKind.DEAD_AGAIN | EventEntryKind.DEAD_DROPPED:
                self._decide(effect.journal, machine, effect.entry)

    def _publish(self, journal: JournalId, machine: EventsMachine, entry: LogEntry, facts: Sequence[EventFact]) -> None:
        _, events = decode_publish(entry.data)
        published = [fact for fact in facts if isinstance(fact, EventPublished)]
        groups = {fact.index: fact.groups for fact in facts if isinstance(fact, EventAdded)}
        for event, fact in zip(events, published, strict=True):
            if fact.verdict is not PublishVerdict.NEW:
                continue
            head = event_head(event.data)
            names = frozenset(_name(machine, number) for number in groups.get(fact.index, ()))
            until_ms = entry.led_ms + event.keep_ms
            committed = Committed(journal, fact.index, head.id, head.source, head.type, head.key, until_ms, names)
            self.events[journal, fact.index] = committed
            self.of_id.setdefault((journal, head.source, head.id), committed)
            for group in sorted(names) if head.key else ():
                self.of_key.setdefault((journal, group, head.key), []).append(committed)

    def _add_groups(
        self, journal: JournalId, machine: EventsMachine, entry: LogEntry, facts: Sequence[EventFact]
    ) -> None:
        """Groups that begin with the events that are kept."""
        new, _ = decode_publish(entry.data)
        added = {fact.name for fact in facts if isinstance(fact, GroupAdded)}
        wanted, got = set[int](), set[int]()
        for group in new:
            if group.past and group.name in added:
                patterns = [tuple(pattern.split(".")) for pattern in group.patterns]
                wanted |= {
                    index for (of, index), event in self.events.items()
                    if of == journal and event.kept_until_ms > entry.led_ms
                    and any(matches(pattern, tuple(event.type.split("."))) for pattern in patterns)
                }  # fmt: skip
        for fact in facts:
            if isinstance(fact, KeptEventAdded):
                got.add(fact.index)
                self.events[journal, fact.index].groups |= {_name(machine, fact.group)}
        if wanted or got:
            self.kept_added[journal, entry.index] = wanted, got

    def _note_dead(self, journal: JournalId, machine: EventsMachine, entry: LogEntry) -> None:
        for note in decode_outcomes(entry.data):
            delivery = journal, _name(machine, note.group), note.index
            if note.code in (OutcomeCode.DEAD, OutcomeCode.DEAD_HOLDS):
                self.dead[delivery] = note.text
            self._look_at_letter(machine, note.group, delivery)

    def _look_at_letter(self, machine: EventsMachine, group: int, delivery: LedgerDelivery) -> None:
        letter = machine.dead.get((group, delivery[2]))
        if letter is None:
            self.letters.pop(delivery, None)
        else:
            self.letters[delivery] = letter.holds

    def _decide(self, journal: JournalId, machine: EventsMachine, entry: LogEntry) -> None:
        """A person retries dead letters, or drops them. One that is retried comes beside later ones of its key."""
        for group, index in decode_letters(entry.data):
            if machine.group(group) is None:
                continue
            delivery = journal, _name(machine, group), index
            was_letter = delivery in self.letters
            self._look_at_letter(machine, group, delivery)
            if not was_letter or delivery in self.letters:
                continue
            if entry.kind == EventEntryKind.DEAD_DROPPED:
                self.dropped.add(delivery)
                continue
            self.dead.pop(delivery, None)
            key = self.events[journal, index].key
            same = self.of_key.get((journal, delivery[1], key), [])
            same[:] = [event for event in same if event.index != index]

    def on_log(self, process: EventProcess, effect: LogEvents) -> None:
        """Its leader has set it aside, and goes on: the entry follows."""
        fields = dict(effect.fields)
        if effect.kind == "event_dead":
            group, index = str(fields["group"]), int(fields["index"])
            for journal in process.events.led:
                event = self.events.get((journal, index))
                if event is not None and group in event.groups:
                    self.dead.setdefault((journal, group, index), str(fields["reason"]))


def _name(machine: EventsMachine, number: int) -> str:
    group = machine.group(number)
    assert group is not None, "no group is forgotten in a run"
    return group.name
