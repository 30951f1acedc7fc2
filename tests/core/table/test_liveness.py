"""The precedence of liveness, every cell: what each claim does to each state of a row."""

from itertools import product

import pytest

from gossipreg.config import lan
from gossipreg.core.table.facts import Merged, MergeOutcome
from gossipreg.core.table.layout import KIND_MEMBER
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.row import State, rises
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, Address, BootId, Liveness, Member, NodeId, Rank, Status, Version
from gossipreg.wire.messages import MAX_INCARNATION, Claim
from gossipreg.wire.values import encode_member

OWN, OTHER, THIRD = (NodeId(bytes([first]) * 16) for first in (1, 2, 3))
ALIVE, SUSPECT, DEAD = Rank.ALIVE, Rank.SUSPECT, Rank.DEAD
GENERATION, INCARNATION = 100, 10
NOW = 50.0


def table_with(status: Status = Status.UP, rank: Rank = ALIVE, hold_s: float = 0.0) -> Table:
    """A table that holds one other member, in this state."""
    table = Table(lan, OWN, 7, NOW, 0)
    tell(table, GENERATION, status, hold_s)
    table.merge_claim(Claim(OTHER, GENERATION, INCARNATION, rank, THIRD), NOW)
    return table


def tell(table: Table, generation: int, status: Status = Status.UP, hold_s: float = 0.0, *, now: float = NOW) -> Merged:
    owner = OwnContent(generation)
    member = Member("other", BootId(bytes(8)), (Address("127.0.0.1", 1),), status=status, hold_s=hold_s)
    owner.put(KIND_MEMBER, 0, encode_member(member))
    return table.merge_delta(owner.cut(OTHER, 0, 1400), from_owner=True, synced=True, now=now)


# What is held in one generation, by what is claimed in the same one at (a lower, the same, a higher) incarnation.
SAME_GENERATION = {
    (ALIVE, ALIVE): (False, False, True),
    (ALIVE, SUSPECT): (False, True, True),
    (ALIVE, DEAD): (False, True, True),
    (SUSPECT, ALIVE): (False, False, True),
    (SUSPECT, SUSPECT): (False, False, True),
    (SUSPECT, DEAD): (False, True, True),
    (DEAD, ALIVE): (False, False, True),
    (DEAD, SUSPECT): (False, False, True),
    (DEAD, DEAD): (False, False, True),
}


def expected(held: Rank, left: bool, generation: int, incarnation: int, claimed: Rank) -> bool:
    if generation != GENERATION:
        return generation > GENERATION
    return not left and SAME_GENERATION[held, claimed][incarnation - INCARNATION + 1]


CELLS = list(
    product(
        (ALIVE, SUSPECT, DEAD),
        (False, True),
        (GENERATION - 1, GENERATION, GENERATION + 1),
        (INCARNATION - 1, INCARNATION, INCARNATION + 1),
        (ALIVE, SUSPECT, DEAD),
    )
)


@pytest.mark.parametrize(("held", "left", "generation", "incarnation", "claimed"), CELLS)
def test_each_claim_rises_over_each_state_or_does_not(
    held: Rank, left: bool, generation: int, incarnation: int, claimed: Rank
) -> None:
    outcome = expected(held, left, generation, incarnation, claimed)
    said = Liveness(generation, incarnation, claimed)
    assert rises(Liveness(GENERATION, INCARNATION, held), left, said) == outcome

    table = table_with(rank=held)
    row = table.rows[OTHER]
    if left:
        tell_left(table)
        assert row.left
    before = row.liveness
    merged = table.merge_claim(Claim(OTHER, *said, by=OWN), NOW)
    assert merged.outcome is (MergeOutcome.APPLIED if outcome else MergeOutcome.NOTHING)
    assert merged.claim == (said if outcome else None)
    assert row.liveness == (said if outcome else before)
    if outcome:
        assert row.reporter == (None if claimed is ALIVE else OWN)
    still_left = left and not outcome
    assert row.active == (not still_left and row.liveness.rank is not DEAD)


def tell_left(table: Table) -> None:
    """The owner's second write: it leaves."""
    owner = OwnContent(GENERATION)
    for status in (Status.UP, Status.LEFT):
        owner.put(KIND_MEMBER, 0, encode_member(Member("other", BootId(bytes(8)), (Address("::1", 1),), status=status)))
    table.merge_delta(owner.cut(OTHER, 1, 1400), from_owner=False, synced=True, now=NOW)


@pytest.mark.parametrize("rank", [ALIVE, SUSPECT, DEAD])
def test_a_claim_about_an_unknown_member_changes_nothing(rank: Rank) -> None:
    table = Table(lan, OWN, 7, NOW, 0)
    merged = table.merge_claim(Claim(OTHER, 1, 1, rank, THIRD), NOW)
    assert merged == Merged(MergeOutcome.NOTHING, NOTHING, NOTHING)
    assert list(table.rows) == [OWN]


@pytest.mark.parametrize("rank", [ALIVE, SUSPECT, DEAD])
@pytest.mark.parametrize("generation", [6, 7, 8])
def test_no_other_member_changes_our_own_row(rank: Rank, generation: int) -> None:
    table = Table(lan, OWN, 7, NOW, 0)
    merged = table.merge_claim(Claim(OWN, generation, 5, rank, THIRD), NOW)
    assert merged.outcome is MergeOutcome.NOTHING
    assert table.own.liveness == Liveness(7, 0, ALIVE)


