"""What a row is given, what it returns, and what its figures shall reach."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scripts.benchmarks.against.build import Build
from scripts.benchmarks.stop import Stop
from scripts.tools.sidecars import Sidecar, Sidecars

Measured = dict[str, float]
"""The figures of one repetition on one build, by name."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound of the ratio ours / theirs, or of our own figure; None: there is none."""

    ratio_at_most: float | None = None
    ratio_at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        shown = [
            text
            for bound, text in (
                (self.ratio_at_most, f"<= {self.ratio_at_most} x"),
                (self.ratio_at_least, f">= {self.ratio_at_least} x"),
                (self.at_most, f"<= {self.at_most}"),
            )
            if bound is not None
        ]
        return ", ".join(shown) or "-"

    def holds(self, ours: float, ratio: float) -> bool:
        return (
            (self.ratio_at_most is None or ratio <= self.ratio_at_most)
            and (self.ratio_at_least is None or ratio >= self.ratio_at_least)
            and (self.at_most is None or ours <= self.at_most)
        )


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    unit: str
    aim: Aim = Aim()


@dataclass(frozen=True, slots=True)
class Turn:
    """One repetition on one build."""

    build: Build
    stop: Stop
    alone: bool
    """In a network namespace of our own: its counters are the cluster's alone."""

    @contextmanager
    def sidecars(self) -> Iterator["Started"]:
        with Sidecars() as sidecars:
            yield Started(self, sidecars)


@dataclass(frozen=True, slots=True)
class Started:
    """A cluster of sidecars of one build."""

    turn: Turn
    sidecars: Sidecars

    def start(self, name: str, *arguments: str) -> Sidecar:
        """Returns at once."""
        with self.turn.stop.held():
            return self.sidecars.start(name, *arguments, command=self.turn.build.command)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. Its measure's docstring says what is measured."""

    measure: Callable[[Turn], Measured]
    figures: tuple[Figure, ...]
    reps: int
    named_only: bool = False
    """It takes so long, or so much memory, that it runs only if it is named."""
