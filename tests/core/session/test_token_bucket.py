"""A token bucket limits bursts and the average, and its debt is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.session.token_bucket import TokenBucket

START = 1000.0


def test_a_full_bucket_gives_its_depth_and_then_its_rate() -> None:
    bucket = TokenBucket(3, 2, START)
    assert [bucket.take(START) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(START + 1) for _ in range(3)] == [True, True, False]


def test_a_bucket_never_holds_more_than_its_depth() -> None:
    bucket = TokenBucket(3, 2, START)
    assert bucket.left(START + 3600) == 3


def test_a_refused_token_takes_nothing() -> None:
    bucket = TokenBucket(1, 1, START)
    bucket.take(START)
    for step in range(1, 10):
        assert not bucket.take(START + step / 10)
    assert bucket.take(START + 1)


def test_spending_goes_into_a_debt_of_at_most_one_depth() -> None:
    bucket = TokenBucket(10, 5, START)
    bucket.spend(1000, START)
    assert bucket.left(START) == -10
    assert bucket.left(START + 2) == 0
    assert not bucket.take(START + 2)


def test_a_clock_that_steps_back_takes_no_tokens_away() -> None:
    bucket = TokenBucket(10, 5, START)
    bucket.spend(4, START)
    assert bucket.left(START - 60) == 6


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_no_more_is_taken_than_depth_and_rate_allow(waits: list[float], depth: int, a_second: int) -> None:
    bucket, now, taken = TokenBucket(depth, a_second, START), START, 0
    for wait in waits:
        now += wait
        taken += bucket.take(now)
    assert taken <= depth + (now - START) * a_second + 1e-6
