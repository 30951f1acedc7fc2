"""Which changes of the answers are lines, and with which reason."""

from typing import Any, cast

import pytest

from gossipreg.core.view import View
from gossipreg.daemon.history.from_answers import AnswerNotes
from gossipreg.daemon.history.history import History
from gossipreg.history.history_line import HistoryLine, NamedMember
from gossipreg.model import CatalogInstance, Change, ChangeKind, Health, NodeId, RegisteredService

OWN, OTHER = NodeId(b"o" * 16), NodeId(b"w" * 16)


class FakeView:
    id = OWN
    synced = True
    state = "alive"
    ring = (OWN, OTHER)

    class catalog:  # noqa: N801  # an attribute of the view
        @staticmethod
        def services() -> list[Any]:
            return []

    def member(self, id: NodeId, now: float) -> Any:
        del id, now
        return None if self.state == "forgotten" else self


class World:
    def __init__(self) -> None:
        self.view = FakeView()
        self.lines: list[HistoryLine] = []
        self.checks: dict[str, list[dict[str, Any]]] = {}
        history = History(NamedMember(OWN.hex(), "own"), self.bug)
        history.lines.follow("test", self.lines.append)
        self.notes = AnswerNotes(history, cast(View, self.view), self.report, lambda: 0.0)
        self.notes.look(())
        self.lines.clear()

    def report(self, id: str) -> list[dict[str, Any]]:
        return self.checks.get(id, [])

    @staticmethod
    def bug(where: str, error: Exception) -> None:
        raise AssertionError(where) from error

    def look(self, kind: ChangeKind, health: Health, node: NodeId = OTHER, reason: str = "", weight: int = 1) -> None:
        service = RegisteredService("billing-8101", "billing", "10.0.0.1", 8101, weight=weight)
        name = "own" if node == OWN else "web-3"
        self.notes.look((Change(kind, CatalogInstance(service, health, node, name, "", 0, 0, reason=reason)),))

    def told(self) -> list[str]:
        told, self.lines[:] = [line.message for line in self.lines], []
        return told


@pytest.fixture
def world() -> World:
    return World()


def test_an_instance_is_told_when_it_comes_and_when_it_goes(world: World) -> None:
    world.look(ChangeKind.ADDED, Health.PASSING)
    world.look(ChangeKind.UPDATED, Health.CRITICAL)
    world.look(ChangeKind.UPDATED, Health.PASSING)
    assert world.told() == [
        "billing-8101 of web-3 is in the answers: registered",
        "billing-8101 of web-3 left the answers: critical; web-3 knows why",
        "billing-8101 of web-3 is in the answers: critical before",
    ]


@pytest.mark.parametrize(
    ("state", "why"),
    [("dead", "web-3 is dead"), ("left", "web-3 left"), ("alive", "deregistered"), ("forgotten", "web-3 is forgotten")],
)
def test_an_instance_that_is_removed_is_told_with_its_member(world: World, state: str, why: str) -> None:
    world.look(ChangeKind.ADDED, Health.PASSING)
    world.view.state = state
    world.look(ChangeKind.REMOVED, Health.PASSING)
    assert world.told()[1:] == [f"billing-8101 of web-3 left the answers: {why}"]


def test_what_was_out_before_does_not_leave(world: World) -> None:
    world.look(ChangeKind.ADDED, Health.CRITICAL)
    world.look(ChangeKind.REMOVED, Health.CRITICAL)
    assert world.told() == ["billing-8101 of web-3 registered, critical: not in the answers yet"]


def test_a_change_of_weight_or_tags_is_no_line(world: World) -> None:
    world.look(ChangeKind.ADDED, Health.PASSING)
    world.look(ChangeKind.UPDATED, Health.PASSING, weight=2)
    world.look(ChangeKind.UPDATED, Health.CRITICAL)
    world.look(ChangeKind.UPDATED, Health.CRITICAL, weight=3)
    assert len(world.told()) == 2


def test_an_instance_here_is_told_with_its_failing_check(world: World) -> None:
    world.checks["billing-8101"] = [
        {"type": "http", "health": "critical", "output": "HTTP 500 secret", "name": ""},
        {"type": "tcp", "health": "passing", "output": "connected", "name": ""},
        {"type": "cmd", "health": "warning", "output": "exit code 1: secret", "name": "disk"},
    ]
    world.look(ChangeKind.UPDATED, Health.CRITICAL, OWN)
    assert world.told() == [
        "billing-8101 left the answers: http check failed: HTTP 500; cmd check disk warns: exit code 1"
    ]


def test_maintenance_is_told_with_its_reason(world: World) -> None:
    world.look(ChangeKind.UPDATED, Health.MAINTENANCE, reason="new disk")
    world.look(ChangeKind.UPDATED, Health.CRITICAL)
    assert world.told() == [
        "billing-8101 of web-3 left the answers: in maintenance: new disk",
        "billing-8101 of web-3 stays out of the answers: maintenance -> critical; web-3 knows why",
    ]


def test_what_the_first_list_brings_is_one_line() -> None:
    world = World()
    world.view.synced = False
    world.notes.look(())
    world.look(ChangeKind.ADDED, Health.PASSING)
    assert world.told() == []
    world.view.synced = True
    world.look(ChangeKind.ADDED, Health.PASSING)
    assert world.told() == ["the answers are known: 2 members, 0 services, 0 instances"]
