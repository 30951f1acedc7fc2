"""Waits grow up to their bound."""

from gossipreg.retry import Retry


def waits(retry: Retry, count: int) -> list[float]:
    found = [retry.first_s]
    while len(found) < count:
        found.append(retry.after(found[-1]))
    return found


def test_waits_double_up_to_the_longest() -> None:
    assert waits(Retry(0.5, 30.0), 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_waits_grow_by_the_given_factor() -> None:
    assert waits(Retry(1.0, 2.5, growth=1.5), 4) == [1.0, 1.5, 2.25, 2.5]
