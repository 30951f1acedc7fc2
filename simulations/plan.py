"""A plan: all faults and all registrations of one run, drawn before it begins.

Owns: what an action is, how it is written for people, and how a plan is reduced to some of its actions and members.
Never knows: how actions are drawn (`faults.py`, `workload.py`) or carried out (`doer.py`).

An action that begins something also says when that ends, so that every part of a plan is a plan: no part can have a
crash without its restart, or a partition that never heals.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    number: int = 0
    """Identifies the action within its plan; a part of the plan keeps the numbers."""
    at_s: float
    """Virtual seconds since the beginning of the run."""
    what: str
    """The kind: one of those that `doer.Doer` carries out."""
    hosts: tuple[int, ...] = ()
    """The members that it strikes, by number; the first is required. Empty: it is about the network."""
    for_s: float = 0.0
    """How long it lasts, seconds; 0: it happens at one moment, or lasts for good."""
    value: float = 0.0
    """Its size: a probability, seconds or bytes; see `doer.py`."""
    flags: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    """The members that a restarted member has as its seeds, by number."""

    def __str__(self) -> str:
        words = [f"#{self.number:<3} {self.at_s:8.3f} s  {self.what}"]
        words += [" ".join(f"n{number}" for number in self.hosts)] if self.hosts else []
        words += [f"for {self.for_s:.3f} s"] if self.for_s else []
        words += [f"{self.value:g}"] if self.value else []
        words += list(self.flags)
        words += ["seeds " + " ".join(f"n{number}" for number in self.seeds)] if self.seeds else []
        return "  ".join(words)


Plan = tuple[Action, ...]


def numbered(*parts: Iterable[Action]) -> Plan:
    """Sort these actions by time and number them."""
    every = sorted((action for part in parts for action in part), key=lambda action: action.at_s)
    return tuple(replace(action, number=number) for number, action in enumerate(every))


@dataclass(frozen=True, slots=True)
class Part:
    """Which actions and members of a plan are kept; None: all."""

    actions: tuple[int, ...] | None = None
    members: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Parse `--only`: `3,7,12` keeps these actions, `n0,n4` these members, `3,n0,n4` both, `none` no action at all.
        Raises ValueError."""
        words = [word for word in text.split(",") if word]
        for word in words:
            if not re.fullmatch("none|n?[0-9]+", word):
                raise ValueError(f"{word!r} is neither an action's number nor a member: say 3,7,n0,n4")
        actions = tuple(int(word) for word in words if word.isdigit())
        members = tuple(int(word[1:]) for word in words if word.startswith("n") and word != "none")
        return cls(actions if actions or "none" in words else None, members or None)

    def check(self, plan: Plan, members: int) -> None:
        """Raise ValueError if it names an action or a member that does not exist."""
        for number in self.actions or ():
            if number >= len(plan):
                raise ValueError(f"there is no action {number}: the plan has {len(plan)}")
        for number in self.members or ():
            if number >= members:
                raise ValueError(f"there is no member n{number}: there are {members}")

    def __str__(self) -> str:
        actions = [] if self.actions is None else [str(number) for number in self.actions] or ["none"]
        return ",".join([*actions, *(f"n{number}" for number in self.members or ())])

    def has(self, member: int) -> bool:
        return self.members is None or member in self.members

    def of(self, plan: Plan) -> Plan:
        """Return this part of the plan."""
        kept = [action for action in plan if self.actions is None or action.number in self.actions]
        return tuple(self._of_members(action) for action in kept if not action.hosts or self.has(action.hosts[0]))

    def _of_members(self, action: Action) -> Action:
        hosts = tuple(number for number in action.hosts if self.has(number))
        return replace(action, hosts=hosts, seeds=tuple(number for number in action.seeds if self.has(number)))


class DrawnPlan(Protocol):
    """What a scenario with a plan draws from the seed before a run."""

    @property
    def members(self) -> int: ...
    @property
    def plan(self) -> Plan:
        """The actions that are carried out."""

    @property
    def part(self) -> Part: ...
