"""Random choices by weight."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.weights import Shares, order_by_weight

WEIGHTS = st.lists(st.integers(0, 65_535), max_size=50)


@given(WEIGHTS, st.integers(0, 1 << 32))
def test_an_order_has_every_index_once_and_weight_zero_last(weights: list[int], seed: int) -> None:
    order = order_by_weight(weights, Random(seed).random)
    assert sorted(order) == list(range(len(weights)))
    zeros = [weights[at] == 0 for at in order]
    assert zeros == sorted(zeros)


@given(WEIGHTS.filter(bool), st.integers(0, 1 << 32))
def test_a_pick_is_never_of_weight_zero_where_there_is_another(weights: list[int], seed: int) -> None:
    uniform = Random(seed).random
    shares = Shares(weights)
    picks = [shares.pick(uniform) for _ in range(20)]
    assert all(0 <= at < len(weights) for at in picks)
    assert not any(weights) or all(weights[at] for at in picks)


@pytest.mark.parametrize("extreme", [0.0, 1.0 - 2**-53])
@pytest.mark.parametrize("weights", [[1], [0, 1, 0], [65_535] * 1000, [3, 0], [0, 0], [1, 65_535]])
def test_the_ends_of_the_range_are_indexes_too(extreme: float, weights: list[int]) -> None:
    at = Shares(weights).pick(lambda: extreme)
    assert 0 <= at < len(weights)
    assert weights[at] or not any(weights)
    assert sorted(order_by_weight(weights, lambda: extreme)) == list(range(len(weights)))


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 2, 3, 4], [100, 1], [65_535, 65_535, 1], [0, 0, 0]])
@pytest.mark.parametrize("way", ["first in order", "pick"])
def test_the_first_is_chosen_in_proportion_to_its_weight(weights: list[int], way: str) -> None:
    uniform, draws = Random(7).random, 40_000
    shares = Shares(weights)
    counts = Counter(
        order_by_weight(weights, uniform)[0] if way == "first in order" else shares.pick(uniform) for _ in range(draws)
    )
    total = sum(weights) or len(weights)
    for at, weight in enumerate(weights):
        wanted = (weight if any(weights) else 1) / total
        assert abs(counts[at] / draws - wanted) < 4 * (wanted * (1 - wanted) / draws) ** 0.5 + 1e-9


def test_the_second_place_is_shared_by_weight_among_those_left() -> None:
    uniform, draws = Random(7).random, 40_000
    seconds = Counter(order[1] for _ in range(draws) if (order := order_by_weight([6, 3, 1], uniform))[0] == 0)
    share = seconds[1] / seconds.total()
    assert abs(share - 3 / 4) < 4 * (3 / 16 / seconds.total()) ** 0.5
