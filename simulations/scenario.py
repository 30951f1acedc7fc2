"""What a scenario is: a question, the options it takes, and a function from (options, seed) to figures.

Owns: the options and their defaults, the figures and their percentiles. Never knows: any one scenario, or how runs are
spread over cores.

A scenario is a module of `scenarios/` with a `SCENARIO`. One run of a case takes place in one process and depends on
nothing but its case, so runs can be made anywhere and in any order.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gossipreg.config import Config, lan, lifeguard, swim
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
    """What else distinguishes this case within its scenario, as `key=value key=value`; the scenario reads it back."""
    settings: str = ""
    """What is set otherwise in its Config, as `field=value field=value` (`settings.py`)."""

    @property
    def config(self) -> Config:
        return self.config_on(lan)

    def config_on(self, profile: Config) -> Config:
        """Its Config, made of this profile."""
        return applied(DETECTORS[self.detector](profile), self.settings)

    @property
    def says(self) -> str:
        """Its label and settings, for people."""
        return f"{self.label} {self.settings}".strip()

    def value(self, key: str, default: float) -> float:
        """What the label says of a key."""
        return float(self.word(key, str(default)))

    def word(self, key: str, default: str) -> str:
        """... where it is not a number."""
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
    """The question that it answers, in one line."""
    run: Callable[[Case], list[Figure]]
    defaults: Case = Case()
    cases: Callable[[Case], Sequence[Case]] = lambda case: (case,)
    """The standard sweep: the cases that are run for each seed, made from what was asked for."""
    long_cases: Callable[[Case], Sequence[Case]] | None = None
    """The full grid, where the standard sweep is a subset."""
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keys of its label that take one of these words."""
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Keys of its label that take a number between these two."""
    nodes_min: int = 2
    """Of fewer members the question makes no sense."""
    draw: Callable[[Case], object] | None = None
    """What the seed decides beforehand, where that is a plan: a part of it can be run alone (`only=` in the label, see
    `plan.Part`), and a failure be shrunk to one. Raises ValueError where there is no such part."""


class CheckFailed(AssertionError):
    """An invariant did not hold. The message says which, where and when."""


def at_seed(case: Case, number: int) -> Case:
    """The same case for the `number`-th seed from its own."""
    return replace(case, seed=case.seed + number)


def percentile(ordered: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of the sorted values do not exceed."""
    index = max(0, -int(-part * len(ordered) // 1) - 1)  # ceil(part * n) - 1
    return ordered[min(index, len(ordered) - 1)]
