"""What each member announces of events: its subscriptions, and the groups that it remembers.

Owns: the announcements of each member as they were read last, and the indexes of groups, members and broadcast by
pattern. Never knows: why a member's announcements count or do not; `event_membership.py` says that.

A question about one type is answered from a cache until an index changes, since it is asked for each event.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from gossipreg.events.announced import AnnouncedSubscription
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.membership import KnownGroup
from gossipreg.events.patterns import PatternIndex, matches
from gossipreg.model import NodeId

MAX_CACHED = 10_000
"""Answers; beyond, all of them are forgotten. A cluster has far fewer types of events than that."""
EventType = tuple[str, ...]
"""The tokens of a type (`patterns.py`)."""
K = TypeVar("K")
V = TypeVar("V")


class AnnouncedEvents(NamedTuple):
    """Of one member."""

    runs: bool
    """Whether its process is there, so that events can be delivered to it."""
    subscriptions: tuple[AnnouncedSubscription, ...] = ()
    groups: tuple[KnownGroup, ...] = ()


NOTHING_ANNOUNCED = AnnouncedEvents(False)


class _GroupIndex:
    """The members that run and subscribe to one group."""

    def __init__(self) -> None:
        self.members: PatternIndex[NodeId] = PatternIndex()
        self.patterns: Counter[str] = Counter()


class EventIndex:
    def __init__(self) -> None:
        self._members: dict[NodeId, AnnouncedEvents] = {}
        self._running: dict[str, _GroupIndex] = {}
        """By name. Broadcast stands under the empty one."""
        self._patterns: dict[str, Counter[str]] = {}
        """Of each known group, with the number of announcements that have it."""
        self._declared: Counter[str] = Counter()
        """Groups that were declared, with the number of members that say so."""
        self._past: Counter[str] = Counter()
        """Groups that begin with the events that are kept, with the number of members whose subscriptions say so."""
        self._known: PatternIndex[str] = PatternIndex()
        """The names of groups."""
        self._cached_members: dict[tuple[str, EventType], tuple[NodeId, ...]] = {}
        self._cached_groups: dict[EventType, tuple[KnownGroup, ...]] = {}

    def put(self, id: NodeId, announced: AnnouncedEvents) -> None:
        """This member announces this now, and nothing else."""
        before = self._members.get(id, NOTHING_ANNOUNCED)
        if announced == before:
            return
        self._cached_members.clear()
        self._cached_groups.clear()
        self._members[id] = announced
        if not (announced.subscriptions or announced.groups):
            del self._members[id]
        had, has = _known_patterns(before), _known_patterns(announced)
        for known in had - has:
            self._forget(*known)
        for known in has - had:
            self._learn(*known)
        for names, of in ((self._declared, _declared), (self._past, _past)):
            names.subtract(of(before))
            names.update(of(announced))
            names += Counter()  # none of which nobody says so
        ran, runs = _running(before), _running(announced)
        for subscription in ran - runs:
            self._end(id, subscription)
        for subscription in runs - ran:
            self._begin(id, subscription)

    def _learn(self, group: str, pattern: str) -> None:
        patterns = self._patterns.setdefault(group, Counter())
        patterns[pattern] += 1
        if patterns[pattern] == 1:
            self._known.add(_tokens(pattern), group)

    def _forget(self, group: str, pattern: str) -> None:
        patterns = self._patterns[group]
        patterns[pattern] -= 1
        if not patterns[pattern]:
            del patterns[pattern]
            self._known.remove(_tokens(pattern), group)
        if not patterns:
            del self._patterns[group]

    def _begin(self, id: NodeId, subscription: AnnouncedSubscription) -> None:
        index = self._running.setdefault(subscription.group, _GroupIndex())
        index.members.add(subscription.tokens, id)
        index.patterns[subscription.pattern] += 1

    def _end(self, id: NodeId, subscription: AnnouncedSubscription) -> None:
        index = self._running[subscription.group]
        index.members.remove(subscription.tokens, id)
        index.patterns[subscription.pattern] -= 1
        if not index.patterns[subscription.pattern]:
            del index.patterns[subscription.pattern]
        if not index.patterns:
            del self._running[subscription.group]

    # -- the answers -------------------------------------------------------------------------------------------------

    def members(self, group: str, type: EventType) -> Sequence[NodeId]:
        """Those that run and subscribe with a pattern that means this type; without a group: broadcast."""
        found = self._cached_members.get((group, type))
        if found is None:
            index = self._running.get(group)
            found = () if index is None else tuple(sorted(index.members.find(type)))
            _keep(self._cached_members, (group, type), found)
        return found

    def running_patterns(self, group: str) -> tuple[str, ...]:
        index = self._running.get(group)
        return () if index is None else tuple(sorted(index.patterns))

    def all_groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that any member subscribes to, was told of, or remembers, with their patterns."""
        return {group: tuple(sorted(self._patterns[group])) for group in sorted(self._patterns)}

    def away_with(self, group: str) -> Sequence[NodeId]:
        """The members that announce this group, and do not run."""
        return sorted(
            id for id, announced in self._members.items()
            if not announced.runs and any(name == group for name, _ in _known_patterns(announced))
        )  # fmt: skip

    def has_member(self, group: str) -> bool:
        return group in self._running

    def ids(self) -> Iterable[NodeId]:
        """The members that announce something."""
        return self._members.keys()

    def member_count(self, group: str) -> int:
        """How many members that run subscribe to it."""
        return sum(
            announced.runs and any(one.group == group for one in announced.subscriptions)
            for announced in self._members.values()
        )

    def groups(self, type: EventType) -> Iterable[KnownGroup]:
        """The groups that mean this type. Of a group with too many patterns, those that mean it come first."""
        found = self._cached_groups.get(type)
        if found is None:
            found = tuple(self._group(name, type) for name in sorted(self._known.find(type)))
            _keep(self._cached_groups, type, found)
        return found

    def past_groups(self) -> Iterable[KnownGroup]:
        """The groups of which a member that runs wants the events that are kept."""
        return [self._group(name, ()) for name in sorted(self._past) if name in self._running]

    def _group(self, name: str, type: EventType) -> KnownGroup:
        patterns = sorted(self._patterns[name], key=lambda one: (not matches(_tokens(one), type), one))
        known = tuple(sorted(patterns[:MAX_GROUP_PATTERNS]))
        return KnownGroup(name, known, name in self._declared, name in self._past)


def _tokens(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split("."))


def _known_patterns(announced: AnnouncedEvents) -> set[tuple[str, str]]:
    """(group, pattern) of all that one member says, whether it subscribes itself or remembers."""
    subscribed = {(one.group, one.pattern) for one in announced.subscriptions if one.group}
    return subscribed | {(group.name, pattern) for group in announced.groups for pattern in group.patterns}


def _declared(announced: AnnouncedEvents) -> set[str]:
    return {group.name for group in announced.groups if group.declared}


def _past(announced: AnnouncedEvents) -> set[str]:
    return {one.group for one in announced.subscriptions if one.past}


def _running(announced: AnnouncedEvents) -> set[AnnouncedSubscription]:
    """Where it begins makes no other subscription of it."""
    return {one._replace(past=False) for one in announced.subscriptions} if announced.runs else set()


def _keep(cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = value
