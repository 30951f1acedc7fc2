"""The input and the output of a row: `Run` and `Figures`."""

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
    """The number of lost repetitions, if it is not the number of values that are None."""
    reps: int | None = None
    """The number of repetitions, if it is not the number of values."""
    also: dict[str, float | None] = field(default_factory=dict)
    """Further figures, by name."""
    of: str = ""
    """The program that was measured, if a row measures several."""
    durable: str = ""
    """What that program counts as durable, in words."""


@dataclass
class Run:
    """The input of a row."""

    n: int
    reps: int
    rng: random.Random
    stop: Stop
    cluster: Callable[[], Cluster]
    alone: bool
    """In a network namespace of our own: its counters are the cluster's alone, and its firewall may be used."""
    progress: Callable[[str], None]
    seconds: float
    """How long a row lasts that is not made of repetitions."""
    processes: int
    """The processes that the publishers of `events` are spread over."""

    @contextmanager
    def grown(self) -> Iterator[Cluster]:
        """A cluster of n members that all know each other."""
        with self.cluster() as cluster:
            self.progress(f"{cluster.kind}: starting {self.n}")
            cluster.grow(self.n)
            yield cluster

    def repetitions(self, cluster: Cluster, values: list[Value]) -> Iterator[int]:
        """Each begins when all members know each other, at a random moment of a protocol period. A cluster that does
        not settle any more ends the row: the other repetitions count as lost."""
        for rep in range(self.reps):
            self.progress(f"{cluster.kind}: {rep + 1} of {self.reps}")
            try:
                cluster.settle()
            except Failed as failed:
                self.progress(f"{failed}: the other repetitions count as lost\n")
                values.extend([None] * (self.reps - rep))
                return
            cluster.listener.rest(1 + self.rng.random())
            yield rep
