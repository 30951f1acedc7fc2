"""A generation holds the time of a start, and each start has a larger one."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg import generation
from gossipreg.generation import (
    MAX_GENERATION,
    RANDOM_BITS,
    generation_above,
    generation_of,
    has_room_above,
    started_ms,
)
from gossipreg.wire.messages import MAX_VERSION

MAX_MS = started_ms(MAX_GENERATION)
random_bits = st.integers(0, 2**RANDOM_BITS - 1)
generations = st.integers(0, MAX_GENERATION)


@given(st.integers(0, MAX_MS), random_bits)
def test_a_generation_gives_back_the_time_of_its_start(wall_ms: int, bits: int) -> None:
    assert started_ms(generation_of(wall_ms, bits)) == wall_ms


@given(st.integers(0, MAX_MS), st.integers(0, MAX_MS), random_bits, random_bits)
def test_a_later_start_has_the_larger_generation(one: int, other: int, bits: int, more: int) -> None:
    assert (one < other) <= (generation_of(one, bits) < generation_of(other, more))


@given(generations.filter(has_room_above), random_bits)
def test_the_generation_above_is_larger_and_fits_its_field(old: int, bits: int) -> None:
    assert old < generation_above(old, bits) <= MAX_GENERATION


def test_no_room_is_left_above_the_last_millisecond() -> None:
    assert not has_room_above(MAX_GENERATION)
    assert has_room_above(generation_of(MAX_MS - 1, 0))


@given(st.integers(0, 2**80), random_bits)
def test_a_clock_far_off_still_gives_a_generation_that_fits(wall_ms: int, bits: int) -> None:
    assert 0 <= generation_of(wall_ms, bits) <= MAX_GENERATION


def test_the_wire_has_room_for_every_generation() -> None:
    assert MAX_GENERATION == MAX_VERSION


def test_the_description_gives_the_layout() -> None:
    text = generation.__doc__ or ""
    assert f"{RANDOM_BITS} bits   random" in text
    assert f"{64 - RANDOM_BITS} bits   milliseconds" in text
