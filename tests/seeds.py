"""Seeds of one test: the first in every run, the others with `scripts/check --wide`."""

from collections.abc import Iterable

import pytest


def seeds(*given: int | Iterable[int]) -> list[object]:
    every = [one for some in given for one in ([some] if isinstance(some, int) else some)]
    return [every[0], *(pytest.param(one, marks=pytest.mark.wide) for one in every[1:])]
