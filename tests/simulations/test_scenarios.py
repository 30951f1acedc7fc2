"""Every scenario answers its question, tried on few members."""

import pytest

from simulations.scenario import Case, DetectorName
from simulations.scenarios import all_scenarios, crash, restart


def figures_of(name: str, case: Case) -> dict[str, tuple[float, ...]]:
    return {figure.metric: figure.values for figure in all_scenarios()[name].run(case)}


def test_every_scenario_has_a_question_and_a_sweep() -> None:
    for name, scenario in all_scenarios().items():
        assert scenario.name == name
        assert scenario.asks.endswith("?")
        assert len(scenario.cases(scenario.defaults)) >= 1


def test_equal_seeds_give_equal_figures_and_others_do_not() -> None:
    case = Case(nodes=8, duration_s=5.0, label="times=2")
    assert figures_of("update", case) == figures_of("update", case)
    assert figures_of("update", case) != figures_of("update", Case(nodes=8, seed=2, duration_s=5.0, label="times=2"))


def test_an_idle_member_sends_a_probe_and_an_ack_a_second() -> None:
    found = figures_of("idle", Case(nodes=10, duration_s=10.0))
    assert all(2.0 <= packets <= 2.4 for packets in found["packets_sent"])
    assert all(160 <= size <= 220 for size in found["bytes_sent"])


def test_an_update_is_seen_by_all_with_its_number_of_hops() -> None:
    found = figures_of("update", Case(nodes=12, duration_s=5.0, label="times=3"))
    assert found["never"] == (0, 0, 0)
    assert len(found["seen"]) == len(found["hops"]) == 3 * 11
    assert min(found["hops"]) == 1
    assert 2 <= max(found["hops"]) <= 6
    # a hop takes the gathering of 2 ms, but for the first, and a link of at most 0.5 ms
    assert max(found["last"]) <= max(found["hops"]) * 2.5 + 0.001
    assert max(found["last"]) == max(found["seen"])
    assert all(1 <= redundancy <= 3 for redundancy in found["redundancy"])


def test_an_update_that_nobody_hears_of_is_counted_as_never_seen() -> None:
    found = figures_of("update", Case(nodes=5, loss=1.0, duration_s=0.5, label="times=2"))
    assert found["never"] == (4, 4)
    assert found["seen"] == found["last"] == found["hops"] == ()


@pytest.mark.parametrize(("label", "floor_s"), [("", 0.4), ("silent=1", 2.0)])
def test_a_crash_is_suspected_then_known_to_first_and_last(label: str, floor_s: float) -> None:
    found = figures_of("crash", Case(nodes=12, duration_s=20.0, label=f"times=3 {label}"))
    assert found["never"] == (0, 0, 0)
    assert len(found["known"]) == 11 + 10 + 9
    for suspicion, first, last in zip(found["first_suspicion"], found["first"], found["last"], strict=True):
        assert 0 <= suspicion < first <= last <= 1 + floor_s + 0.5
        assert first - suspicion <= floor_s + 0.1
    assert "theory" not in found


def test_random_probing_stands_beside_its_theory() -> None:
    found = figures_of("crash", Case(nodes=30, duration_s=60.0, detector="swim", label="times=12"))
    (mean,), (theory,) = found["mean_suspicion"], found["theory"]
    assert theory == pytest.approx(1.582, abs=0.001)
    assert theory - 0.5 < mean < theory + 1.5
    assert max(found["never"]) == 0


@pytest.mark.parametrize("detector", crash.DETECTORS)
def test_a_paused_member_is_known_to_be_gone_and_then_back(detector: DetectorName) -> None:
    found = figures_of("pause", Case(nodes=8, duration_s=60.0, detector=detector, label="times=2"))
    assert found["never"] == found["never_back"] == (0, 0)
    assert len(found["known"]) == len(found["back"]) == 2 * 7
    assert max(found["back"]) < 2.0


def test_a_brief_pause_is_no_death_and_a_long_one_is() -> None:
    brief = figures_of("pause", Case(nodes=8, duration_s=20.0, label="times=2 for_s=0.5"))
    assert brief["taken_for_dead"] == (0, 0)
    assert brief["known"] == brief["back"] == ()
    long = figures_of("pause", Case(nodes=8, duration_s=20.0, label="times=1 for_s=6"))
    assert long["taken_for_dead"] == (7,)
    assert len(long["back"]) == 7


def test_all_that_start_at_once_are_full_soon() -> None:
    found = figures_of("massjoin", Case(nodes=20, duration_s=20.0))
    assert found["never"] == found["dropped"] == (0,)
    assert len(found["full"]) == 20
    assert len(found["synced"]) == 19
    assert max(found["full"]) < 2
    assert found["seed_bytes"] > (20 * 100,)


def test_a_seed_that_takes_its_time_has_them_wait_in_its_socket() -> None:
    quick = figures_of("massjoin", Case(nodes=20, duration_s=20.0))
    slow = figures_of("massjoin", Case(nodes=20, duration_s=20.0, label="processing_us=1000"))
    assert min(slow["synced"]) > min(quick["synced"]) + 0.002
    assert slow["never"] == (0,)


@pytest.mark.parametrize("label", restart.KINDS)
def test_after_a_restart_tables_are_equal_without_ghosts(label: str) -> None:
    found = figures_of("restart", Case(nodes=10, duration_s=30.0, label=label))
    assert found["unequal"] == found["ghosts"] == (0,)
    assert len(found["equal"]) == 1
    assert all(0 <= share <= 1 for share in found["out"])
    assert len(found["out"]) == ("lost" not in label)


def test_a_held_restart_keeps_services_that_a_long_one_loses() -> None:
    crashed = figures_of("restart", Case(nodes=6, duration_s=30.0, label="part=0.34 down_s=4"))
    held = figures_of("restart", Case(nodes=6, duration_s=30.0, label="part=0.34 down_s=4 hold_s=30"))
    assert crashed["out"] > (0.5,)
    assert held["out"] == (0,)


def test_churn_reports_cost_of_comparing_and_distance_of_tables() -> None:
    found = figures_of("churn", Case(nodes=10, duration_s=6.0, label="hourly=200"))
    assert all(len(values) == 6 for values in found.values())
    parts = zip(*(found[kind] for kind in ("buckets", "hashes", "want", "versions")), strict=True)
    assert found["comparing"] == pytest.approx([sum(part) for part in parts])
    assert sum(found["buckets"]) > 0
    assert all(0 <= share < 1 for share in found["unequal"])
    assert sum(found["delta"]) > sum(found["receipt"]) > 0
    assert all(probing >= 2 * 10 for probing in found["probing"])


def test_without_changes_there_is_nothing_to_compare() -> None:
    found = figures_of("churn", Case(nodes=10, duration_s=3.0, label="hourly=0 changes_s=0"))
    assert max(found["comparing"]) == max(found["delta"]) == max(found["behind"]) == max(found["unequal"]) == 0


@pytest.mark.parametrize("label", ["bytes=1264 way=into", "bytes=700"])
def test_everything_arrives_past_a_hole_at_a_bounded_cost(label: str) -> None:
    found = figures_of("mtu", Case(nodes=10, duration_s=10.0, label=f"{label} times=6"))
    assert found["never"] == (0,)
    assert max(found["small"] + found["large"]) < 5
    assert max(found["joined"]) < 5
    assert max(found["equal"]) < 5
    assert found["narrow"] > (0,)
    assert 0 <= found["mended"][0] < 60
    assert max(found["bytes_sent"]) < 15_000, "six large rows a few times each, and the probes"
    assert max(found["size_probes"]) < 60
