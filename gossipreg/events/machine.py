"""The state machine of one journal's events: what its committed entries make of groups and events.

Owns: the meaning of the entries of `entries.py`. Never knows: who leads, who subscribes, what is on its way to whom; no
clock and no randomness. Led time comes with each entry.

How it works: groups, events and remembered ids are kept decoded in memory, and each change is written into the records
at once. So `load` after any history gives an equal machine, and equal entries give equal records, byte for byte. An
entry that makes no sense changes nothing. What an entry changed is returned as facts (`facts.py`), by which whoever
leads the journal answers publishers and delivers.

The ages of the tuning decide what all replicas of a journal forget, so they have to be the same on every member.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from sys import intern

from gossipreg.events.entries import (
    MAX_EVENTS,
    MAX_REASON_BYTES,
    DeliveryNote,
    EventEntryKind,
    NewEvent,
    NewGroup,
    OutcomeCode,
    decode_forget,
    decode_letters,
    decode_outcomes,
    decode_publish,
    decode_seen,
    event_index,
)
from gossipreg.events.event_identity import EventIdentity, read_identity
from gossipreg.events.event_store import EntryChange, EventStore
from gossipreg.events.facts import (
    EventAdded,
    EventFact,
    EventPublished,
    EventsExpired,
    GroupAdded,
    GroupForgotten,
    GroupPatternsChanged,
    PublishVerdict,
)
from gossipreg.events.groups import EventGroup, EventGroups
from gossipreg.events.known_ids import KnownIds, id_hash
from gossipreg.events.stored_events import (
    DEAD,
    EVENT,
    FAILURES,
    GROUP,
    IDS,
    NEXT_GROUP,
    DeadLetter,
    Failures,
    StoredEvent,
)
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import LogEntry
from gossipreg.journal.state import Records

_Arrival = tuple[NewEvent, EventIdentity]

_KINDS = frozenset(map(int, EventEntryKind))


class EventsMachine:
    """A `journal.state.StateMachine`. What it shows may be read between entries, and is changed by entries alone."""

    def __init__(self, tuning: EventsTuning) -> None:
        self._tuning = tuning
        self._max_age_ms = _ms(tuning.max_age_s)
        self._begin()

    def _begin(self) -> None:
        self._groups = EventGroups()
        self._store = EventStore()
        self._ids = KnownIds(self._tuning)

    # -- read ----------------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> Mapping[str, EventGroup]:
        """By name, in the order in which they were added."""
        return self._groups.by_name

    def group(self, number: int) -> EventGroup | None:
        return self._groups.get(number)

    def groups_for(self, type: str) -> frozenset[int]:
        """The numbers of the groups that a new event of this type would belong to."""
        return self._groups.for_type(type)

    @property
    def events(self) -> Mapping[int, StoredEvent]:
        """By index, in their order."""
        return self._store.events

    @property
    def dead(self) -> Mapping[tuple[int, int], DeadLetter]:
        """By (group, index), the oldest letter first."""
        return self._store.dead

    @property
    def failures(self) -> Mapping[tuple[int, int], Failures]:
        """By (group, index), of deliveries that are still waited for."""
        return self._store.failures

    @property
    def size_bytes(self) -> int:
        """Of all events as bytes."""
        return self._store.size_bytes

    @property
    def known_ids(self) -> int:
        """How many ids of events are remembered."""
        return len(self._ids)

    @property
    def known_ids_since_ms(self) -> int | None:
        """The led time of the oldest id that is remembered; None where there is none."""
        return self._ids.since_ms

    @property
    def has_kept(self) -> bool:
        """Whether there are events that a new group may ask for."""
        return self._store.has_kept

    def held_keys(self, group: int) -> frozenset[str]:
        """The partition keys whose events wait because a dead letter holds the key."""
        return self._store.held_keys(group)

    def waiting_indexes(self, group: int) -> list[int]:
        """The events that wait for this group, in their order."""
        return self._store.backlog(group).waiting()

    def waiting_count(self, group: int) -> int:
        return self._store.backlog(group).count

    def waiting_bytes(self, group: int) -> int:
        return self._store.backlog(group).size_bytes

    def oldest_led_ms(self, group: int) -> int | None:
        """When the oldest event that waits for this group was published; None where none waits."""
        event = self._store.backlog(group).oldest()
        return None if event is None else event.led_ms

    # -- the state machine ---------------------------------------------------------------------------------------------

    @property
    def kinds(self) -> Collection[int]:
        return _KINDS

    def is_empty(self, records: Records) -> bool:  # noqa: ARG002 - its events are those of the records
        """Whether nothing would be lost with these records: no event waits, is a dead letter or is kept. Groups and
        ids alone are no contents: a journal whose owner is away is ended when the time of its ids is over, not before
        (`JournalTuning.orphan_s`)."""
        return not self._store.events

    def load(self, records: Records) -> None:
        self._begin()
        found = sorted(records.all().items())
        readers: tuple[tuple[bytes, Callable[[bytes, bytes], None]], ...] = (
            (NEXT_GROUP, lambda _, value: self._groups.load_next(value)), (GROUP, self._groups.load),
            (EVENT, self._store.load_event), (FAILURES, self._store.load_failures), (IDS, self._ids.load),
        )  # fmt: skip
        for kind, read in readers:
            for key, value in found:
                if key[:1] == kind:
                    read(key, value)
        self._store.load_letters((key, value) for key, value in found if key[:1] == DEAD)

    def apply(self, entry: LogEntry, records: Records) -> tuple[EventFact, ...]:
        try:
            carry_out = self._read(entry)
        except (ValueError, TypeError):
            return ()
        change = EntryChange(entry.index, entry.led_ms, records)
        carry_out(change)
        return tuple(change.facts)

    def _read(self, entry: LogEntry) -> Callable[[EntryChange], None]:
        """What this entry does. It is read as a whole before anything changes: ValueError or TypeError says that it
        makes no sense."""
        match entry.kind:
            case EventEntryKind.PUBLISH:
                return partial(self._publish, *_read_publish(entry.data))
            case EventEntryKind.OUTCOMES:
                return partial(self._note_outcomes, decode_outcomes(entry.data))
            case EventEntryKind.DEAD_AGAIN:
                return partial(self._with_letters, self._store.bring_back, decode_letters(entry.data))
            case EventEntryKind.DEAD_DROPPED:
                return partial(self._with_letters, self._store.drop_letter, decode_letters(entry.data))
            case EventEntryKind.FORGET_GROUP:
                return partial(self._forget_groups, decode_forget(entry.data))
            case EventEntryKind.SEEN_GROUPS:
                return partial(self._see_groups, decode_seen(entry.data))
            case EventEntryKind.EXPIRE:
                return self._expire
            case _:
                return _do_nothing

    # -- what entries do -----------------------------------------------------------------------------------------------

    def _publish(self, groups: list[NewGroup], events: list[_Arrival], change: EntryChange) -> None:
        self._ids.forget_old(change.led_ms, change.records)
        for group in groups:
            self._add_group(group, change)
        new: list[EventFact] = []
        for place, (event, identity) in enumerate(events):
            self._publish_one(event_index(change.index, place), event, identity, change, new)
        change.facts.extend(new)
        self._ids.write(change.index, change.led_ms, change.records)

    def _add_group(self, new: NewGroup, change: EntryChange) -> None:
        before = self._groups.by_name.get(new.name)
        group = self._groups.add(new, event_index(change.index, 0), change.led_ms, change.records)
        self._note_patterns(before, change)
        if group is not None:
            change.facts.append(GroupAdded(group.number, group.name))
            if new.past:
                self._store.begin_in_the_past(group.number, partial(self._is_for, group.number), change)

    def _note_patterns(self, before: EventGroup | None, change: EntryChange) -> None:
        """A group, which was this one, may have other patterns now."""
        if before is not None and self._groups.by_name[before.name].patterns.keys() != before.patterns.keys():
            change.facts.append(GroupPatternsChanged(before.number, before.name))

    def _is_for(self, group: int, type: str) -> bool:
        return group in self._groups.for_type(type)

    def _publish_one(
        self, index: int, event: NewEvent, identity: EventIdentity, change: EntryChange, new: list[EventFact]
    ) -> None:
        """Say what became of it in the facts of the change; what is to be delivered goes to `new`."""
        hash_ = id_hash(identity.source, identity.id)
        known = self._ids.find(hash_, change.records)
        if known is not None:
            first, digest, count = known
            verdict = PublishVerdict.DUPLICATE if digest == identity.digest else PublishVerdict.CONFLICT
            change.facts.append(EventPublished(verdict, first, count))
            return
        groups = self._groups.for_type(identity.type)
        self._ids.remember(hash_, index, identity.digest, len(groups))
        change.facts.append(EventPublished(PublishVerdict.NEW, index, len(groups)))
        keep_ms = min(event.keep_ms, self._max_age_ms)
        if groups or keep_ms:
            stored = StoredEvent(
                index, intern(identity.source), identity.id, intern(identity.type), identity.key, len(event.data),
                change.led_ms, keep_ms, groups,
            )  # fmt: skip
            self._store.add(stored, event.data, change)
        if groups:
            new.append(EventAdded(index, tuple(sorted(groups))))

    def _note_outcomes(self, notes: list[DeliveryNote], change: EntryChange) -> None:
        events, store = self._store.events, self._store
        for group, index, code, text in notes:
            event = events.get(index)
            if event is None:
                continue
            match code:
                case OutcomeCode.ACKED:
                    store.settle(event, group, change)
                case OutcomeCode.FAILED | OutcomeCode.DIED:
                    store.note_attempt(event, group, code is OutcomeCode.DIED, _cut(text), change)
                case OutcomeCode.DEAD | OutcomeCode.DEAD_HOLDS:
                    store.set_aside(event, group, _cut(text), code is OutcomeCode.DEAD_HOLDS, change)

    def _with_letters(
        self, carry_out: Callable[[StoredEvent, int, EntryChange], None], letters: list[tuple[int, int]],
        change: EntryChange,
    ) -> None:  # fmt: skip
        for group, index in letters:
            event = self._store.events.get(index)
            if event is not None:
                carry_out(event, group, change)

    def _forget_groups(self, groups: list[tuple[str, str]], change: EntryChange) -> None:
        for name, reason in groups:
            group = self._groups.by_name.get(name)
            if group is not None:
                self._forget_group(group, _cut(reason), change)

    def _forget_group(self, group: EventGroup, reason: str, change: EntryChange) -> None:
        dropped = self._store.forget_group(group.number, change)
        self._groups.forget(group, change.records)
        change.facts.append(GroupForgotten(group.number, group.name, reason, dropped))

    def _see_groups(self, groups: list[NewGroup], change: EntryChange) -> None:
        pattern_ttl_ms = _ms(self._tuning.pattern_ttl_s)
        for group in groups:
            before = self._groups.by_name.get(group.name)
            self._groups.see(group, change.led_ms, pattern_ttl_ms, change.records)
            self._note_patterns(before, change)

    def _expire(self, change: EntryChange) -> None:
        self._ids.forget_old(change.led_ms, change.records)
        dropped = self._store.drop_old(self._max_age_ms, change)
        self._store.drop_kept(change)
        ttl_s = self._tuning.group_ttl_s
        for group in self._groups.unseen(change.led_ms, _ms(ttl_s)):
            self._forget_group(group, f"no instance for {ttl_s / 86_400:g} days", change)
        if dropped:
            change.facts.append(EventsExpired(dropped))


def _read_publish(data: bytes) -> tuple[list[NewGroup], list[_Arrival]]:
    groups, events = decode_publish(data)
    if len(events) > MAX_EVENTS:
        raise ValueError(f"{len(events)} events: one entry has at most {MAX_EVENTS}")
    return groups, [(event, read_identity(event.data)) for event in events]


def _do_nothing(change: EntryChange) -> None:
    """An entry of the journal's own kinds."""


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _cut(text: str) -> str:
    """As much of this text as a reason may have."""
    return text.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
