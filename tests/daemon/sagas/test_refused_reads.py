"""Reads that a journal refuses, since too much waits for its disk: whoever asked hears of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.daemon.events.local_events import LocalEvents
from gossipreg.daemon.sagas.local_sagas import LocalSagas
from gossipreg.events.effects import ReadPayloads
from gossipreg.events.events import Events
from gossipreg.journal.effects import JournalEffect, RecordsFound, Resumed
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import NO_BALLOT, JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import ReadEndedSagas, SagaEffect
from gossipreg.sagas.sagas import Sagas

JOURNAL = JournalId(b"j" * 16)
ANY: Any = SimpleNamespace()


class Busy:
    """The share of journals that read nothing."""

    runtime = SimpleNamespace(journals=None, membership=None)

    def read_records(self, *_: object) -> None:
        raise ProposalRefused("busy", "too many reads")


def sidecar() -> tuple[Any, Any, list[tuple[str, Exception]]]:
    """(node, pump, what was logged as a bug)"""
    bugs: list[tuple[str, Exception]] = []
    announced = SimpleNamespace(members=lambda: ())
    node = SimpleNamespace(
        id=NodeId(b"n" * 16), name=lambda _: "n", name_of_gone=lambda _: "n", row_ids=lambda: (),
        announcements=announced,
    )  # fmt: skip
    return node, SimpleNamespace(now=lambda: 7.0, bug=lambda *said: bugs.append(said)), bugs


def test_a_refused_read_of_a_story_answers_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    node, pump, bugs = sidecar()
    sagas = LocalSagas(node, pump, ANY, ANY, rights=ANY, audit=ANY, secrets=None, methods={})
    sagas.begin(Busy(), SimpleNamespace(leader=lambda _: None))  # type: ignore[arg-type]
    refused: list[tuple[object, ...]] = []

    def note(_: Sagas, *said: object) -> list[SagaEffect]:
        refused.append(said)
        return []

    monkeypatch.setattr(Sagas, "on_journal", lambda *_: [ReadEndedSagas(JOURNAL, 5, (b"key",))])
    monkeypatch.setattr(Sagas, "refused", note)
    sagas.on_journal(Resumed(JOURNAL, NO_BALLOT))
    assert refused == [(JOURNAL, 5, "busy", "too many reads", 7.0)]
    assert not bugs


def test_events_that_were_not_read_are_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    node, pump, bugs = sidecar()
    events = LocalEvents(node, pump, ANY, ANY, source="n", methods={})
    events.begin(Busy())  # type: ignore[arg-type]
    told: list[JournalEffect] = []

    def on_journal(_: Events, effect: JournalEffect, _now: float) -> list[ReadPayloads]:
        told.append(effect)
        return [ReadPayloads(JOURNAL, 5, (1, 2))] if isinstance(effect, Resumed) else []

    monkeypatch.setattr(Events, "on_journal", on_journal)
    events.on_journal(Resumed(JOURNAL, NO_BALLOT))
    assert told[1:] == [RecordsFound(JOURNAL, 5, (None, None))]
    assert not bugs
