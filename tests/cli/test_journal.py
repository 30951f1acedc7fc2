"""`gossipreg journal`: what is printed of the journals here, and what the exit code says."""

import json
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar

ID, OWNER, GONE = "3f" * 16, "0a" * 16, "0b" * 16


def shown(**differs: Any) -> dict[str, Any]:
    """A journal as the sidecar shows it that leads it."""
    return {
        "id": ID, "owner": OWNER, "owner_name": "web", "role": "leads", "leader": OWNER, "leader_name": "web",
        "ballot": "1.0a", "copies": 2, "takeover": False,
        "voters": [
            {"node": OWNER, "name": "web", "replica": "01", "state": "here"},
            {"node": GONE, "name": GONE, "replica": "02", "state": "unknown"},
        ],
        "learners": [], "behind": False, "committed": 7, "bytes": 4096, "fill": 0.0, "orphaned": False, **differs,
    }  # fmt: skip


UNPROVEN = shown(role="unproven", leader=None, leader_name=None, copies=None, takeover=None, behind=None)


@pytest.mark.parametrize(("verb", "answer"), [("list", [UNPROVEN]), ("show", UNPROVEN)])
def test_leadership_that_is_not_proven_is_said(verb: str, answer: Any, sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers |= {"journals": lambda _: answer, "journal": lambda _: answer}
    line = ("journal", verb, *(["3f"] if verb == "show" else []))
    ended = command(*line)
    assert ended.code == 4
    assert "unproven" in ended.out
    assert "Error: not proven that this sidecar still leads 3f3f3f3f3f3f: no majority" in ended.err
    ended = command("--json", *line)
    assert (ended.code, json.loads(ended.err)["error"]["code"]) == (4, "unavailable")
    assert json.loads(ended.out) == answer


def test_a_leader_that_is_confirmed_is_listed(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers["journals"] = lambda _: [shown()]
    code, out, err = command("journal", "list")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:5] == ["3f3f3f3f3f3f", "web", "leads", "web", "2"]


def test_member_without_a_name_is_shown_by_the_start_of_its_id(sidecar: FakeSidecar, command: Command) -> None:
    sidecar.answers |= {"journals": lambda _: [shown()], "journal": lambda _: shown()}
    for line in (("list",), ("show", "3f")):
        out = command("journal", *line).out
        assert "0b0b0b0b0b0b (no name known) unknown" in out
        assert GONE not in out
