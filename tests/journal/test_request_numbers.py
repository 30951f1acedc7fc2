"""Numbers of requests: no two processes of one member use the same."""

from itertools import islice, pairwise
from random import Random

from gossipreg.events.events import Events
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.request_numbers import FIRST_OF_SAGAS, request_numbers
from gossipreg.model import NodeId
from tests.daemon.events.test_event_reports import MadeUpJournals, Members

LARGEST_IN_JAVASCRIPT = 2**53 - 1
AT_ONCE = 1_000_000
"""More requests of one process than can wait at a leader."""


def test_an_answer_to_the_process_before_is_for_no_request_of_this_one() -> None:
    """Both counted from 1: a publisher was told of an event of the process before, as if it were its own."""
    begun = sorted(next(request_numbers(Random(seed))) for seed in range(1000))
    assert all(after - before > AT_ONCE for before, after in pairwise(begun))


def test_events_of_two_processes_have_other_numbers() -> None:
    numbers = [
        Events(
            EventsTuning(), node=NodeId(b"n" * 16), journals=MadeUpJournals(), membership=Members(), rng=Random(seed)
        ).next_ticket()
        for seed in (1, 2)
    ]  # fmt: skip
    assert abs(numbers[0] - numbers[1]) > AT_ONCE


def test_sagas_and_events_count_apart() -> None:
    for seed in range(100):
        events, sagas = request_numbers(Random(seed)), request_numbers(Random(seed), FIRST_OF_SAGAS)
        assert 0 < next(events) + AT_ONCE < FIRST_OF_SAGAS < next(sagas) + AT_ONCE <= LARGEST_IN_JAVASCRIPT


def test_numbers_follow_each_other_and_leave_the_generator_as_it_was() -> None:
    rng, other = Random(7), Random(7)
    first, *rest = islice(request_numbers(rng), 5)
    assert rest == [first + place for place in (1, 2, 3, 4)]
    assert rng.random() == other.random()
