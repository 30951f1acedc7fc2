"""Durations."""

import math
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.durations import MAX_S, parse_duration, shown_duration

UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@given(st.integers(0, 10**9), st.sampled_from(["", "ms", "s", "m", "h", "d"]))
def test_a_whole_number_with_a_unit_is_so_many_seconds(number: int, unit: str) -> None:
    if number * UNITS[unit] > MAX_S:
        with pytest.raises(ValueError, match="ten years"):
            parse_duration(f"{number}{unit}")
    else:
        assert parse_duration(f"{number}{unit}") == number * UNITS[unit]


@given(st.decimals(0, 3_000, places=3), st.sampled_from(["", "ms", "s", "m", "h", "d"]))
def test_a_fraction_with_a_unit_is_so_many_seconds(number: object, unit: str) -> None:
    assert math.isclose(parse_duration(f"{number:f}{unit}"), float(str(number)) * UNITS[unit], abs_tol=1e-12)


@given(st.text() | st.floats().map(str) | st.from_regex(r"[-+.0-9 a-z]{1,8}", fullmatch=True))
@example("nan")
@example("inf")
@example("-1")
@example("-0")
@example("+5")
@example("1e3")
@example("1_000")
@example("5 s")
@example("5S")
@example("5.s")
@example("\u0665s")
@example("s")
@example("")
@example("1h30m")
@example("9" * 400)
def test_any_text_is_a_finite_duration_or_a_value_error(text: str) -> None:
    with suppress(ValueError):  # any other exception fails
        assert 0 <= parse_duration(text) <= MAX_S  # and so would nan


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "-0", "+5", "1e3", "1_000", "5 s", "5S", "5.s", "s", "", "1h30m"])
def test_junk_is_refused_with_what_to_write_instead(text: str) -> None:
    with pytest.raises(ValueError, match="write 250ms, 5s, 2m, 1h"):
        parse_duration(text)


def test_the_documented_forms() -> None:
    assert [parse_duration(text) for text in ("250ms", "5s", "2m", "1h", "3", "0.5")] == [0.25, 5, 120, 3600, 3, 0.5]


@given(st.integers(0, int(MAX_S)) | st.sampled_from([0.25, 1.5, 90.0, 3600.0, 1_209_600.0]))
def test_a_shown_duration_is_read_as_the_same(seconds: float) -> None:
    assert parse_duration(shown_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1_209_600, "14d"), (7200, "2h"), (90, "90s"), (300, "5m"), (0.25, "0.25s"), (0, "0s")]
)
def test_a_duration_is_shown_in_the_largest_whole_unit(seconds: float, shown: str) -> None:
    assert shown_duration(seconds) == shown
