"""Where members contradict each other: one says that a member was dead, while another saw it alive all the time.

Owns: when that is a contradiction. A death is gossiped within a second or two, so each member that runs then and knows
that time should have it within TOLERANCE_S. Never knows: who is right.

All members that say the same of a death are named together: after a partition each member of one side contradicts each
death that the other side has declared, and there would be a text for each pair of members.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from gossipreg.history.history_line import NamedMember
from gossipreg.history.merged_history import MemberHistory, PlacedLine

TOLERANCE_S = 10.0
"""Between what two members saw of the same, beside the uncertainty of their clocks."""
OUT_OF_ORDER_S = 1.0
NAMED = 5
"""Members that a text names; the others are counted."""
COMPARED_MAX = 500_000
"""Comparisons of a death with another member, which take a second or two of a thread."""
_GONE = ("member_dead", "member_left", "member_hidden", "force_leave")
_BACK = ("member_alive", "member_shown")


@dataclass(frozen=True, slots=True)
class _Death:
    at: float
    until: float
    line: PlacedLine


@dataclass(frozen=True, slots=True)
class Disagreement:
    lines: tuple[PlacedLine, ...]
    """The lines that are contradicted."""
    with_: tuple[NamedMember, ...]
    """The members that saw something else."""
    text: str


@dataclass(frozen=True, slots=True)
class Disagreements:
    found: list[Disagreement]
    """In the order of their first lines."""
    not_compared: int
    """Deaths that were declared earlier, and compared with nothing: there are too many."""


class _Witness:
    """What one member saw of the others, and when it could see anything."""

    def __init__(self, history: MemberHistory, lines: Iterable[PlacedLine]) -> None:
        self.member = history.member
        self.uncertain_s = history.uncertain_s
        self.deaths = _deaths(lines)
        self._kept_from = history.kept_from
        runs = sorted(history.runs, key=lambda run: run[0])
        self._runs_at = [at for at, _ in runs]
        self._runs = [kind for _, kind in runs]

    def saw(self, subject: str, death: _Death, within_s: float) -> bool:
        """Whether it has a death that may be the same one."""
        from_s, until_s, seen = death.at - within_s, death.until + within_s, self.deaths.get(subject)
        return seen is not None and any(one.at < until_s and from_s < one.until for one in seen)

    def knew(self, death: _Death, within_s: float) -> bool:
        """Whether it ran when the death was declared, heard of others, and knows that time."""
        if self._kept_from is None or self._kept_from > death.at - within_s:
            return False
        after = bisect_right(self._runs_at, death.at)
        if after and (death.at - self._runs_at[after - 1] <= within_s or self._runs[after - 1] in ("stopped", "alone")):
            return False
        if after == len(self._runs):
            return True
        return self._runs_at[after] - death.at > within_s and self._runs[after] != "start"


def disagreements(
    histories: Sequence[MemberHistory], lines: Sequence[PlacedLine], newest: int | None = None
) -> Disagreements:
    """Of the last `newest` (None: all) of the merged `lines` of these histories."""
    of_observer: dict[str, list[PlacedLine]] = {}
    for line in lines:
        of_observer.setdefault(line.seen_by.id, []).append(line)
    witnesses = {one.member.id: _Witness(one, of_observer.get(one.member.id, ())) for one in histories}
    begins = {
        id(death.line): (subject, death)
        for witness in witnesses.values() for subject, deaths in witness.deaths.items() for death in deaths
        if death.line.line.get("kind") == "member_dead"  # else the member is gone for that witness alone, or it left
    }  # fmt: skip
    declared = [line for line in (lines if newest is None else lines[-newest:]) if id(line) in begins]
    compared = declared[-max(1, COMPARED_MAX // max(1, len(witnesses))) :]
    found: list[Disagreement] = []
    same: dict[tuple[str, ...], tuple[list[PlacedLine], list[NamedMember]]] = {}
    for line in compared:
        witness, (subject, death) = witnesses[line.seen_by.id], begins[id(line)]
        if saw_alive := _saw_alive(witness, subject, death, witnesses.values()):
            said, _ = same.setdefault((subject, *(one.id for one in saw_alive)), ([], saw_alive))
            said.append(line)
        found += _known_too_early(witness, subject, death, witnesses.values())
    found += [_contradiction(said, saw_alive) for said, saw_alive in same.values()]
    return Disagreements(sorted(found, key=lambda one: one.lines[0].at), len(declared) - len(compared))


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


def _saw_alive(
    witness: _Witness, subject: str, death: _Death, witnesses: Iterable[_Witness]
) -> list[NamedMember]:  # fmt: skip
    """The members that should know of this death, and saw the member alive all that time."""
    base_s, length_s = TOLERANCE_S + witness.uncertain_s, death.until - death.at
    found: list[NamedMember] = []
    if length_s <= 2 * base_s:
        return found
    for other in witnesses:
        within_s = base_s + other.uncertain_s
        if other.saw(subject, death, within_s) or other.member.id == subject or length_s <= 2 * within_s:
            continue
        if other.knew(death, within_s):
            found.append(other.member)
    return found


def _contradiction(said: Sequence[PlacedLine], saw_alive: Sequence[NamedMember]) -> Disagreement:
    name, speakers = said[0].line["member"].get("name"), [line.seen_by for line in said]
    says = "says" if len(speakers) == 1 else "say"
    text = f"{_named(speakers)} {says} that {name} was dead, and {_named(saw_alive)} saw it alive all that time"
    return Disagreement(tuple(said), tuple(saw_alive), text)


def _known_too_early(
    witness: _Witness, subject: str, death: _Death, witnesses: Iterable[_Witness]
) -> list[Disagreement]:  # fmt: skip
    """The member that declared the death cannot be the last to know it: then an estimated offset is wrong."""
    name, length_s = witness.member.name, death.until - death.at
    if death.line.line.get("by") != name:
        return []
    early: list[PlacedLine] = []
    for other in witnesses:
        uncertain_s = witness.uncertain_s + other.uncertain_s
        if other is witness or length_s <= 2 * (TOLERANCE_S + uncertain_s):
            continue
        slack_s = OUT_OF_ORDER_S + uncertain_s
        early += (
            one.line
            for one in other.deaths.get(subject, ())
            if one.line.line.get("by") == name and slack_s < death.at - one.at <= TOLERANCE_S
        )
    if not early:
        return []
    by_s, others = death.at - min(line.at for line in early), [line.seen_by for line in early]
    text = (
        f"{_named(others)} {'has' if len(others) == 1 else 'have'} the death that {name} declared {by_s:.1f} s before "
        f"{name} itself: one of their clocks was set meanwhile"
    )
    return [Disagreement(tuple(early), (witness.member,), text)]


def _named(members: Sequence[NamedMember]) -> str:
    """`a, b, c, d, e and 7 others`."""
    names = [one.name for one in members[:NAMED]]
    more = len(members) - len(names)
    if more:
        names.append(f"{more} other{'s' * (more > 1)}")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
