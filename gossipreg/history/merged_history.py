"""What several members saw, in one order.

Owns: the order. The lines of one member stay in theirs; those of others are placed by when they happened, by our clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from typing import Any

from gossipreg.history.history_line import NamedMember

Shape = dict[str, Any]

RUN_KINDS = ("start", "stopped", "alone")
"""The kinds of lines that say whether a member ran, and heard of others."""


@dataclass(frozen=True, slots=True)
class MemberHistory:
    """What one member answered."""

    member: NamedMember
    lines: Sequence[Shape]
    """In the shape of `line_shape`, in the order of `seq`."""
    happened: Sequence[float]
    """When each of them happened, by our clock."""
    uncertain_s: float
    """How far all of these times may be wrong together."""
    kept_from: float | None
    """From when on it knows what happened, by our clock; None: it kept nothing."""
    runs: Sequence[tuple[float, str]] = ()
    """When it started, stopped or was isolated, by our clock, in order: (time, RUN_KINDS)."""


@dataclass(frozen=True, slots=True)
class PlacedLine:
    at: float
    """When it happened, by our clock, and not before the line before it of the same member."""
    seen_by: NamedMember
    line: Shape


def merged(histories: Sequence[MemberHistory]) -> list[PlacedLine]:
    """All lines, the oldest first; at one time those of the member with the smaller id first."""
    return list(merge(*map(_placed, histories), key=lambda one: (one.at, one.seen_by.id)))


def _placed(history: MemberHistory) -> list[PlacedLine]:
    """A line that seems later than the one after it is moved before it: the newest times are the surest."""
    times = list(history.happened)
    for later, earlier in pairwise(reversed(range(len(times)))):
        times[earlier] = min(times[earlier], times[later])
    return [PlacedLine(at, history.member, line) for at, line in zip(times, history.lines, strict=True)]
