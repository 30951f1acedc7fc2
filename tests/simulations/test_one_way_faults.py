"""Faults of one direction, small: flipflop and oneway."""

import pytest

from gossipreg.config import lan
from simulations.faulty import judge
from simulations.network import into
from simulations.opinions import Opinions
from simulations.scenario import Case, DetectorName
from simulations.scenarios import flipflop, oneway
from simulations.world import World


def figures(case: Case, scenario: str) -> dict[str, tuple[float, ...]]:
    run = {"flipflop": flipflop.run, "oneway": oneway.run}[scenario]
    return {figure.metric: figure.values for figure in run(case)}


@pytest.mark.parametrize("detector", ["ours", "lifeguard"])
def test_a_member_deaf_in_turns_costs_no_healthy_member(detector: DetectorName) -> None:
    found = figures(Case(nodes=30, seed=2, duration_s=80, detector=detector, label="part=0.03"), "flipflop")
    assert found["healthy_lost"] == (0.0,)
    assert found["faulty_lost"] == (1.0,)
    assert found["changes_about_healthy"] == (0.0,) * 29


def test_one_that_is_never_deaf_for_long_is_not_lost() -> None:
    found = figures(Case(nodes=30, seed=2, duration_s=20, label="part=0.03 turn=0.5"), "flipflop")
    assert found["faulty_lost"] == (0.0,)


@pytest.mark.parametrize("way", ["in", "out"])
def test_loss_one_way_costs_no_healthy_member(way: str) -> None:
    found = figures(Case(nodes=30, seed=3, duration_s=40, label=f"way={way} part=0.03"), "oneway")
    assert found["healthy_lost"] == (0.0,)


def test_the_observer_that_changes_its_opinion_most_is_counted() -> None:
    world = World(1, config=lan)
    hosts = world.form(6)
    opinions = Opinions(world)
    world.watch(opinions)
    began = world.now
    world.network.rules["deaf"] = into(frozenset({2}))
    assert world.until(lambda: all(opinions.lost(host) == [2] for host in hosts if host.number != 2), 10)
    del world.network.rules["deaf"]
    assert world.until(world.converged, 10)
    found = {one.metric: one.values for one in judge(opinions, hosts, frozenset({2}), began, 30.0)}
    assert found["changes_about_faulty"] == (4.0,), "lost and found, in half a minute"
    assert found["faulty_lost"] == (1.0,)
    assert found["healthy_lost_by"] == (0.0,) * 5
    assert opinions.lost(hosts[0]) == []
