"""Lines of the log as lines of the history: about whom they are, and in which words."""

from typing import Any, cast

import pytest

from gossipreg.core.view import View
from gossipreg.daemon.history.from_log import LogNotes
from gossipreg.daemon.history.history import History
from gossipreg.history.history_line import HistoryLine, NamedMember
from gossipreg.model import NodeId

OWN, API1, WEB3 = (NodeId(bytes([number]) * 16) for number in (1, 2, 3))
NAMES = {OWN: "own", API1: "api-1", WEB3: "web-3"}


class FakeRow:
    declared_left = False

    def __init__(self, reporter: NodeId | None) -> None:
        self.reporter = reporter


class FakeTable:
    def __init__(self) -> None:
        self.rows: dict[NodeId, FakeRow] = {}


class FakeView:
    id = OWN

    def __init__(self) -> None:
        self.table = FakeTable()

    def name(self, id: NodeId) -> str:
        return NAMES[id]


class World:
    def __init__(self, *keys: str) -> None:
        self.view = FakeView()
        self.lines: list[HistoryLine] = []
        self.history = History(NamedMember(OWN.hex(), "own"), self.bug)
        self.history.lines.follow("test", self.lines.append)
        self.notes = LogNotes(self.history, cast(View, self.view), keys)

    @staticmethod
    def bug(where: str, error: Exception) -> None:
        raise AssertionError(where) from error

    def line(self, kind: str, **fields: Any) -> HistoryLine:
        self.notes.line("info", kind, fields)
        return self.lines[-1]

    def death(self, reporter: NodeId | None, reason: str) -> HistoryLine:
        self.view.table.rows[WEB3] = FakeRow(reporter)
        return self.line("member_dead", id=WEB3.hex(), name="web-3", reason=reason)


@pytest.fixture
def world() -> World:
    return World("ab12", "cd34")


@pytest.mark.parametrize(
    ("reporter", "reason", "message", "by"),
    [
        (OWN, "silent for 0.6 s, as seen by this sidecar, api-1",
         "web-3 declared dead by own: silent for 0.6 s, as seen by own, api-1", "own"),
        (API1, "reported by api-1", "web-3 declared dead by api-1", "api-1"),
        (API1, "reported by api-1; silent for 0.4 s, as seen by this sidecar",
         "web-3 declared dead by api-1: silent for 0.4 s, as seen by own", "api-1"),
        (OWN, "declared dead by this sidecar", "web-3 declared dead by own", "own"),
        (None, "reported by another member", "web-3 declared dead by another member", "another member"),
    ],
)  # fmt: skip
def test_a_death_names_its_accuser_and_the_grounds(
    world: World, reporter: NodeId | None, reason: str, message: str, by: str
) -> None:
    line = world.death(reporter, reason)
    assert (line.message, line.more["by"]) == (message, by)
    assert line.member == NamedMember(WEB3.hex(), "web-3")


def test_a_member_declared_left_by_a_person_is_told_so(world: World) -> None:
    world.view.table.rows[WEB3] = FakeRow(WEB3)
    world.view.table.rows[WEB3].declared_left = True
    assert world.line("member_dead", id=WEB3.hex(), name="web-3").message == "web-3 declared left by an operator"


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ("cd34 ab12", "key ring changed: sealing key ab12 -> cd34"),
        ("ab12 cd34 ef56", "key ring changed: sealing key still ab12, ef56 came"),
        ("ef56", "key ring changed: sealing key ab12 -> ef56, ef56 came, ab12 went, cd34 went"),
        ("ab12 cd34", "key ring read again: nothing changed"),
    ],
)
def test_a_change_of_keys_names_those_that_came_and_went(world: World, after: str, message: str) -> None:
    assert world.line("keys_read", keys=2, fingerprints=after).message == message


def test_a_service_keeps_its_name_until_it_is_gone(world: World) -> None:
    by = {"via": "socket", "uid": 1000, "pid": 7}
    world.line(
        "service_registered", id="b-1", name="billing", address="h:1", source="socket", checks=0, health="passing", **by
    )
    gone = world.line("service_deregistered", id="b-1", via="tcp", uid=None, pid=None)
    assert (gone.service, gone.instance, gone.message) == (
        "billing", "b-1", "b-1 left the answers: deregistered by a TCP client",
    )  # fmt: skip
    assert world.lines[0].message == "b-1 registered by uid 1000 (pid 7) at h:1: passing"
    assert world.line("service_updated", id="b-1").service == ""


def test_a_dead_letter_is_told_without_the_words_of_its_handler(world: World) -> None:
    line = world.line(
        "event_dead", group="stock", index=7, attempts=10, result="failed", reason="HTTP 500 secret", holds=0
    )
    assert line.message == (
        "event 7 of group stock set aside as a dead letter after 10 attempts: last answer HTTP 500; retry or drop it: "
        "`gossipreg events dead`"
    )
    rejected = world.line("event_dead", group="stock", index=8, attempts=1, result="rejected", reason="secret", holds=0)
    assert "as its handler rejected it after 1 attempt;" in rejected.message
    assert "secret" not in str(world.lines)


@pytest.mark.parametrize("kind", ["service_health", "bug", "saga_aborted", "keys_not_read", "maintenance", "signal"])
def test_texts_of_others_are_left_out(world: World, kind: str) -> None:
    world.notes.line(
        "error", kind, {"id": "x", "traceback": "secret", "reason": "" if kind == "maintenance" else "secret"}
    )  # fmt: skip
    assert "secret" not in str(world.lines)


def test_kinds_that_nobody_knows_are_no_lines(world: World) -> None:
    world.notes.line("error", "a_kind_of_tomorrow", {"message": "secret"})
    assert world.lines == []


def test_the_start_says_how_the_run_before_ended() -> None:
    world = World()
    for began, end in (("first", ", for the first time"), ("unclean", ", after an unclean stop"), ("", "")):
        world.history.began = began
        world.notes.started("1.2.3")
        assert world.lines[-1].message == f"sidecar started, version 1.2.3, without a key{end}"
