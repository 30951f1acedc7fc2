"""`lookup`: the addresses and their order, JSON, and why an answer is empty."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar, instance

V6 = instance(9090, address="fd00::1")


def test_lookup_prints_an_address_a_line(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(), V6]
    ended = command("lookup", "web")
    assert (ended.code, sorted(ended.out.splitlines()), ended.err) == (0, ["10.0.0.1:8080", "[fd00::1]:9090"], "")
    assert sidecar.seen == [("lookup", {"name": "web"})]
    assert command("lookup", "web", "--sorted") == (0, "10.0.0.1:8080\n[fd00::1]:9090\n", "")


def test_lookup_prints_in_random_order_by_weight(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(1, weight=0), instance(2, weight=1), instance(3, weight=3)]
    firsts = Counter(command("lookup", "web", "--one").out for _ in range(400))
    assert set(firsts) == {"10.0.0.1:2\n", "10.0.0.1:3\n"}
    assert abs(firsts["10.0.0.1:3\n"] / 400 - 3 / 4) < 0.1
    orders = {command("lookup", "web").out for _ in range(50)}
    assert orders == {"10.0.0.1:2\n10.0.0.1:3\n10.0.0.1:1\n", "10.0.0.1:3\n10.0.0.1:2\n10.0.0.1:1\n"}
    assert len({command("lookup", "web", "--json").out for _ in range(50)}) == 2


@pytest.mark.parametrize("flag", ["--near", "--sorted"])
def test_lookup_with_near_or_sorted_keeps_the_sidecars_order(flag: str, sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(port, weight=port) for port in range(1, 9)]
    assert command("lookup", "web", flag).out == "".join(f"10.0.0.1:{port}\n" for port in range(1, 9))
    assert command("lookup", "web", flag, "--one").out == "10.0.0.1:1\n"


def test_two_orders_at_once_are_wrong_usage(sidecar: FakeSidecar, command: Command) -> None:
    assert command("lookup", "web", "--near", "--sorted").code == 2
    assert sidecar.seen == []


def test_lookup_asks_for_what_its_flags_say(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance()]
    command("lookup", "web", "--tag", "a", "--tag", "b", "--all", "--near", "--zone", "z1")
    assert sidecar.seen == [("lookup", {"name": "web", "tags": ["a", "b"], "all": True, "near": True, "zone": "z1"})]


def test_lookup_all_shows_the_health(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(health="critical")]
    assert command("lookup", "--all", "web").out == "10.0.0.1:8080 critical  registered at web-1\n"


def test_lookup_all_says_why_and_since_when_a_member_is_dead(sidecar: FakeSidecar, command: Command) -> None:
    gone = {**instance(health="critical"), "reason": "web-1 is dead: silent for 2.1 s", "since_s": 134.2}
    sidecar.answers["lookup"] = lambda _: [gone]
    assert command("lookup", "--all", "web").out == (
        "10.0.0.1:8080 critical  web-1 is dead: silent for 2.1 s, for 2m\n"
    )


@pytest.mark.parametrize("args", [("lookup", "--one", "--near", "web"), ("lookup", "web", "--near", "--one")])
def test_lookup_near_one_prints_the_nearest(args: tuple[str, ...], sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [V6, instance()]
    assert command(*args).out == "[fd00::1]:9090\n"


@pytest.mark.parametrize("args", [("--json", "lookup", "web"), ("lookup", "web", "--json")])
def test_lookup_json_is_the_answer_before_and_after_the_command(
    args: tuple[str, ...], sidecar: FakeSidecar, command: Command
) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(), V6]
    ended = command(*args, "--sorted")
    assert (ended.code, json.loads(ended.out), ended.err) == (0, [instance(), V6], "")
    assert ended.out.count("\n") == 1


def test_an_empty_lookup_is_a_plain_no(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: []
    assert command("lookup", "web", "--json") == (1, "[]\n", "")
    assert command("lookup", "web") == (1, "", "no passing instance of web\n")  # the sidecar is older than `explain`
    assert command("lookup", "web", "--all") == (1, "", "no instance of web\n")


NOTHING = {"passing": 0, "warning": 0, "critical": 0, "maintenance": 0}


EXPLAINED: dict[str, Any] = {
    "name": "web", "instances": 10, "health": {**NOTHING, "passing": 8, "critical": 2}, "matching": NOTHING,
    "not_in_zone": 0, "without_tags": 0, "zones": ["a", ""], "tags": ["v1", "v2"], "dead": 0, "synced": True,
}  # fmt: skip


UNKNOWN: dict[str, Any] = {
    **EXPLAINED, "name": None, "instances": 0, "health": NOTHING, "zones": [], "tags": []
}  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "said", "why"),
    [
        ("", UNKNOWN, "no service of this name is known (`gossipreg services` lists all)"),
        ("--all", UNKNOWN, "no service of this name is known (`gossipreg services` lists all)"),
        (
            "",
            {**UNKNOWN, "synced": False},
            "no service of this name is known (`gossipreg services` lists all); "
            "this sidecar is not synced yet, so there may be some (`gossipreg info` says why)",
        ),
        ("", {**UNKNOWN, "dead": 2}, "2 on members that are dead (`lookup --all` lists them)"),
        (
            "--zone b",
            {**EXPLAINED, "not_in_zone": 10},
            "--zone b excludes 8 passing instances; zones with passing instances: a, (none)",
        ),
        (
            "--tag v3 --tag v1",
            {**EXPLAINED, "without_tags": 10},
            "--tag v3 and --tag v1 exclude 8 passing instances; their tags: v1, v2",
        ),
        (
            "--zone b --tag v3",
            {**EXPLAINED, "not_in_zone": 9, "without_tags": 9, "matching": {**NOTHING, "critical": 1}},
            "--zone b and --tag v3 exclude 8 passing instances; zones with passing instances: a, (none); "
            "their tags: v1, v2; 1 critical (`lookup --all` says why)",
        ),
        (
            "",
            {**EXPLAINED, "instances": 3, "health": {**NOTHING, "critical": 2, "maintenance": 1},
             "matching": {**NOTHING, "critical": 2, "maintenance": 1}},
            "2 critical, 1 maintenance (`lookup --all` says why)",
        ),
        (
            "--all --zone b",
            {**EXPLAINED, "instances": 1, "not_in_zone": 1, "health": {**NOTHING, "critical": 1}, "zones": []},
            "--zone b excludes 1 instance; zones with passing instances: none",
        ),
    ],
)  # fmt: skip
def test_an_empty_lookup_says_why(
    flags: str, said: dict[str, Any], why: str, sidecar: FakeSidecar, command: Command
) -> None:
    sidecar.answers |= {"lookup": lambda _: [], "explain": lambda _: said}
    kind = "instance" if "--all" in flags else "passing instance"
    assert command("lookup", "web", *flags.split()) == (1, "", f"no {kind} of web: {why}\n")
    method, params = sidecar.seen[-1]
    assert method == "explain"
    assert params == {
        "name": "web",
        **({"tags": [word for word in flags.split() if word.startswith("v")]} if "--tag" in flags else {}),
        **({"zone": "b"} if "--zone" in flags else {}),
    }


def test_lookup_warns_of_stale_instances_on_stderr_alone(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(stale=True)]
    ended = command("lookup", "web")
    assert (ended.code, ended.out) == (0, "10.0.0.1:8080\n")
    assert ended.err.startswith("Warning: this sidecar receives nothing from other")


def test_text_of_others_forges_no_line_and_moves_no_cursor(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(address="10.0.0.1\n6.6.6.6"), instance(address="\x1b[2J")]
    assert command("lookup", "web", "--sorted").out == "10.0.0.1\\n6.6.6.6:8080\n\\x1b[2J:8080\n"


def test_a_service_without_a_port_is_printed_as_its_address(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(port=0), {**V6, "port": 0}]
    assert command("lookup", "web", "--sorted") == (0, "10.0.0.1\nfd00::1\n", "")
    sidecar.answers["register"] = lambda _: {"id": "web", "version": ["1", 2]}
    assert command("register", "web", "--port", "0").code == 0
    assert sidecar.seen[-1] == ("register", {"name": "web", "port": 0})
