"""The groups that ran beside this sidecar. Its row names them while no instance of them runs here, so that they get
what is published meanwhile.

Owns: which groups ran here, with which patterns, and for how long none has. Never knows: the row's slots, or how the
groups are kept over a restart (`KeepGroups`).

    a subscription begins     its own announcement says so; the group is kept
    it ends                   the row names the group instead, in the same turn
    the sidecar restarts      the row names all that were kept, from its first version on
    the group runs elsewhere  its patterns are forgotten here after `pattern_ttl_s`: that sidecar remembers it
    it runs nowhere           it is forgotten here after `group_ttl_s`
    an operator forgets it    so is it here, unless it runs
    there is no room for it   the one that ran longest ago is forgotten, which is logged

Ages are counted while the sidecar runs, by no wall clock. Call `look` now and then: there is no timer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gossipreg.events.announced import SUBSCRIPTION_KIND, decode_subscription_untrusted
from gossipreg.events.effects import AnnounceSubscription, KeepGroups, LogEvents, RanGroup
from gossipreg.events.entries import MAX_GROUP_PATTERNS
from gossipreg.events.group_announcements import GroupAnnouncements
from gossipreg.events.membership import EventMembership, KnownGroup
from gossipreg.events.tuning import EventsTuning

MAX_REMEMBERED = 256
"""Pairs of group and pattern without an instance here; of more, the ones that ran last. A program that draws a
new group for each run must not fill the row."""

_Effects = list[AnnounceSubscription | KeepGroups | LogEvents]


def announced_groups(kept: Iterable[RanGroup], declared: Sequence[KnownGroup] = ()) -> tuple[KnownGroup, ...]:
    """The groups that the row names for these, behind those that were declared."""
    patterns: dict[str, set[str]] = {}
    for one in _remembered(kept):
        patterns.setdefault(one.group, set()).add(one.pattern)
    said = {group.name: set(group.patterns) for group in declared}
    return tuple(
        KnownGroup(name, tuple(sorted(found)[:MAX_GROUP_PATTERNS]))
        for name, found in patterns.items()
        if found - said.get(name, set())
    )


def _remembered(kept: Iterable[RanGroup]) -> list[RanGroup]:
    """Those for which there is room, longest idle first."""
    return sorted(kept, key=lambda one: -one.idle_s)[-MAX_REMEMBERED:]


def _not_remembered(group: str, pattern: str) -> LogEvents:
    return LogEvents("groups_not_remembered", (("group", group), ("pattern", pattern)))


@dataclass(slots=True)
class _Idle:
    before_s: float
    since: float | None
    """When counting began again; None: with the next look."""

    def idle_s(self, now: float) -> float:
        return self.before_s + (0.0 if self.since is None else now - self.since)


class RememberedGroups:
    def __init__(
        self, tuning: EventsTuning, announcements: GroupAnnouncements, membership: EventMembership,
        kept: Sequence[RanGroup] = (),
    ) -> None:  # fmt: skip
        """`kept` are those of the last run, which stand in the row (`announced_groups`)."""
        self._tuning = tuning
        self._announcements = announcements
        self._membership = membership
        self._slots: dict[int, tuple[str, str]] = {}
        """(group, pattern) by the slot of the subscription in our row."""
        self._running: Counter[tuple[str, str]] = Counter()
        self._idle = {(one.group, one.pattern): _Idle(one.idle_s, None) for one in _remembered(kept)}
        """Longest first."""
        self._without_room = [(one.group, one.pattern) for one in kept if (one.group, one.pattern) not in self._idle]
        """Those of the last run, until the next look."""
        self._kept_at: float | None = None

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups without an instance here, with their patterns."""
        found: dict[str, list[str]] = {}
        for group, pattern in self._idle:
            found.setdefault(group, []).append(pattern)
        return {group: tuple(sorted(patterns)) for group, patterns in found.items()}

    def announce(self, announced: AnnounceSubscription, now: float) -> _Effects:
        """Say this of a subscription in our row, and what it changes of the groups that are remembered, in an order in
        which no version of the row leaves out a group."""
        if announced.kind != SUBSCRIPTION_KIND:
            return [announced]
        if announced.value is None:
            return [*self._ends(announced.slot, now), announced]
        subscription = decode_subscription_untrusted(announced.value)
        if not subscription.group:
            return [announced]
        return [announced, *self._begins(announced.slot, subscription.group, subscription.pattern, now)]

    def _begins(self, slot: int, group: str, pattern: str, now: float) -> _Effects:
        pair = self._slots[slot] = group, pattern
        self._running[pair] += 1
        if self._running[pair] > 1:
            return []
        self._idle.pop(pair, None)
        return [*self._name(group), self._keep(now)]

    def _ends(self, slot: int, now: float) -> _Effects:
        pair = self._slots.pop(slot, None)
        if pair is None:
            return []
        self._running[pair] -= 1
        if self._running[pair]:
            return []
        del self._running[pair]
        self._idle[pair] = _Idle(0.0, now)
        effects = self._name(pair[0])
        if len(self._idle) > MAX_REMEMBERED:
            oldest = next(iter(self._idle))
            effects += [*self._drop([oldest]), _not_remembered(*oldest)]
        return effects

    def look(self, now: float) -> _Effects:
        """Forget what is too old, and keep the ages, from time to time."""
        for idle in self._idle.values():
            if idle.since is None:
                idle.since = now
        effects = self._drop([pair for pair, idle in self._idle.items() if self._is_over(pair[0], idle.idle_s(now))])
        without_room, self._without_room = self._without_room, []
        effects += [_not_remembered(*pair) for pair in without_room if pair not in self._running]
        due = self._kept_at is None or now - self._kept_at >= self._tuning.seen_every_s
        return [*effects, self._keep(now)] if effects or (due and self._idle) else []

    def _is_over(self, group: str, idle_s: float) -> bool:
        runs = idle_s > self._tuning.pattern_ttl_s and self._membership.has_subscriber(group)
        return runs or idle_s > self._tuning.group_ttl_s

    def forget(self, group: str, now: float) -> _Effects:
        """An operator forgets this group. Nothing if it is not remembered."""
        pairs = [pair for pair in self._idle if pair[0] == group]
        return [*self._drop(pairs), self._keep(now)] if pairs else []

    def _drop(self, pairs: Iterable[tuple[str, str]]) -> _Effects:
        pairs = list(pairs)
        for pair in pairs:
            del self._idle[pair]
        return [effect for group in dict.fromkeys(group for group, _ in pairs) for effect in self._name(group)]

    def _name(self, group: str) -> _Effects:
        return [*self._announcements.remember(group, [pattern for name, pattern in self._idle if name == group])]

    def _keep(self, now: float) -> KeepGroups:
        self._kept_at = now
        idle = [RanGroup(*pair, idle.idle_s(now)) for pair, idle in self._idle.items()]
        return KeepGroups((*idle, *(RanGroup(*pair) for pair in self._running)))
