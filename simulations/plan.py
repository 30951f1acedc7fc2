"""A plan: all that is done to the members and by them in one run, drawn before it begins.

Owns: what an action is, how it is written for people, and how a plan is cut down to some of its actions and members.
Never knows: how actions are drawn (`faults.py`, `workload.py`) or carried out (`doer.py`).

An action that begins something also says when it ends, so that any part of a plan is a plan: a crash without its
restart, or a partition that nobody heals, cannot be left over.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    number: int = 0
    """Names it within its plan, also in a part of it."""
    at_s: float
    """Virtual seconds since the beginning."""
    what: str
    """What `doer.Doer` knows how to do."""
    hosts: tuple[int, ...] = ()
    """Whom it is about; what it needs is the first. None: the network."""
    for_s: float = 0.0
    """How long it lasts; 0: it is done at once, or for good."""
    value: float = 0.0
    """How much: a chance, seconds, bytes; see `doer.py`."""
    flags: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    """Whom a member calls that comes back."""

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
    """These actions in order of time, each with its number."""
    every = sorted((action for part in parts for action in part), key=lambda action: action.at_s)
    return tuple(replace(action, number=number) for number, action in enumerate(every))


@dataclass(frozen=True, slots=True)
class Part:
    """Which actions and members of a plan are kept; None: all."""

    actions: tuple[int, ...] | None = None
    members: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, text: str) -> "Part":
        """`3,7,12` keeps these actions, `n0,n4` these members, `3,n0,n4` both, `none` no action at all. Raises
        ValueError."""
        words = [word for word in text.split(",") if word]
        for word in words:
            if not re.fullmatch("none|n?[0-9]+", word):
                raise ValueError(f"{word!r} is neither an action's number nor a member: say 3,7,n0,n4")
        actions = tuple(int(word) for word in words if word.isdigit())
        members = tuple(int(word[1:]) for word in words if word.startswith("n") and word != "none")
        return cls(actions if actions or "none" in words else None, members or None)

    def check(self, plan: Plan, members: int) -> None:
        """Raises ValueError where it names what there is not."""
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
        """What is left of a plan."""
        kept = [action for action in plan if self.actions is None or action.number in self.actions]
        return tuple(self._of_members(action) for action in kept if not action.hosts or self.has(action.hosts[0]))

    def _of_members(self, action: Action) -> Action:
        hosts = tuple(number for number in action.hosts if self.has(number))
        return replace(action, hosts=hosts, seeds=tuple(number for number in action.seeds if self.has(number)))
