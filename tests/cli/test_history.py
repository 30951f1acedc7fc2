"""`gossipreg history`: pages, moments, faults and what did not answer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar


def line(seq: int, level: str = "info", message: str = "") -> dict[str, Any]:
    return {"seq": seq, "at": 1e9 + seq, "kind": "k", "level": level, "message": message or f"line {seq}"}


class Pages:
    """A history of `count` lines, as the method gives it; `fault` is that of the first `faulty` pages."""

    def __init__(self, count: int, fault: str = "", faulty: int = 1_000_000) -> None:
        self.lines = [line(seq) for seq in range(1, count + 1)]
        self.fault = fault
        self.faulty = faulty
        self.asked: list[dict[str, Any]] = []

    def __call__(self, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(params)
        limit = params["limit"]
        more = {"fault": self.fault} if self.fault and len(self.asked) <= self.faulty else {}
        if "before" in params:
            found = [one for one in self.lines if one["seq"] < params["before"]]
            return {"lines": found[-limit:], "more": len(found) > limit, "kept_in": "disk", **more}
        found = [one for one in self.lines if one["seq"] > params["after"]]
        return {"lines": found[:limit], "more": len(found) > limit, "kept_in": "disk", **more}


def shown(text: str) -> list[str]:
    return [one[20:] for one in text.splitlines()]


def test_without_a_moment_the_newest_hundred_are_shown(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["history"] = Pages(250)
    code, out, _ = command("history")
    assert (code, shown(out)) == (0, [f"  line {seq}" for seq in range(151, 251)])


@pytest.mark.parametrize(("args", "first"), [(["-n", "2500"], 501), (["--since", "8h"], 1)])
def test_pages_are_joined_without_a_gap(sidecar: FakeSidecar, command: Command, args: list[str], first: int) -> None:
    sidecar.answers["history"] = pages = Pages(3000)
    code, out, _ = command("history", *args)
    assert (code, shown(out)) == (0, [f"  line {seq}" for seq in range(first, 3001)])
    assert len(pages.asked) == 3


def test_filters_are_handed_on(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["history"] = pages = Pages(0)
    code, out, err = command(
        "history", "--service", "billing", "--member", "web-3", "--kind", "member_*", "--until", "2026-11-30T03:00Z"
    )
    assert (code, out) == (0, "")
    assert "nothing is known of that" in err
    wanted = {name: pages.asked[0][name] for name in ("service", "member", "kind", "until")}
    until = datetime(2026, 11, 30, 3, tzinfo=UTC).timestamp()
    assert wanted == {"service": "billing", "member": "web-3", "kind": "member_*", "until": until}


@pytest.mark.parametrize(("args", "faulty"), [([], 1), (["-n", "2500"], 1), (["--since", "8h"], 2)])
def test_lines_that_may_be_missing_are_no_success(
    sidecar: FakeSidecar, command: Command, args: list[str], faulty: int
) -> None:
    sidecar.answers["history"] = Pages(2500 if args else 2, fault="the disk hangs", faulty=faulty)
    code, out, err = command("history", *args)
    assert (code, len(shown(out))) == (4, 2500 if args else 2)
    assert "lines may be missing: the disk hangs" in err


def test_hostile_messages_stay_on_their_line(sidecar: FakeSidecar, command: Command) -> None:
    pages = Pages(0)
    pages.lines = [line(1, "error", "a\nforged\x1b[31m")]
    sidecar.answers["history"] = pages
    _, out, _ = command("history")
    assert shown(out) == ["! a\\nforged\\x1b[31m"]


EVERYWHERE = {
    "lines": [
        {**line(1), "seen_by": {"id": "a1", "name": "api-1"}},
        {**line(2), "seen_by": {"id": "b2", "name": "b"}, "disagrees": ["api-1"]},
    ],
    "left_out": False, "members": [
        {"id": "a1", "name": "api-1", "lines": 1, "left_out": True, "fault": ""},
        {"id": "b2", "name": "b", "lines": 9, "left_out": True, "fault": ""},
    ],
    "unanswered": [{"id": "c3", "name": "web-3", "why": "it is dead"}], "disagreements": ["b says otherwise"],
}  # fmt: skip


def test_everywhere_names_who_saw_it_and_who_did_not_answer(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["history-everywhere"] = lambda _: EVERYWHERE
    code, out, err = command("history", "--everywhere")
    assert (code, shown(out)) == (4, ["  api-1  line 1", "? b      line 2"])
    for said in ("web-3 (it is dead)", "b says otherwise", "api-1 has more lines"):
        assert said in err
    assert "b has more lines" not in err, "they are older than all that is shown"


def test_everywhere_says_that_older_lines_are_left_out(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["history-everywhere"] = lambda _: {**EVERYWHERE, "left_out": True}
    assert "older lines are left out" in command("history", "--everywhere").err
    assert "older lines" not in command("history", "--everywhere", "-n", "2").err


def test_everywhere_a_fault_of_a_member_is_no_success(sidecar: FakeSidecar, command: Command) -> None:
    member = {"id": "a1", "name": "api-1", "lines": 0, "left_out": False, "fault": "its disk hangs"}
    answer = {"lines": [], "left_out": False, "members": [member], "unanswered": [], "disagreements": []}
    sidecar.answers["history-everywhere"] = lambda _: answer
    code, _, err = command("history", "--everywhere")
    assert code == 4
    assert "may be missing: api-1 (its disk hangs)" in err
    assert "nothing is known" in err


def test_everywhere_in_json_is_the_answer(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["history-everywhere"] = lambda _: {**EVERYWHERE, "unanswered": []}
    code, out, _ = command("--json", "history", "--everywhere")
    assert (code, json.loads(out)["lines"][1]["disagrees"]) == (0, ["api-1"])


def test_a_kind_that_is_misspelt_does_not_look_like_a_quiet_night(sidecar: FakeSidecar, command: Command) -> None:
    lines = [{**line(1), "kind": "member_dead"}, {**line(2), "kind": "start"}]

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        return {"lines": [] if "kind" in params else lines, "more": False, "kept_in": "disk"}

    sidecar.answers["history"] = answer
    code, out, err = command("history", "--kind", "dead_member")
    assert (code, out) == (0, "")
    assert "of the newest 2 lines here the kinds are member_dead, start" in err


@pytest.mark.parametrize(
    "args",
    [
        ["--everywhere", "--follow"],
        ["--everywhere", "-n", "5001"],
        ["--follow", "--until", "1h"],
        ["--since", "1h", "--until", "2h"],
        ["--since", "yesterday"],
        ["-n", "0"],
    ],
)
def test_wrong_usage_ends_with_two(command: Command, args: list[str]) -> None:
    assert command("history", *args).code == 2
