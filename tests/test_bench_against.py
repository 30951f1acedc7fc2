"""`scripts/bench --against`: both builds in turn, the ratio and its aim, and rows on real sidecars of this tree."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.benchmarks.against import asking, build, command, registering
from scripts.benchmarks.against.build import Build
from scripts.benchmarks.against.row import Aim, Figure, Measured, Row, Turn
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.stop import Stop

HERE = Build("ours", build.ROOT, Path(sys.executable))
THERE = Build("12345678", build.ROOT, Path(sys.executable))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Turn], Measured], Aim], int]:
    """Compare by a row that has this measure and this aim, with three turns, as JSON."""

    def run(measure: Callable[[Turn], Measured], aim: Aim) -> int:
        monkeypatch.setitem(command.ROWS, "row", Row(measure, (Figure("figure", "ms", aim),), reps=3))
        return command.Comparison(HERE, THERE, Stop(), as_json=True).run(["row"], None)

    return run


def test_the_builds_run_in_turn_and_a_ratio_is_of_one_turn(
    run: Callable[[Callable[[Turn], Measured], Aim], int], capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def measure(turn: Turn) -> Measured:
        order.append(turn.build.name)
        load = 1 + (len(order) - 1) // 2 * 10  # the machine gets busier: only figures of one turn can be compared
        return {"figure": load * (1.0 if turn.build is HERE else 4.0)}

    assert run(measure, Aim(ratio_at_most=0.5)) == 0
    assert order == ["ours", "12345678"] * 3
    line = json.loads(capsys.readouterr().out)
    assert line["against"] == "12345678"
    assert line["ratios"] == [0.25] * 3
    assert (line["ratio"], line["holds"]) == (0.25, True)


def test_a_row_that_fails_is_said_and_gives_exit_code_one(
    run: Callable[[Callable[[Turn], Measured], Aim], int], capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(turn: Turn) -> Measured:
        raise Failed(f"no disk at {turn.build.name}")

    assert run(measure, Aim()) == 1
    shown = capsys.readouterr()
    assert "no disk at ours" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("aim", "ours", "ratio", "holds"),
    [
        (Aim(), 9.0, 9.0, True),
        (Aim(ratio_at_most=0.6), 9.0, 0.6, True),
        (Aim(ratio_at_most=0.6), 9.0, 0.61, False),
        (Aim(ratio_at_least=6), 9.0, 6.0, True),
        (Aim(ratio_at_least=6), 9.0, 5.9, False),
        (Aim(at_most=1.25), 1.25, 9.0, True),
        (Aim(at_most=1.25), 1.26, 0.1, False),
    ],
)
def test_an_aim_bounds_the_ratio_or_our_own_figure(aim: Aim, ours: float, ratio: float, holds: bool) -> None:
    assert aim.holds(ours, ratio) is holds


def test_a_revision_that_git_does_not_know_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Failed, match=r"--against no-such: git knows no such revision"):
        build.tree_of("no-such")


def test_the_tree_of_a_revision_is_taken_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tree = build.tree_of("HEAD")
    assert (tree / "gossipreg" / "__init__.py").is_file()
    assert tree.parent == build.cache() == tmp_path / "gossipreg-bench"
    (tree / "gossipreg" / "mark").touch()
    assert (build.tree_of("HEAD") / "gossipreg" / "mark").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--against", "HEAD", "--rows", "nothing"], "no row 'nothing': choose from change-cpu"),
        (["--against", "HEAD", "--reps", "0"], "--reps 0: at least 1"),
        (["--against"], "--against"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_rows_have_their_figures_on_real_sidecars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registering, "REGISTRATIONS", 20)
    monkeypatch.setattr(asking, "SIZES", {"few": 3, "many": 40})
    monkeypatch.setattr(asking, "ASKED", {3: 40, 40: 40})
    turn = Turn(HERE, Stop(), alone=False)
    for measure, figures in (
        (registering.register_durable, {"register-durable", "register-durable-cpu"}),
        (asking.lookup, {"lookup-3", "lookup-40"}),
        (asking.http, {"http-3", "http-40"}),
    ):
        found = measure(turn)
        assert found.keys() == figures
        assert min(found.values()) > 0
