"""The groups of one journal: which there are, what they subscribe to, when they were last seen with an instance.

Owns: groups, their numbers and patterns, and their records. Never knows: events, or who the instances are.

A number is never given twice in one journal, so a note that comes late cannot mean another group.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import msgpack

from gossipreg.errors import BadParams
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_GROUP_PATTERNS, MAX_GROUPS, NewGroup
from gossipreg.events.patterns import PatternIndex, check_pattern
from gossipreg.events.stored_events import GROUP, GROUP_NUMBER_BYTES, MAX_GROUP_NUMBER, NEXT_GROUP
from gossipreg.journal.state import Records

_MOST_TYPES = 4096
"""Types whose groups are remembered. More are looked up again; publishers have few types."""


@dataclass(frozen=True, slots=True)
class EventGroup:
    number: int
    name: str
    patterns: Mapping[str, int]
    """The union of what its instances subscribe to -> when an instance was last seen with it, in led ms."""
    added_index: int
    """Events below this index were there before the group."""
    seen_ms: int
    """When an instance was last seen, in led time; when it was added, at first."""

    def encode(self) -> bytes:
        packed: bytes = msgpack.packb((self.name, self.added_index, self.seen_ms, list(self.patterns.items())))
        return packed


class EventGroups:
    def __init__(self) -> None:
        self.by_name: dict[str, EventGroup] = {}
        """In the order of their numbers."""
        self._by_number: dict[int, EventGroup] = {}
        self._subscriptions: PatternIndex[int] = PatternIndex()
        self._by_type: dict[str, frozenset[int]] = {}
        self._next = 1

    def load_next(self, value: bytes) -> None:
        self._next = int.from_bytes(value, "big")

    def load(self, key: bytes, value: bytes) -> None:
        """A record of a group; called in the order of their keys."""
        fields: Any = msgpack.unpackb(value, use_list=False)
        name, added_index, seen_ms, patterns = fields[:4]
        number = int.from_bytes(key[1:], "big")
        self._keep(EventGroup(number, name, MappingProxyType(dict(patterns)), added_index, seen_ms))
        for pattern in dict(patterns):
            self._subscriptions.add(check_pattern(pattern), number)

    def get(self, number: int) -> EventGroup | None:
        return self._by_number.get(number)

    def for_type(self, type: str) -> frozenset[int]:
        """The numbers of the groups with a pattern that means this type."""
        found = self._by_type.get(type)
        if found is None:
            if len(self._by_type) >= _MOST_TYPES:
                self._by_type.clear()
            found = self._by_type[type] = frozenset(self._subscriptions.find(tuple(type.split("."))))
        return found

    def add(self, new: NewGroup, index: int, led_ms: int, records: Records) -> EventGroup | None:
        """Add this group, or the patterns that it does not have yet; the group if it was not there. What has no form or
        is beyond a bound is not added: the bounds of a name, of a group's patterns, of a journal's groups."""
        patterns = [pattern for pattern in dict.fromkeys(new.patterns) if _is_pattern(pattern)]
        known = self.by_name.get(new.name)
        if known is not None:
            self._extend(known, patterns, led_ms, records)
            return None
        if not patterns or not self._has_room_for(new.name):
            return None
        group = EventGroup(self._next, new.name, MappingProxyType({}), index, led_ms)
        self._next += 1
        records.put(NEXT_GROUP, self._next.to_bytes(GROUP_NUMBER_BYTES + 1, "big"))
        return self._extend(group, patterns, led_ms, records)

    def _extend(self, group: EventGroup, patterns: list[str], led_ms: int, records: Records) -> EventGroup:
        seen = dict(group.patterns)
        for pattern in patterns:
            if pattern not in seen and len(seen) < MAX_GROUP_PATTERNS:
                seen[pattern] = led_ms
                self._subscriptions.add(check_pattern(pattern), group.number)
        if len(seen) == len(group.patterns):
            return group
        return self._write(replace(group, patterns=MappingProxyType(seen)), records)

    def _has_room_for(self, name: str) -> bool:
        fits = 0 < len(name.encode()) <= MAX_GROUP_BYTES
        return fits and len(self.by_name) < MAX_GROUPS and self._next <= MAX_GROUP_NUMBER

    def see(self, seen: NewGroup, led_ms: int, pattern_ttl_ms: int, records: Records) -> None:
        """Note that this group has an instance now, and each of these patterns too. Patterns of it that no instance had
        for the ttl are forgotten."""
        known = self.by_name.get(seen.name)
        if known is None:
            return
        present = frozenset(seen.patterns)
        kept: dict[str, int] = {}
        for pattern, last_ms in known.patterns.items():
            if pattern in present:
                kept[pattern] = led_ms
            elif led_ms - last_ms <= pattern_ttl_ms:
                kept[pattern] = last_ms
            else:
                self._subscriptions.remove(check_pattern(pattern), known.number)
        self._write(replace(known, seen_ms=led_ms, patterns=MappingProxyType(kept)), records)

    def unseen(self, led_ms: int, ttl_ms: int) -> list[EventGroup]:
        """Groups without an instance for longer than this."""
        return [group for group in self.by_name.values() if led_ms - group.seen_ms > ttl_ms]

    def forget(self, group: EventGroup, records: Records) -> None:
        for pattern in group.patterns:
            self._subscriptions.remove(check_pattern(pattern), group.number)
        del self.by_name[group.name], self._by_number[group.number]
        self._by_type.clear()
        records.remove(_key(group.number))

    def _write(self, group: EventGroup, records: Records) -> EventGroup:
        self._keep(group)
        records.put(_key(group.number), group.encode())
        return group

    def _keep(self, group: EventGroup) -> None:
        self.by_name[group.name] = self._by_number[group.number] = group
        self._by_type.clear()


def _key(number: int) -> bytes:
    return GROUP + number.to_bytes(GROUP_NUMBER_BYTES, "big")


def _is_pattern(text: str) -> bool:
    try:
        check_pattern(text)
    except BadParams:
        return False
    return True
