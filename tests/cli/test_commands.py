"""Each client command: what it asks of the sidecar, what it prints, how it ends."""

import base64
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gossipreg.drops import DROPS, FAMILIES
from gossipreg.wire import rpc
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
            "this sidecar is not synced yet, so there may be some",
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
    assert ended.err.startswith("Warning: this sidecar hears no other")


def test_what_another_member_wrote_cannot_forge_a_line_or_move_the_cursor(
    sidecar: FakeSidecar, command: Command
) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(address="10.0.0.1\n6.6.6.6"), instance(address="\x1b[2J")]
    assert command("lookup", "web", "--sorted").out == "10.0.0.1\\n6.6.6.6:8080\n\\x1b[2J:8080\n"


def test_register_prints_the_id(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["register"] = lambda _: {"id": "web-8080", "version": ["1", 2]}
    assert command("register", "web", "--port", "8080") == (0, "web-8080\n", "")
    assert json.loads(command("register", "web", "--port", "8080", "--json").out)["version"] == ["1", 2]
    assert sidecar.seen[0] == ("register", {"name": "web", "port": 8080})


def test_register_sends_what_its_flags_say(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["register"] = lambda _: {"id": "one", "version": ["1", 2]}
    flags = "--port 80 --address example.org --id one --tag a --tag b --meta k=v=w --meta e= --weight 0"
    assert command("register", "web", *flags.split()).code == 0
    assert sidecar.seen == [
        (
            "register",
            {
                "name": "web", "port": 80, "address": "example.org", "id": "one", "tags": ["a", "b"],
                "meta": {"k": "v=w", "e": ""}, "weight": 0,
            },
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "more"),
    [(("deregister", "web-80"), {}), (("maint",), {}), (("drain",), {"acked": True, "missing": 0, "members": []})],
)
def test_a_change_that_is_not_durable_prints_a_warning(
    sidecar: FakeSidecar, command: Command, args: tuple[str, ...], more: dict[str, Any]
) -> None:
    sidecar.answers[args[0]] = lambda _: {"durable": False, **more}
    ended = command(*args)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("Warning: done, but not durable")
    ended = command(*args, "--json")
    assert (json.loads(ended.out)["durable"], ended.err) == (False, "")


def test_a_service_without_a_port_is_printed_as_its_address(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(port=0), {**V6, "port": 0}]
    assert command("lookup", "web", "--sorted") == (0, "10.0.0.1\nfd00::1\n", "")
    sidecar.answers["register"] = lambda _: {"id": "web", "version": ["1", 2]}
    assert command("register", "web", "--port", "0").code == 0
    assert sidecar.seen[-1] == ("register", {"name": "web", "port": 0})


def test_deregister_says_nothing_when_it_is_done(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["deregister"] = lambda _: {}
    assert command("deregister", "web-8080") == (0, "", "")
    assert command("deregister", "web-8080", "--json") == (0, "{}\n", "")
    assert sidecar.seen[0] == ("deregister", {"id": "web-8080"})


SERVICES: list[dict[str, Any]] = [
    {"name": "a-long-name", "instances": 12, "passing": 3, "tags": ["x", "y"]},
    {"name": "web", "instances": 1, "passing": 0, "tags": []},
]


def one_page(rows: list[dict[str, Any]]) -> Any:
    return lambda params: [] if "after" in params else rows


def test_services_are_an_aligned_table_or_one_array(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["services"] = one_page(SERVICES)
    assert command("services").out.splitlines() == [
        "NAME         INSTANCES  PASSING  TAGS",
        "a-long-name         12        3  x,y",
        "web                  1        0  -",
    ]
    assert json.loads(command("services", "--json").out) == SERVICES


def test_no_services_is_an_empty_table(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["services"] = one_page([])
    assert command("services") == (0, "NAME  INSTANCES  PASSING  TAGS\n", "")
    assert command("services", "--json") == (0, "[]\n", "")


MEMBERS: list[dict[str, Any]] = [
    {
        "id": "0123456789abcdef" * 2, "name": "web-1", "address": "10.0.0.1:7940", "state": "alive", "zone": "z1",
        "labels": {}, "rtt_ms": 0.4321, "services": 2, "version": ["1", 2],
        "since_s": 130.5, "reason": "", "maintenance": None, "keys": ["a1b2c3d4"], "software": "0.1.0", "me": True,
    },
    {
        "id": "f" * 32, "name": "db", "address": None, "state": "dead", "zone": "", "labels": {"k": "v"},
        "rtt_ms": None, "services": 0, "version": ["1", 2],
        "since_s": 3.2, "reason": "reported by web-1", "maintenance": None, "keys": None, "software": None, "me": False,
    },
]  # fmt: skip


HEADER = "NAME     ID            ADDRESS        STATE  SINCE  ZONE  RTT    SERVICES  VERSION  KEYS      LABELS  WHY"


def test_members_are_an_aligned_table_or_one_array(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["members"] = one_page(MEMBERS)
    assert command("members").out.splitlines() == [
        HEADER,
        "web-1 *  0123456789ab  10.0.0.1:7940  alive  2m     z1    0.4ms         2  0.1.0    a1b2c3d4  -       -",
        "db       ffffffffffff  -              dead   3s     -     -             0  -        -         k=v     "
        "reported by web-1",
    ]
    assert json.loads(command("members", "--json").out) == MEMBERS


def test_members_are_this_one_first_then_by_state_and_name(sidecar: FakeSidecar, command: Command) -> None:
    rows = [
        {**MEMBERS[0], "id": f"{number:032x}", "name": name, "state": state, "me": me}
        for number, (name, state, me) in enumerate(
            [("b", "left", False), ("c", "alive", False), ("a", "dead", False), ("x", "alive", True),
             ("a", "alive", False), ("d", "suspect", False)]
        )
    ]  # fmt: skip
    sidecar.answers["members"] = one_page(rows)
    found = [(one["name"], one["state"]) for one in json.loads(command("members", "--json").out)]
    assert found == [
        ("x", "alive"), ("a", "alive"), ("c", "alive"), ("d", "suspect"), ("a", "dead"), ("b", "left"),
    ]  # fmt: skip


def test_members_can_be_chosen_by_state_and_zone(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["members"] = one_page(MEMBERS)

    def names(*flags: str) -> list[str]:
        return [one["name"] for one in json.loads(command("members", "--json", *flags).out)]

    assert names("--state", "dead") == ["db"]
    assert names("--state", "dead", "--state", "alive") == ["web-1", "db"]
    assert names("--zone", "z1") == ["web-1"]
    assert names("--zone", "") == ["db"]
    assert names("--zone", "z1", "--state", "dead") == []
    assert command("members", "--state", "lost").code == 2


def test_an_older_sidecars_members_are_listed_without_new_fields(sidecar: FakeSidecar, command: Command) -> None:
    older = {key: value for key, value in MEMBERS[0].items() if key not in ("me", "software", "keys")}
    sidecar.answers["members"] = one_page([older])
    ended = command("members")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[1].startswith("web-1  0123456789ab")


CHANGES: list[dict[str, Any]] = [
    {"kind": "current", "instances": [instance(1), instance(2, health="warning")]},
    {"kind": "removed", "instance": instance(1, stale=True)},
]


def test_watch_prints_a_line_an_instance(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes, sidecar.watches = [*CHANGES, None], 1
    ended = command("watch", "web")
    assert ended.out.splitlines() == [
        "current web web-1 10.0.0.1:1 passing node=web-1",
        "current web web-2 10.0.0.1:2 warning node=web-1",
        "removed web web-1 10.0.0.1:1 passing stale node=web-1",
    ]
    assert ended.code == 4
    first, last = ended.err.splitlines()
    assert first == f"the sidecar on {sidecar.path} closed the connection: watching again when a sidecar answers"
    assert last == "Error: enough watches for this test"


def test_watch_json_is_one_object_a_line(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes, sidecar.watches = [*CHANGES, None], 1
    assert [json.loads(line) for line in command("watch", "--json").out.splitlines()] == CHANGES
    assert sidecar.seen[0] == ("watch", {})


def test_watch_begins_anew_when_the_sidecar_comes_back(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes, sidecar.watches = [CHANGES[0], None], 3
    ended = command("watch", "web")
    assert ended.out.splitlines() == [
        "current web web-1 10.0.0.1:1 passing node=web-1", "current web web-2 10.0.0.1:2 warning node=web-1",
    ] * 3  # fmt: skip
    assert ended.err.count("watching again") == 3


def test_watch_where_there_is_no_sidecar_is_3_at_once(command: Command) -> None:
    assert command("watch").code == 3


@pytest.mark.parametrize("cut", ["too_large", "busy"])
def test_a_watch_that_is_cut_off_is_begun_anew(cut: str, sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes, sidecar.watches = [CHANGES[0], rpc.encode_error(None, cut, "cut off"), None], 2
    ended = command("watch", "web")
    assert (ended.code, ended.out.count("current web web-1")) == (4, 2)
    assert ended.err.count("cut off: watching again") == 2


def added(port: int, **changed: Any) -> dict[str, Any]:
    return {"kind": "added", "instance": instance(port, **changed)}


@pytest.fixture
def answering(sidecar: FakeSidecar) -> FakeSidecar:
    """`wait` may ask whether the sidecar is synced."""
    sidecar.answers["info"] = lambda _: {"synced": True}
    return sidecar


def test_wait_returns_when_enough_instances_pass(answering: FakeSidecar, command: Command) -> None:
    answering.changes = [
        {"kind": "current", "instances": [instance(1), instance(2, health="critical")]},
        added(1),  # the same again
        {"kind": "removed", "instance": instance(1)},
        added(3),
        {"kind": "updated", "instance": instance(2)},
    ]
    assert command("wait", "web", "--count", "2", "--timeout", "30s") == (0, "", "")


def test_wait_counts_instances_of_one_id_on_two_nodes_as_two(answering: FakeSidecar, command: Command) -> None:
    answering.changes = [{"kind": "current", "instances": [instance(1), instance(1, node="11" * 16)]}]
    assert command("wait", "web", "--count", "2", "--timeout", "30s").code == 0


def test_wait_gives_up_with_a_plain_no_and_the_count(answering: FakeSidecar, command: Command) -> None:
    answering.changes = [{"kind": "current", "instances": [instance(1)]}, added(2, health="critical")]
    assert command("wait", "web", "--count", "2", "--timeout", "50ms") == (
        1, "", "1 of 2 passing instances of web after 0.05s\n",
    )  # fmt: skip


def test_wait_waits_for_a_sidecar_that_is_only_starting(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "late.sock"
    over = threading.Event()

    def start() -> None:
        with FakeSidecar(path, {"info": lambda _: {"synced": True}}):
            over.wait(60)

    sidecar = threading.Timer(0.1, start)  # `wait` finds no socket at first
    sidecar.start()
    try:
        assert command("--socket", str(path), "wait", "--synced", "--timeout", "30s") == (0, "", "")
    finally:
        over.set()
        sidecar.join(60)


def test_wait_for_a_sidecar_that_never_starts_is_3(command: Command) -> None:
    ended = command("wait", "web", "--timeout", "100ms")
    assert (ended.code, ended.out) == (3, "")
    assert "gossipreg join" in ended.err


def test_wait_synced_asks_until_it_is_so(sidecar: FakeSidecar, command: Command) -> None:
    answers = iter([False, False, True])
    sidecar.answers["info"] = lambda _: {"synced": next(answers)}
    assert command("wait", "--synced", "--timeout", "30s") == (0, "", "")
    assert [method for method, _ in sidecar.seen] == ["info"] * 3


def test_wait_synced_gives_up_with_a_plain_no(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["info"] = lambda _: {"synced": False}
    assert command("wait", "--synced", "--timeout", "0") == (
        1, "", "this sidecar is not synced with the cluster after 0s\n",
    )  # fmt: skip


def test_a_wait_that_gives_up_with_json_prints_json_alone(answering: FakeSidecar, command: Command) -> None:
    answering.answers["info"] = lambda _: {"synced": False}
    assert command("wait", "--synced", "--timeout", "0", "--json") == (1, '{"synced": false}\n', "")
    answering.changes = [{"kind": "current", "instances": []}]
    assert command("wait", "web", "--timeout", "0", "--json") == (1, '{"name": "web", "passing": 0}\n', "")


def test_wait_goes_on_when_the_sidecar_restarts(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes = [{"kind": "current", "instances": [instance(1)]}, None]
    threading.Timer(0.1, sidecar.changes.insert, (1, added(2))).start()
    assert command("wait", "web", "--count", "2", "--timeout", "30s") == (0, "", "")
    assert len([1 for method, _ in sidecar.seen if method == "watch"]) >= 2


def test_wait_synced_goes_on_when_the_sidecar_restarts(sidecar: FakeSidecar, command: Command) -> None:
    answers = iter([{"synced": False}, b"", {"synced": False}, b"", {"synced": True}])
    sidecar.answers["info"] = lambda _: next(answers)  # each b"" closes the connection
    assert command("wait", "--synced", "--timeout", "30s") == (0, "", "")


def test_wait_for_a_sidecar_that_goes_for_good_is_3(tmp_path: Path, command: Command) -> None:
    sidecar = FakeSidecar(tmp_path / "s")
    sidecar.changes = [{"kind": "current", "instances": []}]
    end = threading.Timer(0.05, sidecar.__exit__)
    end.start()
    ended = command("--socket", str(sidecar.path), "wait", "web", "--timeout", "1s")
    end.join(60)
    assert (ended.code, ended.out) == (3, "")
    assert "no sidecar answers" in ended.err


def test_wait_for_nothing_is_wrong_usage(command: Command) -> None:
    ended = command("wait")
    assert (ended.code, ended.out) == (2, "")
    assert "--synced" in ended.err


INFO: dict[str, Any] = {
    "id": "00" * 16, "name": "web-1", "synced": True, "alone": False, "members": {"alive": 3, "dead": 0},
    "counters": {"sent.probe": 7}, "seeds": ["10.0.0.5:7940"], "health_score": 0,
}  # fmt: skip


def test_info_is_for_people_or_one_object(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["info"] = lambda _: INFO
    out = command("info").out
    assert [line.split() for line in out.splitlines()] == [
        ["id", "00" * 16], ["name", "web-1"], ["synced", "yes"], ["alone", "no"], ["seeds", "10.0.0.5:7940"],
        ["health_score", "0"], ["members:"], ["alive", "3"], ["dead", "0"], ["counters:"], ["sent.probe", "7"],
    ]  # fmt: skip
    assert json.loads(command("info", "--json").out) == INFO


def test_info_says_first_what_goes_wrong(sidecar: FakeSidecar, command: Command) -> None:
    troubles = [{"message": "10.0.0.5:7940 does not accept our key: check --key-file", "since_s": 75.0}]
    sidecar.answers["info"] = lambda _: {**INFO, "troubles": troubles}
    first, second = command("info").out.splitlines()[:2]
    assert first == "! 10.0.0.5:7940 does not accept our key: check --key-file (for 1m)"
    assert second.split() == ["id", "00" * 16]


def test_info_says_what_each_drop_means(sidecar: FakeSidecar, command: Command) -> None:
    counters = {"drop.bad_tag": 3, "drop.send_EPERM": 1, "drop.of_a_newer_sidecar": 2, "sent.probe": 7}
    sidecar.answers["info"] = lambda _: {**INFO, "counters": counters}
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in command("info").out.splitlines() if "." in line}
    assert lines["drop.bad_tag"] == ["3", DROPS["bad_tag"]]
    assert lines["drop.send_EPERM"] == ["1", FAMILIES["send_"]]
    assert (lines["drop.of_a_newer_sidecar"], lines["sent.probe"]) == (["2"], ["7"])


def test_leave_says_nothing_when_it_is_done(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["leave"] = lambda _: {}
    assert command("leave") == (0, "", "")
    assert command("leave", "--hold", "30s") == (0, "", "")
    assert sidecar.seen == [("leave", {}), ("leave", {"hold": 30.0})]


@pytest.mark.parametrize("hold", ["61s", "2m", "-1s", "soon"])
def test_leave_holds_for_a_minute_at_most(hold: str, sidecar: FakeSidecar, command: Command) -> None:
    assert command("leave", "--hold", hold).code == 2
    assert sidecar.seen == []


def test_keygen_prints_32_bytes_never_the_same(command: Command) -> None:
    keys = {command("keygen").out for _ in range(5)} | {json.loads(command("keygen", "--json").out)["key"] + "\n"}
    assert len(keys) == 6
    for key in sorted(keys):
        assert len(base64.b64decode(key, validate=False)) == 32
        assert key.endswith("=\n")
