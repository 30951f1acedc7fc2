"""The numbers by which answers are known again: of publishes, calls, questions, entries and reads.

A member may answer a request of the process that was here before: it waited in the queue of a leader while this sidecar
was restarted. If each process counted from 1, the new one would take that for the answer to a request of its own, and
tell a publisher that an event is durable that no journal has. So each process begins at a number of its own.
"""

from copy import copy
from itertools import count
from random import Random

FIRST_OF_SAGAS = 1 << 52
"""Sagas count from here on, and events below. Both stay below 2**53: JavaScript reads these as they are."""
FIRST_OF_SHOWN = 1 << 53
"""Proofs for what people are shown count from here on; these numbers do not leave the process."""
_BEGINNINGS = 1 << 51


def request_numbers(rng: Random, first: int = 0) -> "count[int]":
    """Numbers of one process, from a random one above `first` on. What `rng` draws next does not change."""
    return count(first + 1 + copy(rng).randrange(_BEGINNINGS))
