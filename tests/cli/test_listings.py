"""`services`, `members` and `info`: aligned tables for people, or JSON."""

import json
from typing import Any

from gossipreg.drops import DROPS, FAMILIES
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

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
    troubles = [{"message": "10.0.0.5:7940 does not accept the key of this sidecar", "since_s": 75.0}]
    sidecar.answers["info"] = lambda _: {**INFO, "troubles": troubles}
    first, second = command("info").out.splitlines()[:2]
    assert first == "! 10.0.0.5:7940 does not accept the key of this sidecar (for 1m)"
    assert second.split() == ["id", "00" * 16]


def test_info_says_what_each_drop_means(sidecar: FakeSidecar, command: Command) -> None:
    counters = {"drop.bad_tag": 3, "drop.send_EPERM": 1, "drop.of_a_newer_sidecar": 2, "sent.probe": 7}
    sidecar.answers["info"] = lambda _: {**INFO, "counters": counters}
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in command("info").out.splitlines() if "." in line}
    assert lines["drop.bad_tag"] == ["3", DROPS["bad_tag"]]
    assert lines["drop.send_EPERM"] == ["1", FAMILIES["send_"]]
    assert (lines["drop.of_a_newer_sidecar"], lines["sent.probe"]) == (["2"], ["7"])