@pytest.mark.parametrize("held", [ALIVE, SUSPECT, DEAD])
@pytest.mark.parametrize(
    ("generation", "liveness"),
    [(GENERATION - 1, None), (GENERATION, None), (GENERATION + 1, Liveness(GENERATION + 1, 0, ALIVE))],
)
def test_content_raises_the_generation_and_nothing_else(held: Rank, generation: int, liveness: Liveness | None) -> None:
    table = table_with(rank=held)
    before = table.rows[OTHER].liveness
    merged = tell(table, generation)
    assert merged.claim == liveness
    assert table.rows[OTHER].liveness == (liveness or before)


def test_no_content_revives_a_dead_incarnation() -> None:
    table = table_with(rank=DEAD)
    owner = OwnContent(GENERATION)
    owner.put(KIND_MEMBER, 0, b"x")
    owner.put(KIND_MEMBER, 0, b"y")
    merged = table.merge_delta(owner.cut(OTHER, 1, 1400), from_owner=True, synced=True, now=NOW)
    assert merged.outcome is MergeOutcome.APPLIED
    assert merged.claim is None
    assert not table.rows[OTHER].active
    assert table.fingerprint == Table(lan, OWN, 7, NOW, 0).fingerprint


@pytest.mark.parametrize(
    ("status", "rank", "state"),
    [
        (Status.UP, ALIVE, State.ALIVE),
        (Status.UP, SUSPECT, State.SUSPECT),
        (Status.UP, DEAD, State.DEAD),
        (Status.DRAINING, ALIVE, State.ALIVE),
        (Status.RESTARTING, SUSPECT, State.SUSPECT),
        (Status.LEFT, ALIVE, State.LEFT),
        (Status.LEFT, DEAD, State.LEFT),
    ],
)
def test_the_state_is_the_owners_leaving_or_else_the_rank(status: Status, rank: Rank, state: State) -> None:
    table = table_with(status, rank)
    assert table.rows[OTHER].state is state


def test_the_time_of_a_state_is_when_it_began() -> None:
    table = table_with()
    row = table.rows[OTHER]
    table.merge_claim(Claim(OTHER, GENERATION, INCARNATION, DEAD, THIRD), 60.0)
    table.merge_claim(Claim(OTHER, GENERATION, INCARNATION + 1, DEAD, THIRD), 70.0)
    assert row.changed_at == 60.0
    table.merge_claim(Claim(OTHER, GENERATION, INCARNATION + 2, ALIVE, OTHER), 80.0)
    assert row.changed_at == 80.0


# -- refuting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generation", "incarnation", "risen"),
    [(6, 9, None), (7, 2, None), (7, 3, 4), (7, 9, 10), (8, 0, None)],
)
def test_a_refutation_rises_above_a_claim_at_or_above_us(generation: int, incarnation: int, risen: int | None) -> None:
    table = Table(lan, OWN, 7, NOW, 0)
    assert table.refute(7, 2, NOW) == Liveness(7, 3, ALIVE)
    version = table.own.version
    assert table.refute(generation, incarnation, NOW) == (None if risen is None else Liveness(7, risen, ALIVE))
    assert table.own.version == version, "a refutation wakes no watcher"


def test_above_the_largest_incarnation_there_is_no_refutation() -> None:
    table = Table(lan, OWN, 7, NOW, 0)
    assert table.refute(7, MAX_INCARNATION, NOW) is None
    assert table.counts["incarnation_exhausted"] == 1


def test_a_member_that_left_does_not_refute() -> None:
    table = Table(lan, OWN, 7, NOW, 0)
    member = Member("own", BootId(bytes(8)), (), status=Status.LEFT)
    table.write(KIND_MEMBER, 0, encode_member(member), NOW)
    assert table.refute(7, 0, NOW) is None


# -- restarting, and a newer generation ------------------------------------------------------------------------------


def test_restarting_holds_off_a_death_until_it_is_back() -> None:
    table = table_with(Status.RESTARTING, hold_s=30.0)
    row = table.rows[OTHER]
    assert row.hold_until == NOW + 30.0
    assert row.answers
    tell(table, GENERATION + 1, now=NOW + 5)
    assert row.hold_until < NOW


@pytest.mark.parametrize(
    ("status", "rank", "answers"),
    [
        (Status.UP, ALIVE, True),
        (Status.UP, SUSPECT, True),
        (Status.RESTARTING, ALIVE, True),
        (Status.UP, DEAD, False),
        (Status.LEFT, ALIVE, False),
    ],
)
def test_an_old_generation_answers_only_if_it_did_just_before(status: Status, rank: Rank, answers: bool) -> None:
    table = table_with(status, rank)
    row = table.rows[OTHER]
    assert row.answers == answers
    table.merge_claim(Claim(OTHER, GENERATION + 1, 0, ALIVE, OTHER), NOW)
    assert row.active
    assert row.answers == answers
    assert row.pull_from == Version(GENERATION + 1, 0)
    tell(table, GENERATION + 1)
    assert row.answers


def test_a_dead_claim_for_the_new_generation_silences_both() -> None:
    table = table_with()
    row = table.rows[OTHER]
    table.merge_claim(Claim(OTHER, GENERATION + 1, 0, DEAD, THIRD), NOW)
    assert not row.answers
    table.merge_claim(Claim(OTHER, GENERATION + 1, 1, ALIVE, OTHER), NOW)
    assert not row.answers, "the old generation answers no more, although its successor lives"
    tell(table, GENERATION + 1)
    assert row.answers
