"""Who decides: majorities, and the change from one configuration to the next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram
from gossipreg.journal.copies import candidates, missing, next_configuration
from gossipreg.journal.membership import JournalHost
from gossipreg.journal.model import Configuration, JournalId, ReplicaId, ReplicaPlace
from gossipreg.journal.values import decode_configuration_untrusted, encode_configuration
from gossipreg.model import NodeId

JOURNAL = JournalId(b"j" * 16)


def place(number: int) -> ReplicaPlace:
    return ReplicaPlace(ReplicaId(bytes([number]) * 16), NodeId(bytes([number]) * 16), bytes([number]) * 8)


def places(*numbers: int) -> tuple[ReplicaPlace, ...]:
    return tuple(place(number) for number in numbers)


def replicas(numbers: set[int]) -> set[ReplicaId]:
    return {place(number).replica for number in numbers}


NUMBERS = st.sets(st.integers(1, 7))
VOTERS = st.sets(st.integers(1, 7), min_size=1, max_size=5)


@given(VOTERS, VOTERS, NUMBERS, NUMBERS)
def test_those_that_decide_before_during_and_after_a_change_meet(
    old: set[int], new: set[int], one: set[int], two: set[int]
) -> None:
    before, after = Configuration(places(*sorted(old))), Configuration(places(*sorted(new)))
    joint = replace(after, before=before.voters)
    for first, second in ((before, joint), (joint, joint), (joint, after), (before, before)):
        if first.has_majority(replicas(one)) and second.has_majority(replicas(two)):
            assert one & two


@given(VOTERS, st.sets(st.integers(1, 7), max_size=5), st.dictionaries(st.integers(1, 7), st.integers(0, 9)))
def test_what_a_majority_holds_is_held_by_those_that_decide(
    voters: set[int], before: set[int], held: dict[int, int]
) -> None:
    configuration = Configuration(places(*sorted(voters)), before=places(*sorted(before)))
    by_replica = {place(number).replica: index for number, index in held.items()}
    index = configuration.held_by_majority(lambda replica: by_replica.get(replica, 0))

    def holders(least: int) -> set[ReplicaId]:
        return {one for one in replicas({*range(1, 8)}) if by_replica.get(one, 0) >= least}

    assert configuration.has_majority(holders(index))
    assert not configuration.has_majority(holders(index + 1))


def test_a_joint_configuration_needs_both_majorities() -> None:
    joint = Configuration(places(1, 2, 4), before=places(1, 2, 3))
    assert not joint.has_majority(replicas({1, 4}))
    assert not joint.has_majority(replicas({2, 3}))
    assert joint.has_majority(replicas({1, 2}))


def test_a_configuration_without_voters_decides_nothing() -> None:
    assert not Configuration(()).has_majority(set())


@given(VOTERS, NUMBERS, NUMBERS)
def test_a_configuration_survives_its_encoding(voters: set[int], learners: set[int], before: set[int]) -> None:
    configuration = Configuration(
        places(*sorted(voters)), places(*sorted(learners - voters)), places(*sorted(before - (learners - voters)))
    )
    assert decode_configuration_untrusted(encode_configuration(configuration)) == configuration


@given(st.binary(max_size=80))
def test_any_bytes_are_a_configuration_or_refused(data: bytes) -> None:
    try:
        found = decode_configuration_untrusted(data)
    except BadDatagram:
        return
    assert found.voters


# -- which members hold copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voters", "learners", "bad", "current", "wanted", "result"),
    [
        ((1,), (2, 3), (), (2, 3), 3, ((1, 2, 3), ())),
        ((1,), (2, 3), (), (2,), 3, None),
        ((1,), (2,), (), (2,), 3, None),
        ((1, 2, 3), (4,), (3,), (4,), 3, ((1, 2, 4), ())),
        ((1, 2, 3), (4,), (3,), (), 3, None),
        ((1, 2, 3), (), (3,), (), 3, None),
        ((1, 2, 3), (4,), (), (4,), 3, ((1, 2, 3), ())),
        ((1, 2, 3), (4, 5), (3, 4), (5,), 3, ((1, 2, 5), (4,))),
        ((1, 2, 5), (4,), (4,), (5,), 3, ((1, 2, 5), ())),
        ((1,), (), (), (), 1, None),
    ],
)
def test_the_next_configuration(
    voters: tuple[int, ...], learners: tuple[int, ...], bad: tuple[int, ...], current: tuple[int, ...], wanted: int,
    result: tuple[tuple[int, ...], tuple[int, ...]] | None,
) -> None:  # fmt: skip
    configuration = Configuration(places(*voters), places(*learners))
    found = next_configuration(configuration, replicas({*bad}), replicas({*current}), wanted)
    assert found == (None if result is None else Configuration(places(*result[0]), places(*result[1])))


@given(VOTERS, NUMBERS, NUMBERS, NUMBERS)
def test_no_step_removes_a_good_voter_or_makes_two(
    voters: set[int], learners: set[int], bad: set[int], current: set[int]
) -> None:
    configuration = Configuration(places(*sorted(voters)), places(*sorted(learners - voters)))
    found = next_configuration(configuration, replicas(bad), replicas(current), 3)
    if found is None:
        return
    assert {one.replica for one in configuration.voters} - replicas(bad) <= {one.replica for one in found.voters}
    assert len(found.voters) >= len(configuration.voters)
    assert len(configuration.voters) != 1 or len(found.voters) in (1, 3)


def host(number: int, zone: str, machine: int | None = None) -> JournalHost:
    return JournalHost(place(number).node, bytes([machine or number]) * 8, zone)


def test_candidates_are_other_hosts_and_other_zones_come_first() -> None:
    hosts = [host(number, "ab"[number % 2]) for number in range(1, 8)]
    found = candidates(JOURNAL, Configuration(places(1)), (), hosts)
    assert {one.node for one in found} == {place(number).node for number in range(2, 8)}
    assert found[0].zone == "a"


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9))
def test_the_first_candidates_are_in_zones_of_their_own(zones: list[str]) -> None:
    """Found by the laboratory: both copies that were asked for at once lay in one zone, and died with it."""
    hosts = [host(number, zone) for number, zone in enumerate(zones, 1)]
    found = [one.zone for one in candidates(JOURNAL, Configuration(places(1)), (), hosts)]
    free = {*zones} - {zones[0]}
    assert {*found[: len(free)]} == free
    assert len(found) == len(zones) - 1


def test_one_machine_is_one_candidate() -> None:
    hosts = [host(2, "a", 9), host(3, "a", 9), host(4, "a", 1)]
    found = candidates(JOURNAL, Configuration(places(1)), (), hosts)
    assert len(found) == 1
    assert found[0].host == bytes([9]) * 8


def test_all_members_order_the_candidates_alike() -> None:
    hosts = [host(number, "") for number in range(2, 8)]
    assert candidates(JOURNAL, Configuration(places(1)), (), hosts) == candidates(
        JOURNAL, Configuration(places(1)), (), reversed(hosts)
    )
    other = candidates(JournalId(b"l" * 16), Configuration(places(1)), (), hosts)
    assert other != candidates(JOURNAL, Configuration(places(1)), (), hosts)


def test_missing_counts_good_copies() -> None:
    assert missing(Configuration(places(1, 2, 3)), replicas({3}), 3) == 1
    assert missing(Configuration(places(1, 2, 3), places(4)), replicas({3}), 3) == 0
