"""A break: one function of the core is replaced during a run, so that an invariant does not hold.

Owns: what a break is, and how it is applied. Never knows: any one break (`selftest.py`, `journaling/breaks.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from simulations.scenario import Case
from simulations.scenarios import swarm

CASE = Case(nodes=6, duration_s=40.0)


@dataclass(frozen=True, slots=True)
class Break:
    what: str
    fires: tuple[str, ...]
    """The checkers that may detect it first."""
    owner: Any
    attribute: str
    instead: Callable[[Any], Any]
    """From the attribute's value to the broken one."""
    case: Case = CASE
    """Its seed is the first one tried."""
    run: Callable[[Case], object] = swarm.run


@contextmanager
def broken(*breaks: Break) -> Iterator[None]:
    """Break the core in these ways during the block."""
    were = [(one, getattr(one.owner, one.attribute)) for one in breaks]
    for one, was in were:
        setattr(one.owner, one.attribute, one.instead(was))
    try:
        yield
    finally:
        for one, was in were:
            setattr(one.owner, one.attribute, was)
