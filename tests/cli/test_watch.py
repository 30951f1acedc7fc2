"""`watch`: a line for each instance and each change, over restarts of the sidecar."""

import json
from typing import Any

import pytest

from gossipreg.wire import rpc
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar, instance

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
    assert (
        first == f"the sidecar on {sidecar.path} closed the connection; the watch goes on as soon as a sidecar answers"
    )
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
    assert ended.err.count("the watch goes on") == 3


def test_watch_where_there_is_no_sidecar_is_3_at_once(command: Command) -> None:
    assert command("watch").code == 3


@pytest.mark.parametrize("cut", ["too_large", "busy"])
def test_a_watch_that_is_cut_off_is_begun_anew(cut: str, sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes, sidecar.watches = [CHANGES[0], rpc.encode_error(None, cut, "cut off"), None], 2
    ended = command("watch", "web")
    assert (ended.code, ended.out.count("current web web-1")) == (4, 2)
    assert ended.err.count("cut off; the watch goes on") == 2
