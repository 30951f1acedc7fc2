"""What a row is given, and what it returns."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scripts.benchmarks.cluster import Cluster, Failed
from scripts.benchmarks.stop import Stop

Value = float | None
"""Seconds, or what the unit says; None: late or never."""


@dataclass
class Figures:
    row: str
    n: int
    values: list[Value]
    unit: str = "ms"
    lost: int | None = None
    """Where it is not the number of values that are None."""
    reps: int | None = None
    """Where it is not the number of values."""
    also: dict[str, float | None] = field(default_factory=dict)
    """More to tell, by name; for people and programs."""


@dataclass
class Run:
    """What a row is given."""

    n: int
    reps: int
    rng: random.Random
    stop: Stop
    cluster: Callable[[], Cluster]
    alone: bool
    """In a network namespace of our own: its counters are the cluster's alone, and its firewall may be used."""
    progress: Callable[[str], None]
    seconds: float
    """How long a row that runs for a time does."""

    @contextmanager
    def grown(self) -> Iterator[Cluster]:
        """A cluster of n that know each other."""
        with self.cluster() as cluster:
            self.progress(f"{cluster.who}: starting {self.n}")
            cluster.grow(self.n)
            yield cluster

    def repetitions(self, cluster: Cluster, values: list[Value]) -> Iterator[int]:
        """Each begins with everyone knowing everyone, at any moment within a period. A cluster that will not settle
        any more ends the row: what is left counts as lost."""
        for rep in range(self.reps):
            self.progress(f"{cluster.who}: {rep + 1} of {self.reps}")
            try:
                cluster.settle()
            except Failed as failed:
                self.progress(f"{failed}: the other repetitions count as lost\n")
                values.extend([None] * (self.reps - rep))
                return
            cluster.ears.rest(1 + self.rng.random())
            yield rep
