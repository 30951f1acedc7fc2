"""Plots: which are drawn of what, and that something stands in them."""

from pathlib import Path

import pytest

from simulations import cli, plots
from simulations.reports import Series
from simulations.scenario import Case

pytest.importorskip("matplotlib", reason="the extra `sim` is not installed")

SPREAD = [float(number) for number in range(1, 31)]


def drawn(scenario: str, series: list[Series], out: Path) -> list[str]:
    return [path.name for path in plots.draw(scenario, series, out)]


def test_one_size_is_drawn_as_curves_and_several_as_lines(tmp_path: Path) -> None:
    one = [Series(Case(nodes=10), "seen", "ms", SPREAD), Series(Case(nodes=10), "never", "1", [0.0] * 30)]
    assert drawn("update", one, tmp_path) == ["update-seen-cdf.png"]
    several = [*one, Series(Case(nodes=100), "seen", "ms", SPREAD)]
    assert drawn("update", several, tmp_path) == ["update-seen-cdf.png", "update-seen-n.png"]


def test_a_scenario_without_a_plan_draws_each_metric_as_it_fits(tmp_path: Path) -> None:
    series = [Series(Case(nodes=nodes), "a", "s", SPREAD) for nodes in (5, 50)]
    series += [Series(Case(nodes=5), "b", "s", SPREAD), Series(Case(nodes=5), "few", "s", [1.0])]
    assert drawn("unheard-of", series, tmp_path) == ["unheard-of-a-n.png", "unheard-of-b-cdf.png"]


def test_what_has_no_samples_is_not_drawn(tmp_path: Path) -> None:
    assert drawn("update", [Series(Case(nodes=nodes), "seen", "ms", []) for nodes in (5, 50)], tmp_path) == []


def test_a_grid_of_two_options_is_a_heat_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plots.CHOSEN, "grid", (plots.heat_map("a", "x", "y"),))
    cells = [(x, y) for x in (1, 2, 8) for y in (0.5, 4)]
    series = [Series(Case(label=f"x={x} y={y}"), "a", "1", [x * y]) for x, y in cells]
    assert drawn("grid", series, tmp_path) == ["grid-a-x-y.png"]
    assert drawn("grid", series[:2], tmp_path) == []  # one column is no grid
    beside = [Series(Case(label=f"x={x}"), "a", "1", [1.0]) for x in (1, 2)]
    assert drawn("grid", [*series[:2], *beside], tmp_path) == [], "a case that has only one of them is not in it"


def test_a_sweep_of_lifeguard_draws_its_false_positives(tmp_path: Path) -> None:
    sweep = ["sweep", "lifeguard", "--nodes", "4", "--duration", "1", "--label", "c=1", "--jobs", "1"]
    assert cli.main([*sweep, "--out", str(tmp_path), "--plot"]) == 0
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "lifeguard-false_positives-d-i.png", "lifeguard-false_positives_at_healthy-d-i.png"
    }  # fmt: skip


@pytest.mark.parametrize("values", [SPREAD, [0.0] * 30, [5.0] * 30, [0.001, 1000.0] * 15])
def test_every_kind_of_plot_shows_what_it_was_given(values: list[float], tmp_path: Path) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    series = [Series(Case(nodes=nodes), "known", "s", values) for nodes in (10, 10_000)]
    names = drawn("crash", series, tmp_path)
    assert names == ["crash-known-cdf.png", "crash-known-n.png"]
    for name in names:
        picture = imread(tmp_path / name)
        beside_the_legend = picture[:, : picture.shape[1] * 3 // 4, :3]
        away = abs(beside_the_legend - to_rgb(plots._COLOURS[0])).max(axis=2)
        assert (away < 0.01).sum() > 50, "there is a curve, not only letters and axes"
