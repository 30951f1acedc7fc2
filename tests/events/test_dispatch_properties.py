"""Delivery under random histories: order within a key, windows, attempts, and no event that waits for ever."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipreg.events.entries import OutcomeCode
from gossipreg.events.messages import DeliveryResult
from tests.events.dispatch_storm import DispatchStorm
from tests.examples import examples

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(1, 150))
@settings(max_examples=examples(150), deadline=None)
def test_everything_is_delivered_when_windows_open(seed: int, steps: int) -> None:
    storm = DispatchStorm(random.Random(seed), faults=False)
    for _ in range(steps):
        storm.step()
    storm.calm()
    storm.check_end()
    for receiver in storm.members.values():
        assert all(storm.keys[index] is not None for _, index in receiver.acked)


@given(SEEDS, st.integers(1, 200))
@settings(max_examples=examples(250), deadline=None)
def test_everything_is_delivered_when_faults_end(seed: int, steps: int) -> None:
    storm = DispatchStorm(random.Random(seed), faults=True)
    for _ in range(steps):
        storm.step()
    storm.calm()
    storm.check_end()


@given(SEEDS)
@settings(max_examples=examples(60), deadline=None)
def test_each_group_handles_each_event_or_sets_it_aside(seed: int) -> None:
    storm = DispatchStorm(random.Random(seed), faults=False)
    for _ in range(80):
        storm.step()
    storm.calm()
    acked = {letter for receiver in storm.members.values() for letter in receiver.acked}
    dead = {(storm._name(group), index) for group, index in storm.machine.dead}
    held = {(storm._name(number), index) for index, event in storm.machine.events.items() for number in event.waiting}
    work = {("work", index) for index in storm.keys}
    assert work <= acked | dead | held
    assert not dead & acked


@given(SEEDS)
@settings(max_examples=examples(60), deadline=None)
def test_each_failure_is_noted_once(seed: int) -> None:
    storm = DispatchStorm(random.Random(seed), faults=False)
    ended: Counter[tuple[str, int]] = Counter()
    for _ in range(120):
        before = {id(one): len(one.outbox) for one in storm.members.values()}
        storm.step()
        for receiver in storm.members.values():
            for message in [*receiver.outbox][before[id(receiver)] :]:
                for outcome in getattr(message, "outcomes", ()):
                    if outcome.result in (DeliveryResult.FAILED, DeliveryResult.DIED, DeliveryResult.REJECTED):
                        ended[outcome.group, outcome.index] += 1
    storm.calm()
    failures = (OutcomeCode.FAILED, OutcomeCode.DIED, OutcomeCode.DEAD, OutcomeCode.DEAD_HOLDS)
    noted = Counter((storm._name(note.group), note.index) for note in storm.notes if note.code in failures)
    assert noted == ended
