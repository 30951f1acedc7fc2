"""The scenario with sagas: a run holds, the same seed does the same, and participants keep their three rules."""

from dataclasses import replace

import pytest

from simulations.orchestrating.key_ledger import GONE, UNDER_WAY, KeyLedger, KeyState
from simulations.scenario import Case
from simulations.scenarios import saga


def test_sagas_keep_their_promises_under_random_faults() -> None:
    found = {figure.metric: figure.values[0] for figure in saga.run(Case(nodes=4, seed=2, duration_s=40.0))}
    assert found["sagas"] > 30
    assert 10 < found["committed"] < 99
    assert found["refused"] > 0
    assert found["ended"] <= saga.ENDED_S


@pytest.mark.wide
@pytest.mark.parametrize("seed", [3, 35, 36, 37])
def test_sagas_hold_with_the_seeds_that_once_failed(seed: int) -> None:
    saga.run(Case(nodes=0, seed=seed, duration_s=40.0))


def test_a_leader_that_stood_still_denies_no_saga() -> None:
    """Seed 82091: it said `not_found` about a saga that the next leader had begun meanwhile."""
    saga.run(Case(nodes=0, seed=82091, duration_s=90.0, label="only=0,1,2,n0,n1,n2"))


@pytest.mark.wide
def test_a_run_with_sagas_depends_on_its_seed_alone() -> None:
    case = Case(nodes=3, seed=3, duration_s=6.0, label="programs=2")
    assert saga.run(case) == saga.run(case)
    assert saga.run(case) != saga.run(replace(case, seed=4))


def test_a_key_is_done_once_and_answers_the_same_again() -> None:
    ledger = KeyLedger("stock")
    assert ledger.begin("k") is None
    assert ledger.begin("k") == UNDER_WAY
    answer = ledger.do("k")
    assert ledger.begin("k") == answer
    assert ledger.of("k").effects == 1


def test_after_an_undo_a_key_is_never_done() -> None:
    ledger = KeyLedger("stock")
    assert ledger.undo("unseen").status == 200
    assert ledger.begin("unseen") == GONE
    assert ledger.begin("slow") is None
    ledger.undo("slow")
    assert ledger.do("slow") == GONE
    assert ledger.of("slow").state is KeyState.UNDONE
    assert ledger.of("slow").effects == 0
