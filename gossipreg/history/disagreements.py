"""Where members contradict each other: one says that a member was dead, while another saw it alive all the time.

Owns: when that is a contradiction. A death is gossiped within a second or two, so each member that runs then and knows
that time should have it within TOLERANCE_S. Never knows: who is right.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from gossipreg.history.history_line import NamedMember
from gossipreg.history.merged_history import MemberHistory, PlacedLine

TOLERANCE_S = 10.0
"""Between what two members saw of the same, beside the uncertainty of their clocks."""
OUT_OF_ORDER_S = 1.0
_GONE = ("member_dead", "member_left", "member_hidden", "force_leave")
_BACK = ("member_alive", "member_shown")


@dataclass(frozen=True, slots=True)
class _Death:
    at: float
    until: float
    line: PlacedLine


@dataclass(frozen=True, slots=True)
class Disagreement:
    line: PlacedLine
    """What one member says."""
    with_: NamedMember
    """The other one."""
    text: str


def disagreements(histories: Sequence[MemberHistory], lines: Sequence[PlacedLine]) -> list[Disagreement]:
    """Of the merged `lines` of these histories, in their order."""
    of_observer: dict[str, list[PlacedLine]] = {}
    for line in lines:
        of_observer.setdefault(line.seen_by.id, []).append(line)
    deaths = {history.member.id: _deaths(of_observer.get(history.member.id, ())) for history in histories}
    found: list[Disagreement] = []
    for history in histories:
        for subject, seen in deaths[history.member.id].items():
            for death in seen:
                found += _contradicted(history, subject, death, histories, deaths)
    return sorted(found, key=lambda one: one.line.at)


def _deaths(lines: Iterable[PlacedLine]) -> dict[str, list[_Death]]:
    """By the id of the member that was gone, as one member saw it."""
    found: dict[str, list[_Death]] = {}
    gone: dict[str, PlacedLine] = {}
    for one in lines:
        kind, about = one.line.get("kind"), one.line.get("member")
        subject = about.get("id") if isinstance(about, dict) else None
        if kind in _GONE and subject:
            gone.setdefault(subject, one)
        elif kind in _BACK and subject in gone:
            begun = gone.pop(subject)
            found.setdefault(subject, []).append(_Death(begun.at, one.at, begun))
        elif kind == "start":
            gone.clear()  # what it knew of others ended with its process
    for subject, begun in gone.items():
        found.setdefault(subject, []).append(_Death(begun.at, inf, begun))
    return found


def _contradicted(
    history: MemberHistory, subject: str, death: _Death, histories: Sequence[MemberHistory],
    deaths: dict[str, dict[str, list[_Death]]],
) -> Iterator[Disagreement]:  # fmt: skip
    if death.line.line.get("kind") != "member_dead":
        return  # it says that it is gone here alone, or it left
    name = death.line.line["member"].get("name")
    for other in histories:
        if other.member.id in (history.member.id, subject):
            continue
        within_s = TOLERANCE_S + history.uncertain_s + other.uncertain_s
        if death.until - death.at <= 2 * within_s or not _knew(other, death, within_s):
            continue
        theirs = deaths[other.member.id].get(subject, [])
        if any(one.at - within_s < death.until and death.at - within_s < one.until for one in theirs):
            yield from _out_of_order(history, other, death, theirs)
            continue
        yield Disagreement(
            death.line, other.member,
            f"{history.member.name} says that {name} was dead, and {other.member.name} saw it alive all that time",
        )  # fmt: skip


def _knew(other: MemberHistory, death: _Death, within_s: float) -> bool:
    """Whether it ran when the death was told, heard of others, and knows that time."""
    if other.kept_from is None or other.kept_from > death.at - within_s:
        return False
    before = [kind for at, kind in other.runs if at <= death.at]
    after = next((kind for at, kind in other.runs if at > death.at), "")
    near = any(abs(at - death.at) <= within_s for at, _ in other.runs)
    return not near and before[-1:] not in (["stopped"], ["alone"]) and after != "start"


def _out_of_order(
    history: MemberHistory, other: MemberHistory, death: _Death, theirs: Iterable[_Death]
) -> Iterator[Disagreement]:  # fmt: skip
    """The member that declared the death cannot be the last to know it: then an estimated offset is wrong."""
    if death.line.line.get("by") != history.member.name:
        return
    slack_s = OUT_OF_ORDER_S + history.uncertain_s + other.uncertain_s
    for one in theirs:
        if one.line.line.get("by") == history.member.name and slack_s < death.at - one.at <= TOLERANCE_S:
            yield Disagreement(
                one.line, history.member,
                f"{other.member.name} has the death that {history.member.name} declared {death.at - one.at:.1f} s "
                f"before {history.member.name} itself: one of their clocks was set meanwhile",
            )  # fmt: skip
