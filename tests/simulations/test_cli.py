"""The command line of the laboratory."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.config import lan
from simulations import cli, progress, selftest, shrink, sweeps
from simulations.baselines.config import swim
from simulations.cases import narrowed
from simulations.checkers import Broken
from simulations.failure import command
from simulations.progress import Progress
from simulations.scenario import Case, Figure, Scenario
from simulations.scenarios import all_scenarios, swarm

ROOT = Path(__file__).parent.parent.parent
TINY = ("--nodes", "5", "--duration", "3")
ONCE = ("--label", "times=1")


def told(case: Case) -> list[Figure]:
    if case.value("fails", 0) and case.seed % 2:
        raise Broken("rises", (), 0.0, f"it fell at seed {case.seed}")
    if case.value("crashes", 0):
        raise KeyError("no such row")
    return [Figure("seed", "1", (float(case.seed),))]


def told_cases(case: Case) -> list[Case]:
    return [Case(nodes=nodes, seed=case.seed, duration_s=nodes / 10, label=case.label) for nodes in (10, 20)]


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """One scenario that takes no time, and what is told of its failures."""
    numbers = dict.fromkeys(["a", "b", "x", "fails", "crashes"], (0, 9))
    scenario = Scenario("told", "what was it told?", told, Case(nodes=7), told_cases, numbers=numbers, draw=swarm.draw)
    for module in (cli, sweeps):
        monkeypatch.setattr(module, "all_scenarios", lambda: {"told": scenario})
    monkeypatch.setattr(shrink, "report", lambda _, case, broken: f"shrunk {case.seed}: {broken.what}")
    return scenario


def test_list_says_each_scenarios_question(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [re.split("  +", line) for line in said] == [[one.name, one.asks] for one in all_scenarios().values()]


@pytest.mark.parametrize("name", all_scenarios())
def test_what_a_label_may_say_is_told_of_each_scenario(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", name]) == 0
    told, scenario = capsys.readouterr().out, all_scenarios()[name]
    assert told.strip()
    assert [key for key in [*scenario.words, *(scenario.numbers or ())] if key not in told] == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("list nothing", "there is no scenario 'nothing'"),
        ("run nothing", "there is no scenario 'nothing': choose from .*crash, .*update"),
        ("sweep nothing", "choose from"),
        ("run update --plot", "--plot needs --out"),
        ("run update --loss 3", "'3' is not a share"),
        ("run update --loss much", "'much' is not a share"),
        ("run update --label fast", "'fast' is not KEY=NUMBER"),
        ("run update --label times=x", "'times=x' is not KEY=NUMBER"),
        ("sweep update --label times=x", "'times=x' is not KEY=NUMBER"),
        ("run oneway --label way=up", "'way=up': choose way from in, out"),
        ("run crash --label silnt=1", "the label of crash has no silnt: choose from times, silent"),
        ("run swarm --label times=1", "the label of swarm has no times"),
        ("run crash --label times=0", "'times=0': times is from 1 on"),
        ("run restart --label part=7", "'part=7': part is from 0 to 1"),
        ("run crash --label times=inf", "'times=inf' is not KEY=NUMBER"),
        ("run flipflop --label turns=1", "the label of flipflop has no turns: choose from part, turn"),
        ("run oneway --label chanse=1", "the label of oneway has no chanse: choose from way, part, chance"),
        ("run partition --label four=60", "the label of partition has no four: choose from shape, for"),
        ("sweep lifeguard --label gap=1", "the label of lifeguard has no gap: choose from model, c, d, i, p"),
        ("run idle --label times=1", "the label of idle has no times"),
        ("run flipflop --label turn=0", "'turn=0': turn is from 0.001 on"),
        ("run update --set speed=3", "there is no setting 'speed': choose from datagram_bytes, "),
        ("run update --set helpers=2.5", "'helpers=2.5': helpers is a whole number"),
        ("run update --set helpers=99", "helpers is 99: choose from 0 to 16"),
        ("run update --set gather_s=soon", "'gather_s=soon': gather_s is a number"),
        (
            "run update --set gossip=1",
            "there is no setting 'gossip': choose from .* gossip.ack_timeouts, ",
        ),
        ("run update --set local.witnesses=99", "local.witnesses is 99: choose from 1 to 16"),
        ("run update --set gossip.ack_timeouts=1,x", "gossip.ack_timeouts is a list of numbers with commas between"),
        ("run crash --nodes 1", "crash takes 2 members or more"),
        ("run partition --nodes 3", "partition takes 4 members or more"),
        ("run update --only 3", "update has no plan"),
        ("run swarm --only x", "'x' is neither an action's number nor a member"),
        ("run swarm --nodes 5 --only 3,n9", "there is no member n9: there are 5"),
        ("run swarm --only 99999", "there is no action 99999"),
        ("run update --duration nan", "nan is not a finite number"),
        ("sweep update --minutes inf", "inf is not a finite number"),
        ("run update --nodes 0", "--nodes"),
        ("run update --detector best", "'best' is not one of 'ours'"),
        ("run update --long", "No such option.*--long"),
        ("sweep crash --long", "crash has no long sweep"),
        ("sweep crash --runs 2 --minutes 1", "choose --minutes or --runs"),
        ("run update --out /proc/nowhere", "/proc/nowhere"),
        ("fly", "No such command 'fly'"),
        ("run", "Missing argument 'NAME'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(line: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(line.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(f"error: .*{says}.*\n", said.err)


def test_settings_reach_the_run_its_report_and_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "run idle --nodes 3 --duration 2 --set helpers=2 --set stall_s=2 --jobs 1"
    assert cli.main([*line.split(), "--out", str(tmp_path)]) == 0
    assert "helpers=2 stall_s=2" in capsys.readouterr().out
    [record, *_] = [json.loads(line) for line in (tmp_path / "idle.jsonl").read_text().splitlines()]
    assert record["settings"] == "helpers=2 stall_s=2"
    case = Case(settings=record["settings"], detector="swim")
    assert case.config == replace(swim(), helpers=2, stall_s=2.0)
    assert "--set helpers=2 --set stall_s=2" in command(case)


def test_settings_of_a_room_are_set_with_its_name_before_them() -> None:
    config = Case(settings="gossip.pull_tries=2 helpers=2 gossip.ack_timeouts=1,2.5 local.witnesses=1").config
    assert config == replace(
        lan,
        helpers=2,
        gossip=replace(lan.gossip, pull_tries=2, ack_timeouts=(1.0, 2.5)),
        local=replace(lan.local, witnesses=1),
    )


def test_without_the_extra_the_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for package in ("distributed", "matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, package, None)
    assert cli.main(["sweep", "update", "--dask", "127.0.0.1:9"]) == 2
    assert cli.main(["run", "update", "--plot", "--out", str(tmp_path)]) == 2
    dask, matplotlib = capsys.readouterr().err.splitlines()
    assert dask == "error: dask.distributed is not installed: pip install -e '.[sim]'"
    assert matplotlib == "error: matplotlib is not installed: pip install -e '.[sim]'"


def test_a_run_takes_its_options_its_defaults_and_the_next_seeds(
    made_up: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["--seed", "5", "--runs", "3", "--loss", "20%", "--detector", "swim", "--label", "a=1  b=2", "--jobs", "1"]
    assert cli.main(["run", made_up.name, *args, "--out", str(tmp_path / "new" / "folder")]) == 0
    records = [json.loads(line) for line in (tmp_path / "new" / "folder" / "told.jsonl").read_text().splitlines()]
    assert [record["seed"] for record in records] == [record["p50"] for record in records] == [5, 6, 7]
    assert {(r["nodes"], r["loss"], r["detector"], r["label"]) for r in records} == {(7, 0.2, "swim", "a=1 b=2")}
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == [
        "nodes",
        "detector",
        "loss",
        "label",
        "metric",
        "p50",
        "p99",
        "p99.9",
        "max",
        "unit",
        "n",
    ]
    assert said[1].split() == ["7", "swim", "0.2", "a=1", "b=2", "seed", "6", "7", "7", "7", "1", "3"]


def test_a_sweep_runs_all_seeds_of_a_case_and_then_the_next_case(made_up: Scenario, tmp_path: Path) -> None:
    assert cli.main(["sweep", made_up.name, "--runs", "2", "--jobs", "1", "--out", str(tmp_path)]) == 0
    records = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [(record["nodes"], record["seed"]) for record in records] == [(10, 1), (10, 2), (20, 1), (20, 2)]


def some_cases(case: Case) -> list[Case]:
    one = [
        replace(case, nodes=nodes, duration_s=nodes / 10, label=label) for nodes in (10, 20) for label in ("", "a=1")
    ]
    return [*one, replace(case, nodes=10, label="b=2")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["10 1 ", "10 1 a=1", "20 2 ", "20 2 a=1", "10 60 b=2"]),
        ({"nodes": 20}, ["20 2 ", "20 2 a=1"]),  # those that there are
        ({"nodes": 30}, ["30 1 ", "30 1 a=1", "30 60 b=2"]),  # none: made so, each but once
        ({"nodes": 20, "duration_s": 9.0}, ["20 9 ", "20 9 a=1"]),
        ({"label": "a=1"}, ["10 1 a=1", "20 2 a=1"]),
        ({"label": "a=1.0 b=3"}, ["10 1 a=1 b=3", "20 2 a=1 b=3"]),
        ({"label": "b=3"}, ["10 1 b=3", "10 1 a=1 b=3", "20 2 b=3", "20 2 a=1 b=3"]),
        ({"label": "c=5", "nodes": 10}, ["10 1 c=5", "10 1 a=1 c=5", "10 60 b=2 c=5"]),
        ({"label": "b=far"}, ["10 1 b=far", "10 1 a=1 b=far", "20 2 b=far", "20 2 a=1 b=far"]),  # a word
        ({"seed": 9, "detector": "swim"}, ["10 1 ", "10 1 a=1", "20 2 ", "20 2 a=1", "10 60 b=2"]),
    ],
)
def test_what_is_asked_for_narrows_a_sweep(given: dict[str, Any], expected: list[str]) -> None:
    found = narrowed(some_cases, Case(), given)
    assert [f"{case.nodes} {case.duration_s:g} {case.label}" for case in found] == expected
    assert all(case.seed == given.get("seed", 1) for case in found)
    assert all(case.detector == given.get("detector", "ours") for case in found)


def test_for_so_many_minutes_seed_after_seed_is_run(
    made_up: Scenario, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seconds = iter(range(10**9))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    assert (
        cli.main(["sweep", made_up.name, "--minutes", "1", "--seed", "3", "--jobs", "1", "--out", str(tmp_path)]) == 0
    )
    records = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    ran = [(record["seed"], record["nodes"]) for record in records]
    assert 5 < len(ran) <= 60
    assert ran == [(3 + number // 2, (10, 20)[number % 2]) for number in range(len(ran))]


# -- the same bytes ---------------------------------------------------------------------------------------------------


def test_the_output_is_the_same_for_any_number_of_workers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for jobs in ("1", "2"):
        sweep = ["sweep", "update", *TINY, *ONCE, "--runs", "2", "--jobs", jobs, "--out", str(tmp_path / jobs)]
        assert cli.main(sweep) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    one, two = ((tmp_path / jobs / "update.jsonl").read_bytes() for jobs in ("1", "2"))
    assert one == two
    assert len(one.splitlines()) == 2 * 4 * 5


@pytest.mark.parametrize(
    "name", ["churn", *(pytest.param(name, marks=pytest.mark.wide) for name in ("update", "restart"))]
)
def test_the_output_is_the_same_under_any_hash_seed(name: str, tmp_path: Path) -> None:
    said = []
    for hash_seed in ("0", "4242"):
        out = tmp_path / hash_seed
        ended = subprocess.run(
            [sys.executable, "-m", "simulations", "run", name, *TINY, "--out", str(out)],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        said.append((ended.stdout, (out / f"{name}.jsonl").read_bytes()))
    assert said[0] == said[1]
    assert all(said[0])


def test_the_script_runs_from_any_folder_and_writes_to_that_one(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "simulate"
    if not (ROOT / ".venv" / ".set-up-sim").exists():
        pytest.skip("the extra `sim` is not installed by this script")
    (tmp_path / "simulations.py").write_text("raise AssertionError('not these')")
    subprocess.run([script, "run", "update", *TINY, *ONCE, "--out", "here"], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "here" / "update.jsonl").read_text()


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_failed_check_is_told_with_what_was_found_about_it(
    made_up: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", made_up.name, "--seed", "7", "--label", "fails=1"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "rises: it fell at seed 7"
    again = "  scripts/simulate run told --seed 7 --nodes 7 --duration 60 --detector ours --label fails=1"
    assert said[-3:] == ["to repeat it:", again, "shrunk 7: it fell at seed 7"]


def test_a_sweep_goes_on_after_a_failure_but_not_for_ever(
    made_up: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["sweep", made_up.name, "--nodes", "10", "--label", "fails=1", "--jobs", "1", "--out", str(tmp_path)]
    assert cli.main([*sweep, "--runs", "4"]) == 1
    assert re.findall("shrunk ([0-9]+)", capsys.readouterr().out) == ["1", "3"]
    assert len((tmp_path / "told.jsonl").read_text().splitlines()) == 2
    assert cli.main([*sweep, "--runs", "100"]) == 1
    said = capsys.readouterr()
    assert re.findall("shrunk ([0-9]+)", said.out) == ["1", "3", "5"]
    assert said.err == "3 runs have failed: the sweep ends here\n"


def test_who_interrupts_a_sweep_has_what_was_found_until_then(
    made_up: Scenario, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcomes(*_: Any) -> Iterator[sweeps.Outcome]:
        yield sweeps.run_case(made_up.name, Case(label="fails=1"))
        yield sweeps.run_case(made_up.name, Case(seed=2, label="fails=1"))
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps, "outcomes", outcomes)
    assert cli.main(["sweep", made_up.name, "--minutes", "60", "--jobs", "1"]) == 130
    failure, _, table = capsys.readouterr().out.partition("--label fails=1\n")
    assert failure.startswith("rises: it fell at seed 1\n")
    assert table.splitlines()[-1].split()[-3:] == ["2", "1", "1"]


def test_an_exception_is_told_with_the_command_that_repeats_it(
    made_up: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["run", made_up.name, "--seed", "9", "--loss", "0.05", "--detector", "swim", "--label", "crashes=1 x=2"]
    assert cli.main(args) == 1
    first = capsys.readouterr().out
    assert "KeyError: 'no such row'" in first
    words = shlex.split(first.splitlines()[-1])
    assert words[0] == "scripts/simulate"
    assert cli.main(words[1:]) == 1
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("code", [0, 1])
def test_selftest_ends_with_its_own_code(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "main", lambda: code)
    assert cli.main(["selftest"]) == code


# -- progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_on_a_terminal_a_bar_says_how_many_and_how_long(clock: list[float]) -> None:
    terminal = Terminal()
    shown = Progress(8, stream=terminal)
    clock[0] = 100.0
    shown(2)
    assert terminal.getvalue() == "\r[######------------------] 2 of 8 runs, 5 m 00 s left"
    shown.clear()
    assert terminal.getvalue().endswith(" \r")


def test_elsewhere_there_is_a_plain_line_now_and_then(clock: list[float]) -> None:
    file = io.StringIO()
    shown = Progress(None, seconds=7200.0, stream=file)
    for second in range(0, 65, 5):
        clock[0] = float(second)
        shown(second)
    assert [line.split("] ")[1] for line in file.getvalue().splitlines()] == [
        "30 runs, 1 h 59 m left", "60 runs, 1 h 59 m left",
    ]  # fmt: skip
    assert not shown.over
    clock[0] = 7200.0
    assert shown.over


def test_a_word_in_a_label_narrows_a_sweep_as_a_number_does() -> None:
    scenario = all_scenarios()["lifeguard"]
    found = narrowed(scenario.cases, scenario.defaults, {"label": "model=stalled c=8.0"})
    assert found
    assert all((case.word("model", "blocked"), case.value("c", 0)) == ("stalled", 8) for case in found)
    assert len(found) < len(list(scenario.cases(scenario.defaults))) / 4
