"""Attempts with waits between: which errors are tried again after, how the waits grow, and when there is no more."""

import time
from collections.abc import Callable

import pytest

from gossipreg.cli.again import RETRIED, RETRY, Again
from gossipreg.errors import Busy, NotFound, Unavailable, Unreachable
from gossipreg.retry import Retry

WAITS = Retry(0.1, 0.4)


class Clock:
    """Stands in for `time`: to sleep moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def attempt() -> str:
        if left:
            raise left.pop(0)
        return "it"

    return attempt


def test_the_first_attempt_of_a_question_comes_at_once(clock: Clock) -> None:
    assert Again(retry=WAITS).ask(failing()) == "it"
    assert clock.slept == []


def test_a_question_is_asked_again_with_growing_waits(clock: Clock) -> None:
    again = Again((Unavailable,), WAITS)
    assert again.ask(failing(*[Unavailable("no leader")] * 4)) == "it"
    assert clock.slept == [0.1, 0.2, 0.4, 0.4]
    again.ask(failing(Unavailable("no leader")))
    assert clock.slept[4:] == [0.1], "an answer lets the waits begin anew"


def test_what_is_begun_again_waits_first_and_longer_each_time(clock: Clock) -> None:
    again = Again(retry=WAITS)
    again.begin(failing())
    again.begin(failing(Unreachable("it ended"), Busy("no place")))
    assert clock.slept == [0.1, 0.2, 0.4, 0.4], "to have begun is no sign that something comes"
    again.worked()
    again.begin(failing())
    assert clock.slept[4:] == [0.1]


def test_another_error_is_raised_at_once(clock: Clock) -> None:
    for error in (NotFound("no saga"), ValueError("else")):
        with pytest.raises(type(error)):
            Again(RETRIED, WAITS).ask(failing(error))
    assert clock.slept == []


def test_no_attempt_begins_when_the_time_is_up(clock: Clock) -> None:
    again = Again((Unavailable,), WAITS, until=0.5)
    with pytest.raises(Unavailable, match="third"):
        again.ask(failing(Unavailable("first"), Unavailable("second"), Unavailable("third"), Unavailable("fourth")))
    assert clock.slept == [0.1, 0.2]


def test_commands_that_follow_wait_for_as_long_as_it_takes(clock: Clock) -> None:
    assert Again().begin(failing(*[Unreachable("no sidecar")] * 50)) == "it"
    assert clock.slept[-1] == RETRY.longest_s
