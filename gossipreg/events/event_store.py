"""The events of one journal: who waits for each, which are dead letters, how often each has failed.

Owns: stored events, dead letters and failures, and their records. Never knows: what an entry says (`machine.py`), which
groups there are (`groups.py`), or what was published of late (`known_ids.py`).

An event is stored while a group waits for it, while it is a dead letter of a group, and until its keep time is over.
Then it goes, with its payload, at the change that ends the last of these.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from gossipreg.events.backlog import GroupBacklog
from gossipreg.events.facts import (
    AttemptNoted,
    DeliverySettled,
    EventFact,
    EventGone,
    KeptEventAdded,
    KeyReleased,
    LetterAgain,
)
from gossipreg.events.stored_events import (
    DEAD,
    FAILURES,
    NO_FAILURES,
    DeadLetter,
    Failures,
    StoredEvent,
    decode_failures,
    decode_letter,
    decode_stored,
    delivery_key,
    event_key,
    payload_key,
    read_delivery,
    read_index,
)
from gossipreg.journal.state import Records


@dataclass(frozen=True, slots=True)
class EntryChange:
    """The entry that is applied just now: where it changes something, and what came of it so far."""

    index: int
    led_ms: int
    records: Records
    facts: list[EventFact] = field(default_factory=list)


class EventStore:
    def __init__(self) -> None:
        self.events: dict[int, StoredEvent] = {}
        """In the order of their indexes."""
        self.dead: dict[tuple[int, int], DeadLetter] = {}
        """(group, index) -> the letter, the oldest first."""
        self.failures: dict[tuple[int, int], Failures] = {}
        self.size_bytes = 0
        self._backlogs: dict[int, GroupBacklog] = {}
        self._held: dict[int, dict[str, int]] = {}
        """Group -> key -> how many dead letters hold it."""
        self._kept: list[tuple[int, int]] = []
        """Heap of (led_ms at which the keep time is over, index), each event with a keep time once."""

    # -- from records --------------------------------------------------------------------------------------------------

    def load_event(self, key: bytes, value: bytes) -> None:
        """Called in the order of the keys, as the others, and before them."""
        self._keep(decode_stored(read_index(key), value))

    def load_failures(self, key: bytes, value: bytes) -> None:
        self.failures[read_delivery(key)] = decode_failures(value)

    def load_letters(self, found: Iterable[tuple[bytes, bytes]]) -> None:
        letters = [(read_delivery(key), decode_letter(value)) for key, value in found]
        for (group, index), letter in sorted(letters, key=lambda item: item[1].led_ms):
            self._keep_letter(self.events[index], group, letter)

    # -- read ----------------------------------------------------------------------------------------------------------

    def backlog(self, group: int) -> GroupBacklog:
        """Of a group that need not be there: nothing waits then."""
        found = self._backlogs.get(group)
        return found if found is not None else GroupBacklog(group, self.events)

    @property
    def has_kept(self) -> bool:
        """Whether any event has a keep time, which may be over since a moment."""
        return bool(self._kept)

    def held_keys(self, group: int) -> frozenset[str]:
        return frozenset(self._held.get(group, ()))

    # -- changes -------------------------------------------------------------------------------------------------------

    def add(self, event: StoredEvent, payload: bytes, change: EntryChange) -> None:
        self._keep(event)
        change.records.put(event_key(event.index), event.encode())
        change.records.put(payload_key(event.index), payload)

    def settle(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        """The group is done with this event, whether it waited for it or had it as a dead letter."""
        if group in event.waiting:
            self._wait_no_more(event, group, change)
        elif group in event.dead:
            self._take_letter(event, group, change)
        else:
            return
        self._finish(event, change)

    def note_attempt(self, event: StoredEvent, group: int, died: bool, text: str, change: EntryChange) -> None:
        if group not in event.waiting:
            return
        before = self.failures.get((group, event.index), NO_FAILURES)
        failures = Failures(before.attempts + 1, before.deaths + died, text)
        self.failures[group, event.index] = failures
        change.records.put(delivery_key(FAILURES, group, event.index), failures.encode())
        change.facts.append(AttemptNoted(group, event.index))

    def set_aside(self, event: StoredEvent, group: int, reason: str, holds: bool, change: EntryChange) -> None:
        """Make it a dead letter of this group."""
        if group not in event.waiting:
            return
        failures = self.failures.get((group, event.index), NO_FAILURES)
        letter = DeadLetter(reason or failures.text, change.led_ms, failures.attempts + 1, holds)
        self._wait_no_more(event, group, change)
        self._keep_letter(event, group, letter)
        change.records.put(delivery_key(DEAD, group, event.index), letter.encode())
        self._finish(event, change)

    def bring_back(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        """Let the group wait for its dead letter again, as if it had never failed."""
        if group not in event.dead:
            return
        self._take_letter(event, group, change)
        self._wait_from_now(event, group, change)
        change.facts.append(LetterAgain(group, event.index))

    def begin_in_the_past(self, group: int, means: Callable[[str], bool], change: EntryChange) -> None:
        """Let a new group wait for all events that are kept and whose type it means."""
        for index in sorted(index for _, index in self._kept):
            event = self.events.get(index)
            if event is not None and change.led_ms < event.led_ms + event.keep_ms and means(event.type):
                self._wait_from_now(event, group, change)
                change.facts.append(KeptEventAdded(group, index))

    def drop_letter(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        if group in event.dead:
            self._take_letter(event, group, change)
            self._finish(event, change)

    def forget_group(self, group: int, change: EntryChange) -> int:
        """Settle everything for this group. Returns how many events it had not acknowledged."""
        letters = sorted(index for number, index in self.dead if number == group)
        waiting = self.backlog(group).waiting()
        for index in sorted(letters + waiting):
            self.settle(self.events[index], group, change)
        self._backlogs.pop(group, None)
        return len(letters) + len(waiting)

    def drop_old(self, max_age_ms: int, change: EntryChange) -> int:
        """Drop events that waited for longer than this, and letters that lay for longer, for all their groups. Returns
        how many events these are."""
        late = self._late_events(change.led_ms - max_age_ms)
        letters = self._late_letters(change.led_ms - max_age_ms)
        for event in late:
            for group in sorted(event.waiting):
                self._wait_no_more(event, group, change)
        for group, index in letters:
            self._take_letter(self.events[index], group, change)
        dropped = sorted({event.index for event in late}.union(index for _, index in letters))
        for index in dropped:
            self._finish(self.events[index], change)
        return len(dropped)

    def drop_kept(self, change: EntryChange) -> None:
        """Let events go whose keep time is over, and that nobody waits for."""
        while self._kept and self._kept[0][0] <= change.led_ms:
            _, index = heappop(self._kept)
            if (event := self.events.get(index)) is not None and not event.waiting and not event.dead:
                self._remove(event, change)

    # -- inner ---------------------------------------------------------------------------------------------------------

    def _late_events(self, before_ms: int) -> list[StoredEvent]:
        """Those that were published before this time and that a group waits for."""
        late: list[StoredEvent] = []
        for event in self.events.values():
            if event.led_ms >= before_ms:
                break
            if event.waiting:
                late.append(event)
        return late

    def _late_letters(self, before_ms: int) -> list[tuple[int, int]]:
        late: list[tuple[int, int]] = []
        for delivery, letter in self.dead.items():
            if letter.led_ms >= before_ms:
                break
            late.append(delivery)
        return sorted(late)

    def _keep(self, event: StoredEvent) -> None:
        self.events[event.index] = event
        self.size_bytes += event.size_bytes
        for group in event.waiting:
            self._wait_for(event, group)
        if event.keep_ms:
            heappush(self._kept, (event.led_ms + event.keep_ms, event.index))

    def _wait_for(self, event: StoredEvent, group: int) -> None:
        backlog = self._backlogs.get(group)
        if backlog is None:
            backlog = self._backlogs[group] = GroupBacklog(group, self.events)
        backlog.add(event)

    def _wait_from_now(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        event.waiting |= {group}
        self._wait_for(event, group)
        change.records.put(event_key(event.index), event.encode())

    def _wait_no_more(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        event.waiting -= {group}
        self._backlogs[group].remove(event)
        if self.failures and self.failures.pop((group, event.index), None) is not None:
            change.records.remove(delivery_key(FAILURES, group, event.index))
        change.facts.append(DeliverySettled(group, event.index))

    def _keep_letter(self, event: StoredEvent, group: int, letter: DeadLetter) -> None:
        event.dead |= {group}
        self.dead[group, event.index] = letter
        if letter.holds and event.key:
            held = self._held.setdefault(group, {})
            held[event.key] = held.get(event.key, 0) + 1

    def _take_letter(self, event: StoredEvent, group: int, change: EntryChange) -> None:
        letter = self.dead.pop((group, event.index))
        event.dead -= {group}
        change.records.remove(delivery_key(DEAD, group, event.index))
        if letter.holds and event.key:
            self._release(group, event.key, change)

    def _release(self, group: int, key: str, change: EntryChange) -> None:
        held = self._held[group]
        held[key] -= 1
        if not held[key]:
            del held[key]
            change.facts.append(KeyReleased(group, key))
        if not held:
            del self._held[group]

    def _finish(self, event: StoredEvent, change: EntryChange) -> None:
        """After a group is done with it: remove it, or write who still waits."""
        if event.waiting or event.dead or change.led_ms < event.led_ms + event.keep_ms:
            change.records.put(event_key(event.index), event.encode())
        else:
            self._remove(event, change)

    def _remove(self, event: StoredEvent, change: EntryChange) -> None:
        del self.events[event.index]
        self.size_bytes -= event.size_bytes
        change.records.remove(event_key(event.index))
        change.records.remove(payload_key(event.index))
        change.facts.append(EventGone(event.index))
