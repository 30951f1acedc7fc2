"""`wait`: it returns when enough instances pass or the sidecar is synced, and gives up in time."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar, instance


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
        1, "", "this sidecar is not synced with the cluster after 0s: `gossipreg info` says why\n",
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
