"""Partitions, small: what is gone stays gone, and a checker that could not see it would be seen."""

import pytest

from simulations.scenario import Case, CheckFailed
from simulations.scenarios import partition
from simulations.world import World


@pytest.mark.parametrize("shape", sorted(partition.SHAPES))
def test_after_a_partition_tables_are_equal_without_ghosts(shape: str) -> None:
    found = {
        figure.metric: figure.values for figure in partition.run(Case(nodes=12, seed=4, label=f"shape={shape} for=20"))
    }
    assert 0.0 <= found["heal_to_equal"][0] < 15.0


def test_sides_that_are_cut_take_each_other_for_lost() -> None:
    found = {one.metric: one.values for one in partition.run(Case(nodes=12, seed=4, label="shape=halves for=20"))}
    assert found["changes_while_cut"][0] * 20 / 60 >= 6.0, "each loses the other half"


def test_tables_that_never_become_equal_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition, "LIMIT_S", 0.02)
    with pytest.raises(CheckFailed, match="tables are not equal"):
        partition.run(Case(nodes=12, seed=4, label="shape=halves for=20"))


def test_a_member_or_service_that_came_back_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that should have left stays, and then a service."""

    def nothing(*_: object) -> None: ...

    monkeypatch.setattr(partition, "LIMIT_S", 20.0)
    monkeypatch.setattr(World, "leave", nothing)
    with pytest.raises(CheckFailed, match="n0 holds n1 alive"):
        partition.run(Case(nodes=12, seed=4, label="shape=halves for=20"))
    monkeypatch.undo()
    monkeypatch.setattr(partition, "LIMIT_S", 20.0)
    monkeypatch.setattr(World, "deregister", nothing)
    with pytest.raises(CheckFailed, match="base-0 is in the answers of"):
        partition.run(Case(nodes=12, seed=4, label="shape=halves for=20"))
