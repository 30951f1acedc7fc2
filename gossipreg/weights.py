"""Random choices in proportion to the weights that services were registered with. Pure: randomness is handed in.

An instance of weight 2 comes first twice as often as one of weight 1. An instance of weight 0 comes after all others:
it is chosen only if all have weight 0, each with the same chance.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import log

Uniform = Callable[[], float]
"""Gives numbers from 0 to below 1, each with the same chance."""


def order_by_weight(weights: Sequence[int], uniform: Uniform) -> list[int]:
    """The indexes of `weights` in random order. At each place, each remaining index has a chance in proportion to its
    weight (Efraimidis and Spirakis 2006, with exponential keys, which keep their precision at large weights)."""
    keys = [(weight <= 0, -log(1.0 - uniform()) / max(weight, 1)) for weight in weights]
    return sorted(range(len(keys)), key=keys.__getitem__)


class Shares:
    """Picks one index at random, again and again: each pick takes a binary search."""

    __slots__ = ("_bounds",)

    def __init__(self, weights: Sequence[int]) -> None:
        """`weights` has at least one element."""
        self._bounds = list(accumulate(weights if any(weights) else [1] * len(weights)))

    def pick(self, uniform: Uniform) -> int:
        return bisect_right(self._bounds, uniform() * self._bounds[-1])
