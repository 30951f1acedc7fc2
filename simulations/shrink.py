"""Shrinking a failure: fewer actions, then fewer members, while the same checker still fails.

Owns: the search (halves, then smaller pieces, as in delta debugging: Zeller and Hildebrandt 2002, section 3) and its
bound. Never knows: any one checker. Each attempt is a whole run, so the number of attempts is small, and the result is
a small plan, not the smallest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from simulations.checkers.checker import Broken
from simulations.failure import command
from simulations.plan import Part
from simulations.scenario import Case, CheckFailed, Scenario

ATTEMPTS_MAX = 80

T = TypeVar("T")
Fails = Callable[[Part], bool]


@dataclass(frozen=True, slots=True)
class Shrunk:
    case: Case
    attempts: int
    actions: int
    members: int


class _Out(Exception):
    """The attempts are used up."""


def without(parts: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Remove smaller and smaller pieces from the items as long as it still `fails` without them; return the rest."""
    kept = tuple(parts)
    piece = len(kept)
    while piece:
        at = 0
        while at < len(kept):
            rest = kept[:at] + kept[at + piece :]
            if fails(rest):
                kept = rest
            else:
                at += piece
        piece //= 2
    return kept


def shrink(scenario: Scenario, case: Case, broken: Broken, attempts_max: int) -> Shrunk:
    """Return the smallest case found that fails at the same checker; the case itself if no smaller one does."""
    assert scenario.draw is not None, "only a scenario with a plan is shrunk"
    drawn = scenario.draw(case)
    best = Part(tuple(action.number for action in drawn.plan), drawn.part.members or tuple(range(drawn.members)))
    attempts = 0

    def fails(part: Part) -> bool:
        nonlocal attempts, best
        if attempts == attempts_max:
            raise _Out
        attempts += 1
        try:
            scenario.run(_with(case, part))
        except CheckFailed as error:
            if isinstance(error, Broken) and error.checker == broken.checker:
                best = part
                return True
        return False

    try:
        actions = without(best.actions or (), lambda kept: fails(replace(best, actions=kept)))
        first, *others = best.members or ()
        members = without(others, lambda kept: fails(Part(actions, (first, *kept))))
        without(actions, lambda kept: fails(Part(kept, (first, *members))))
    except _Out:
        pass
    return Shrunk(_with(case, best), attempts, len(best.actions or ()), len(best.members or ()))


def _with(case: Case, part: Part) -> Case:
    others = [word for word in case.label.split() if not word.startswith("only=")]
    return replace(case, label=" ".join([*others, f"only={part}"]))


def report(scenario: Scenario, case: Case, broken: Broken) -> str:
    """Shrink the failure of a plan; return the smaller plan and the command that repeats it, for people."""
    assert scenario.draw is not None, "only a scenario with a plan is shrunk"
    shrunk = shrink(scenario, case, broken, ATTEMPTS_MAX)
    lines = [
        f"after {shrunk.attempts} attempts seed {case.seed} still fails"
        f" with {shrunk.actions} actions and {shrunk.members} members:",
        *(f"  {action}" for action in scenario.draw(shrunk.case).plan),
        "to repeat it:",
        f"  {command(shrunk.case, scenario.name)}",
    ]
    return "\n".join(lines)
