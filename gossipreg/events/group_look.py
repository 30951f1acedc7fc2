"""The look that a leader takes about once an hour: which groups have instances, and what has become too old.

Owns: when a look is due, and its entries. Never knows: deliveries. The state machine decides what is too old, by led
time alone.

SEEN_GROUPS entries are committed before EXPIRE is proposed: so no group is forgotten that has an instance. Looks are
taken while events come or wait, so a journal may be idle for days without one. Nobody knows whether a group had an
instance in such a gap: then every group and every pattern counts as seen, and its time begins anew.
"""

from collections.abc import Iterator

from gossipreg.events.dispatched import DispatchedEvents
from gossipreg.events.effects import ProposeEntry
from gossipreg.events.entries import EXPIRE_DATA, EventEntryKind, NewGroup, encode_seen
from gossipreg.events.membership import EventMembership
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import JournalId

SEEN_BYTES = 128 * 1024
"""Of one SEEN_GROUPS entry, unless a single group is larger; one of 64 long patterns has 17 KiB."""
RETRY_S = 60.0
"""After a look that could not be taken, or whose entries were refused."""


class GroupLook:
    def __init__(
        self,
        tuning: EventsTuning,
        journal: JournalId,
        machine: DispatchedEvents,
        membership: EventMembership,
        tickets: Iterator[int],
    ) -> None:
        self._journal = journal
        self._machine = machine
        self._membership = membership
        self._tickets = tickets
        self.every_ms = int(min(tuning.seen_every_s, tuning.max_age_s, tuning.group_ttl_s) * 1000)
        self._last_ms = 0
        """Led time of the last look that is committed, as far as the state shows one."""
        self._taken_ms = 0
        self._tickets_out: set[int] = set()

    def begin(self, led_ms: int) -> None:
        self._last_ms = max((group.seen_ms for group in self._machine.groups.values()), default=led_ms)

    @property
    def due_ms(self) -> int:
        """Led time of the next look."""
        return self._last_ms + self.every_ms

    def take(self, led_ms: int) -> list[ProposeEntry] | None:
        """The entries of a look at this led time. None while the last one is not committed, and while this member is
        not in sync: it cannot tell who has an instance."""
        if self._tickets_out or not self._membership.synced:
            return None
        seen = self._seen(unknown=led_ms - self._last_ms > 2 * self.every_ms)
        self._taken_ms = led_ms
        entries = [self._entry(EventEntryKind.SEEN_GROUPS, encode_seen(tuple(part))) for part in _parts(seen)]
        if not entries:
            return [self._end()]
        self._tickets_out.update(entry.ticket for entry in entries)
        return entries

    def settled(self, ticket: int, committed: bool) -> list[ProposeEntry]:
        """What follows when an entry of ours is committed."""
        if ticket not in self._tickets_out:
            return []
        self._tickets_out.discard(ticket)
        if not committed:
            self._tickets_out.clear()
        elif not self._tickets_out:
            return [self._end()]
        return []

    def refused(self, ticket: int) -> None:
        """An entry was not accepted: the look is still due."""
        if ticket in self._tickets_out:
            self._tickets_out.clear()

    def _end(self) -> ProposeEntry:
        """All that have an instance are noted."""
        self._last_ms = self._taken_ms
        return self._entry(EventEntryKind.EXPIRE, EXPIRE_DATA)

    def _entry(self, kind: EventEntryKind, data: bytes) -> ProposeEntry:
        return ProposeEntry(self._journal, kind, data, next(self._tickets), ends=True)

    def _seen(self, unknown: bool) -> Iterator[NewGroup]:
        for group in self._machine.groups.values():
            running = frozenset(group.patterns if unknown else self._membership.running_patterns(group.name))
            if running or unknown:
                yield NewGroup(group.name, tuple(pattern for pattern in group.patterns if pattern in running))


def _parts(groups: Iterator[NewGroup]) -> Iterator[list[NewGroup]]:
    part: list[NewGroup] = []
    size = 0
    for group in groups:
        size_bytes = 16 + 4 * (len(group.name) + sum(len(pattern) + 1 for pattern in group.patterns))
        if part and size + size_bytes > SEEN_BYTES:
            yield part
            part, size = [], 0
        part.append(group)
        size += size_bytes
    if part:
        yield part
