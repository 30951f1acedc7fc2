"""The judge of the soak: it finds what was lost, came back, was declared dead for nothing, or grew."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.soaking.judge import false_deaths, growth_faults, table_faults
from scripts.soaking.world import Trouble

WEB, OLD = ("web", 2), ("web", 1)


def host(name: str, log: Path | None = None, **notes: Any) -> Any:
    return SimpleNamespace(name=name, confirmed={}, unanswered={}, sidecar=SimpleNamespace(log=log), **notes)


def world(tables: dict[str, Any], hosts: list[Any], troubles: tuple[Trouble, ...] = ()) -> Any:
    return SimpleNamespace(hosts=hosts, troubles=troubles, table=lambda host: tables[host.name])


@pytest.mark.parametrize(
    ("confirmed", "there", "fault"),
    [
        (WEB, {}, "n0/x was lost: None is there, ('web', 2) was acknowledged"),
        (None, {("n0", "x"): WEB}, "n0/x came back: ('web', 2) is there, None was acknowledged"),
        (WEB, {("n0", "x"): OLD}, "n0/x is an old one: ('web', 1) is there, ('web', 2) was acknowledged"),
        (WEB, {("n0", "x"): WEB, ("n0", "y"): WEB}, "nobody registered n0/y"),
    ],
)
def test_a_table_that_is_not_what_was_confirmed_is_found(confirmed: Any, there: dict[Any, Any], fault: str) -> None:
    one = host("n0")
    one.confirmed = {"x": confirmed}
    assert list(table_faults(world({"n0": there}, [one]))) == [fault]
    one.unanswered = {"x": [there.get(("n0", "x"))], "y": [WEB]}
    assert list(table_faults(world({"n0": there}, [one]))) == []


def test_tables_that_differ_are_found() -> None:
    hosts = [host("n0"), host("n1")]
    hosts[0].confirmed = {"x": WEB}
    found = list(table_faults(world({"n0": {("n0", "x"): WEB}, "n1": {}}, hosts)))
    assert found == ["the table at n1 is another one than at n0"]


def test_a_death_without_trouble_or_freeze_is_false(tmp_path: Path) -> None:
    log = tmp_path / "log"
    dead = {"event": "member_dead", "name": "n1", "time": "1970-01-01T00:16:40+00:00"}
    log.write_text(f"no json\n{json.dumps({'event': 'ready'})}\n{json.dumps(dead)}\n")
    hosts = [host("n0", log)]
    found, excused = false_deaths(world({}, hosts), [])
    assert (len(found), excused) == (1, 0)
    assert found[0].startswith("n1 by n0: {")
    assert false_deaths(world({}, hosts), [(995.0, 1.0)]) == ([], 1)
    for trouble in (Trouble("kill", ("n1",), 990.0), Trouble("pause", ("n0",), 990.0), Trouble("cut", (), 990.0)):
        assert false_deaths(world({}, hosts, (trouble,)), []) == ([], 0)
    over = Trouble("kill", ("n1",), 900.0, ended=950.0)
    assert len(false_deaths(world({}, hosts, (over,)), [])[0]) == 1


def test_growth_beyond_what_a_member_may_take_is_found() -> None:
    before = {"memory_kib": 20_000, "descriptors": 10, "threads": 2, "tasks": 10}
    assert list(growth_faults([before], [before | {"memory_kib": 26_000}])) == []
    assert list(growth_faults([before], [before | {"tasks": 15}])) == ["n0: tasks grew from 10 to 15"]
