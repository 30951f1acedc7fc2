"""A sidecar that lost its copy of a journal opens no other one while that may come back."""

from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.daemon.journals.own_journal import BACK_S, NOBODY_S, OwnJournal
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId

HERE, OTHER = NodeId(b"h" * 16), NodeId(b"o" * 16)
LOST, NEW = JournalId(b"l" * 16), JournalId(b"n" * 16)


class Runtime:
    """Of a sidecar that is in sync from the start on, and knows of no other copy."""

    def __init__(self) -> None:
        self.time = 0.0
        self.own: JournalId | None = None
        self.replicas: dict[JournalId, object] = {}
        self.led: bool | None = False
        self.holders = [HERE]
        self.runs = True
        self.synced_at: float | None = 0.0
        self.membership = self

    def now(self) -> float:
        return self.time

    def command(self, call: Any) -> JournalId:
        journal: JournalId
        journal, _ = call(self, self.time)
        return journal

    def open(self, now: float) -> tuple[JournalId, list[object]]:
        del now
        return self.own or NEW, []

    def is_led(self, journal: JournalId) -> bool | None:
        assert journal == LOST
        return self.led

    def leaderless_at(self, journal: JournalId) -> list[NodeId]:
        assert journal == LOST
        return self.holders

    def member(self, node: NodeId) -> object:
        assert node in (HERE, OTHER)
        return SimpleNamespace(runs=self.runs)


def lost() -> tuple[Runtime, OwnJournal]:
    runtime = Runtime()
    own = OwnJournal(runtime, HERE)  # type: ignore[arg-type]
    own.lose([LOST])
    return runtime, own


def refused_at(runtime: Runtime, own: OwnJournal, time: float) -> str:
    runtime.time = time
    with pytest.raises(ProposalRefused) as caught:
        own.open()
    assert caught.value.code == "unavailable"
    return str(caught.value)


def test_sidecar_that_lost_nothing_opens_one_at_once() -> None:
    assert OwnJournal(Runtime(), HERE).open() == NEW  # type: ignore[arg-type]


def test_no_other_journal_is_opened_while_one_is_led_elsewhere() -> None:
    runtime, own = lost()
    runtime.led = True
    assert "lost its copy of journal 6c6c6c6c6c6c, which may be its own" in refused_at(runtime, own, 1.0)
    assert "for 1 s at most" in refused_at(runtime, own, BACK_S - 0.1)
    runtime.time = BACK_S
    assert own.open() == NEW


def test_no_other_journal_is_opened_while_another_member_has_a_copy() -> None:
    runtime, own = lost()
    runtime.holders = [HERE, OTHER]
    refused_at(runtime, own, NOBODY_S)
    runtime.runs = False
    assert own.open() == NEW, "that member is gone"


def test_journal_of_which_nobody_says_anything_is_waited_for_shortly() -> None:
    runtime, own = lost()
    runtime.synced_at = None
    refused_at(runtime, own, NOBODY_S + 1)
    runtime.synced_at = 5.0
    assert "for 4 s at most" in refused_at(runtime, own, NOBODY_S + 1)
    runtime.time = NOBODY_S + 5
    assert own.open() == NEW


def test_own_journal_that_came_back_is_the_one() -> None:
    runtime, own = lost()
    runtime.led = True
    refused_at(runtime, own, 1.0)
    runtime.own = LOST
    assert own.open() == LOST
    runtime.own = None
    assert own.open() == NEW, "it has ended since"


def test_copy_of_another_member_that_came_back_was_not_the_own() -> None:
    runtime, own = lost()
    runtime.led = True
    runtime.replicas = {LOST: object()}
    assert own.open() == NEW
