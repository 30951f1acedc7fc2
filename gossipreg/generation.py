"""The generation of a member: a number for each start of it, larger than that of any start before.

    48 bits   milliseconds of the wall clock at the start
    16 bits   random, so that two processes which start at once with one id differ

Here is all that is known of this layout. Everybody else compares generations as integers.
"""

RANDOM_BITS = 16
MAX_GENERATION = 2**63 - 1
"""The top bit is left out, so that SQLite's integers hold it."""


def generation_of(wall_ms: int, random_bits: int) -> int:
    """The generation of a start at this time of the wall clock."""
    return (wall_ms << RANDOM_BITS | random_bits) & MAX_GENERATION


def generation_above(generation: int, random_bits: int) -> int:
    """A generation that is larger than this one, whatever the clock says: of a start one millisecond later.
    It fits its field if `has_room_above` says so."""
    return (started_ms(generation) + 1) << RANDOM_BITS | random_bits


def has_room_above(generation: int) -> bool:
    """Whether there is a generation of a later millisecond."""
    return started_ms(generation) < started_ms(MAX_GENERATION)


def started_ms(generation: int) -> int:
    """The time of the start, in milliseconds of the wall clock."""
    return generation >> RANDOM_BITS
