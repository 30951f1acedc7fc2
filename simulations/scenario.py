"""A scenario: a question, the options that it takes, and a function from (options, seed) to figures.

Owns: the options and their defaults, the figures and their percentiles. Never knows: any one scenario, or how runs are
spread over cores.

A scenario is a module of `scenarios/` with a `SCENARIO`. A run of a case takes place in one process and depends on its
case alone, so runs can be made anywhere and in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gossipreg.config import Config, lan
from simulations.baselines.config import lifeguard, swim
from simulations.plan import DrawnPlan
from simulations.settings import applied

DetectorName = Literal["ours", "lifeguard", "swim"]
DETECTORS: dict[str, Callable[[Config], Config]] = {"ours": lambda base: base, "lifeguard": lifeguard, "swim": swim}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: everything that it depends on."""

    nodes: int = 100
    seed: int = 1
    duration_s: float = 60.0
    detector: DetectorName = "ours"
    loss: float = 0.0
    label: str = ""
    """The scenario's own options, as `key=value key=value`."""
    settings: str = ""
    """The changed fields of its Config, as `field=value field=value` (`settings.py`)."""

    @property
    def config(self) -> Config:
        return self.config_on(lan)

    def config_on(self, profile: Config) -> Config:
        """Return its Config, made from this profile."""
        return applied(DETECTORS[self.detector](profile), self.settings)

    @property
    def says(self) -> str:
        """Its label and settings, for people."""
        return f"{self.label} {self.settings}".strip()

    def value(self, key: str, default: float) -> float:
        """Return the number that the label has for this key."""
        return float(self.word(key, str(default)))

    def word(self, key: str, default: str) -> str:
        """Return the text that the label has for this key."""
        return dict(part.split("=", 1) for part in self.label.split()).get(key, default)


@dataclass(frozen=True, slots=True)
class Figure:
    """The samples of one metric in one run."""

    metric: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    asks: str
    """The question that the scenario answers, in one line."""
    run: Callable[[Case], list[Figure]]
    defaults: Case = Case()
    cases: Callable[[Case], Sequence[Case]] = lambda case: (case,)
    """The standard sweep: from a case with the user's options to the cases that are run for each seed."""
    long_cases: Callable[[Case], Sequence[Case]] | None = None
    """The full grid, if the standard sweep is a subset."""
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keys of its label that take one of these words."""
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Keys of its label that take a number between these two."""
    nodes_min: int = 2
    """The least number of members for which the question makes sense."""
    draw: Callable[[Case], DrawnPlan] | None = None
    """Draws the plan from the seed, if the scenario has one. A part of a plan can be run alone (`only=` in the label,
    see `plan.Part`), and a failure can be shrunk to a part. Raises ValueError if the part does not exist."""


class CheckFailed(AssertionError):
    """An invariant did not hold. The message says which, at which members and when."""


def at_seed(case: Case, number: int) -> Case:
    """Return the same case with the seed `number` after its own."""
    return replace(case, seed=case.seed + number)


def percentile(ordered: Sequence[float], part: float) -> float:
    """Return the smallest value that at least the share `part` of the sorted values does not exceed."""
    index = max(0, -int(-part * len(ordered) // 1) - 1)  # ceil(part * n) - 1
    return ordered[min(index, len(ordered) - 1)]
