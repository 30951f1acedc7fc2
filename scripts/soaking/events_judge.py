"""The judge of the soak of events: what must hold of what publishers and handlers wrote down. Never knows: sidecars, or
which faults there were.

An event is named by its source and id. The table of who wants what is written by hand, so that it does not share the
errors of the code that matches patterns.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field

GROUPS = {"stock": ("order.*",), "mail": ("*.created",), "audit": (">",)}
"""The patterns of each group's subscriptions."""
WANTED_BY = {
    "order.created": frozenset({"stock", "mail", "audit"}),
    "order.paid": frozenset({"stock", "audit"}),
    "user.created": frozenset({"mail", "audit"}),
    "user.left.early": frozenset({"audit"}),
}
"""Which groups want events of each type."""
WARM_UP = "warm-up"
"""The source of events that come before those that count; nobody writes them down."""
MAY_REPEAT = 0.01
"""The share of handlings that may be repeats."""
REPEATS_A_FAULT = 40
"""As many may repeat for each fault, however few were handled: what was under way at all handlers."""
SHOWN = 10
"""Lines of one kind."""

EventName = tuple[str, str]
"""(source, id)"""


@dataclass(frozen=True, slots=True)
class AskedEvent:
    """What a publisher was about to publish."""

    source: str
    id: str
    type: str
    checksum: int

    @property
    def name(self) -> EventName:
        return self.source, self.id


@dataclass(frozen=True, slots=True)
class AckedEvent:
    """What a publisher was told about an event that it published."""

    source: str
    id: str
    journal: str
    index: int
    groups: int
    """How many groups get it."""
    took_s: float
    """From the first attempt."""

    @property
    def name(self) -> EventName:
        return self.source, self.id


@dataclass(frozen=True, slots=True)
class HandledEvent:
    """What a handler wrote down before it acknowledged."""

    at: float
    """When, on the machine's monotonic clock."""
    group: str
    journal: str
    index: int
    attempt: int
    key: str
    """Empty: none."""
    source: str
    id: str
    type: str
    checksum: int

    @property
    def name(self) -> EventName:
        return self.source, self.id

    @property
    def place(self) -> "LetterPlace":
        return self.group, self.journal, self.index


LetterPlace = tuple[str, str, int]
"""(group, journal, index)"""


@dataclass(slots=True)
class EventHistory:
    asked: list[AskedEvent] = field(default_factory=list)
    acked: list[AckedEvent] = field(default_factory=list)
    handled: list[HandledEvent] = field(default_factory=list)
    set_aside: Set[LetterPlace] = frozenset()
    """Dead letters, which hold up nothing, and were handled at the end of all."""
    faults: int = 0
    """How often something was hurt."""
    refused: Counter[str] = field(default_factory=Counter)
    """Answers to publishers that were no acknowledgements, by code."""


def history_faults(history: EventHistory) -> list[str]:
    """All that did not hold, one line each, at most SHOWN of a kind and how many more there are."""
    found: list[str] = []
    for check in (lost_events, foreign_events, reordered_events, forgotten_groups, changed_places, excess_repeats):
        faults = [*check(history)]
        found += faults[:SHOWN]
        if len(faults) > SHOWN:
            found.append(f"... and {len(faults) - SHOWN} more like the last")
    return found


def lost_events(history: EventHistory) -> Iterator[str]:
    """Each acknowledged event was handled by each group that wants its type."""
    types = {one.name: one.type for one in history.asked}
    handled = {(one.group, *one.name) for one in history.handled}
    for acked in history.acked:
        for group in sorted(WANTED_BY[types[acked.name]]):
            if (group, *acked.name) not in handled:
                yield f"{group} never handled {_event(acked.name)}, {_place(acked)}, which was acknowledged"


def foreign_events(history: EventHistory) -> Iterator[str]:
    """What was handled had been published so, and is of a type that the group wants."""
    asked = {one.name: one for one in history.asked}
    for handled in history.handled:
        published = asked.get(handled.name)
        if published is None:
            yield f"{handled.group} handled {_event(handled.name)}, {_place(handled)}, which nobody published"
        elif (published.type, published.checksum) != (handled.type, handled.checksum):
            yield f"{handled.group} handled {_event(handled.name)}, {_place(handled)}, other than it was published"
        elif handled.group not in WANTED_BY[handled.type]:
            yield f"{handled.group} handled {_event(handled.name)}, whose type {handled.type} it did not subscribe to"


def reordered_events(history: EventHistory) -> Iterator[str]:
    """In one journal, for one key and group, events were handled for the first time in the order of the journal."""
    lines: dict[tuple[str, str, str], list[HandledEvent]] = defaultdict(list)
    for handled in first_handlings(history.handled):
        if handled.key and handled.place not in history.set_aside:
            lines[handled.journal, handled.key, handled.group].append(handled)
    for (_, key, group), line in sorted(lines.items()):
        highest = line[0]
        for handled in line[1:]:
            if handled.index < highest.index:
                yield (
                    f"{group} handled {_event(handled.name)} with key {key}, {_place(handled)}, for the first time "
                    f"{handled.at - highest.at:.3f} s after {_event(highest.name)}, index {highest.index}"
                )
            else:
                highest = handled


def first_handlings(handled: Iterable[HandledEvent]) -> Iterator[HandledEvent]:
    """The first of each entry and group, in the order of time."""
    seen: set[LetterPlace] = set()
    for one in sorted(handled, key=lambda one: one.at):
        if one.place not in seen:
            seen.add(one.place)
            yield one


def forgotten_groups(history: EventHistory) -> Iterator[str]:
    """Each acknowledgement names as many groups as want the event: all of them subscribed before it all began."""
    types = {one.name: one.type for one in history.asked}
    for acked in history.acked:
        wanted = len(WANTED_BY[types[acked.name]])
        if acked.groups != wanted:
            yield f"{_event(acked.name)}, {_place(acked)}, was acknowledged for {acked.groups} groups, not {wanted}"


def changed_places(history: EventHistory) -> Iterator[str]:
    """An entry of a journal is one event, at whatever sidecar it is read."""
    found: dict[tuple[str, int], EventName] = {}
    places: Iterable[AckedEvent | HandledEvent] = (*history.acked, *history.handled)
    for one in places:
        known = found.setdefault((one.journal, one.index), one.name)
        if known != one.name:
            yield f"{_place(one)} is {_event(one.name)} and {_event(known)}"


def excess_repeats(history: EventHistory) -> Iterator[str]:
    repeats, share = repeats_of(history.handled)
    if share >= MAY_REPEAT and repeats > REPEATS_A_FAULT * history.faults:
        yield f"{repeats} of {len(history.handled)} handlings were repeats: {share:.2%}, not less than {MAY_REPEAT:.0%}"


def repeats_of(handled: list[HandledEvent]) -> tuple[int, float]:
    """How many handlings repeat that of an event by the same group, and their share of all."""
    repeats = len(handled) - len({(one.group, *one.name) for one in handled})
    return repeats, repeats / max(1, len(handled))


def _event(name: EventName) -> str:
    return f"{name[0]}/{name[1]}"


def _place(one: AckedEvent | HandledEvent) -> str:
    return f"journal {one.journal[:8]} index {one.index}"
