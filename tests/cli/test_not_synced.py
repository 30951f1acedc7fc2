"""Commands at a sidecar that does not know the cluster yet: they wait, and then say so."""

import json
from typing import Any

import pytest

from gossipreg.errors import NotSynced
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar, instance

WHY = "this sidecar is not synced, so it does not know where web is yet: no other member has answered yet"


def _refuse(_params: dict[str, Any]) -> Any:
    raise NotSynced(WHY)


@pytest.mark.parametrize("line", [("lookup", "web"), ("services",)])
def test_a_sidecar_that_stays_unsynced_is_exit_code_4(
    line: tuple[str, ...], sidecar: FakeSidecar, command: Command
) -> None:
    sidecar.answers |= {"lookup": _refuse, "services": _refuse}
    ended = command(*line, "--timeout", "100ms")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == f"Error: {WHY} (waited 0.1s; `gossipreg info` says more)\n"
    assert len(sidecar.seen) > 1
    assert command(*line, "--timeout", "0") == (4, "", f"Error: {WHY}\n")


def test_lookup_waits_for_a_sidecar_that_is_synced_soon(sidecar: FakeSidecar, command: Command) -> None:
    synced = iter([False, False, True])
    sidecar.answers["lookup"] = lambda params: [instance()] if next(synced) else _refuse(params)
    assert command("lookup", "web", "--timeout", "30s") == (0, "10.0.0.1:8080\n", "")


def test_the_error_has_its_code_in_json(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = _refuse
    ended = command("lookup", "web", "--json", "--timeout", "0")
    assert json.loads(ended.err.splitlines()[-1])["error"]["code"] == "not_synced"


def test_a_partial_answer_is_printed_with_a_warning(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["lookup"] = lambda _: [instance(partial=True)]
    ended = command("lookup", "web")
    assert (ended.code, ended.out) == (0, "10.0.0.1:8080\n")
    assert ended.err == "Warning: this sidecar is not synced yet: there may be more instances\n"


def test_info_says_why_it_is_not_synced(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["info"] = lambda _: {"synced": False, "knowledge": "not_synced", "not_synced_because": "a reason"}
    assert command("info").out.startswith("! not synced: a reason; only what is registered here is known\n")
    sidecar.answers["info"] = lambda _: {"synced": False, "knowledge": "last_known", "not_synced_because": "a reason"}
    assert command("info").out.startswith("! not synced: a reason; the answers are those known last\n")


def test_wait_says_that_it_could_not_know(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.changes = [{"kind": "current", "instances": [instance()], "partial": True}]
    ended = command("wait", "web", "--count", "2", "--timeout", "0.2")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "1 of 2 passing instances of web after 0.2s; this sidecar is not synced, so there may be more "
        "(`gossipreg info` says why)\n"
    )
