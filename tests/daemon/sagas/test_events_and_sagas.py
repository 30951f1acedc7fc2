"""Events and sagas on the same journals: who hears what, and the sum of their acts."""

from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.daemon.events_and_sagas import EVENTS, SAGAS, EventsAndSagas, owner_of
from gossipreg.daemon.journals.journal_share import JournalShare
from gossipreg.daemon.streams.inbox import StreamClosed
from gossipreg.events.entries import EventEntryKind
from gossipreg.events.machine import EventsMachine
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.combined import part_of
from gossipreg.journal.effects import (
    AppliedEntry,
    Confirmed,
    Deposed,
    Established,
    JournalEffect,
    Pausing,
    ProposalOutcome,
    RecordsFound,
    Resumed,
    Settled,
)
from gossipreg.journal.model import NO_BALLOT, EntryKind, JournalId, LogEntry
from gossipreg.journal.request_numbers import FIRST_OF_SAGAS
from gossipreg.model import NodeId
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.saga_entries import SAGA_ENTRY
from gossipreg.sagas.saga_tuning import SagaTuning

ONE, TWO = JournalId(b"1" * 16), JournalId(b"2" * 16)


def applied(kind: int) -> AppliedEntry:
    return AppliedEntry(ONE, LogEntry(1, NO_BALLOT, 0, kind, b""))


@pytest.mark.parametrize(
    ("effect", "owner"),
    [
        (Settled(ONE, 1, ProposalOutcome.COMMITTED, 1, 1), EVENTS),
        (Settled(ONE, FIRST_OF_SAGAS, ProposalOutcome.COMMITTED, 1, 1), SAGAS),
        (Confirmed(ONE, FIRST_OF_SAGAS + 1), SAGAS), (RecordsFound(ONE, 7, ()), EVENTS),
        (RecordsFound(ONE, FIRST_OF_SAGAS, ()), SAGAS), (applied(SAGA_ENTRY), SAGAS),
        *((applied(kind), EVENTS) for kind in EventEntryKind), (applied(EntryKind.BALLOT), None),
        (Established(ONE, NO_BALLOT), None), (Deposed(ONE, NO_BALLOT, ""), None), (Pausing(ONE, NO_BALLOT), None),
        (Resumed(ONE, NO_BALLOT), None),
    ],
)  # fmt: skip
def test_what_is_told_goes_to_whom_it_is_for(effect: JournalEffect, owner: str | None) -> None:
    assert owner_of(effect) == owner


class Follows:
    """One of the two; fails if it is to."""

    def __init__(self, machine: Callable[[], Any]) -> None:
        self.told: list[object] = []
        self.fails = False
        self.share: JournalShare
        self.registry = None
        self.asked = SimpleNamespace(whereabouts=None)
        self._machine = machine

    def begin(self, share: JournalShare, *_more: object) -> None:
        self.share = share

    def machine(self, _journal: JournalId) -> object:
        return self._machine()

    def on_journal(self, effect: JournalEffect) -> None:
        self._note(effect)

    def on_stream(self, news: object) -> None:
        self._note(news)

    def on_members(self, ids: Collection[NodeId]) -> None:
        self._note(ids)

    def _note(self, what: object) -> None:
        self.told.append(what)
        if self.fails:
            raise RuntimeError("this one fails")


class Runtime:
    """Notes the acts that the journals are told of."""

    def __init__(self) -> None:
        self.told: list[tuple[JournalId, int]] = []

    def order(self, call: Callable[["Runtime", float], None]) -> None:
        call(self, 0.0)

    def acts(self, journal: JournalId, count: int, now: float) -> None:
        del now
        self.told.append((journal, count))


def both() -> tuple[EventsAndSagas, Follows, Follows, Runtime]:
    events, sagas = Follows(lambda: EventsMachine(EventsTuning())), Follows(lambda: SagasMachine(SagaTuning()))
    follower, runtime = EventsAndSagas(events, sagas), Runtime()  # type: ignore[arg-type]
    follower.begin(runtime)  # type: ignore[arg-type]
    return follower, events, sagas, runtime


def test_acts_of_both_are_told_as_their_sum() -> None:
    follower, events, sagas, runtime = both()
    events.share.acts(ONE, 2)
    sagas.share.acts(ONE, 3)
    sagas.share.acts(TWO, 1)
    events.share.acts(ONE, 0)
    assert runtime.told == [(ONE, 2), (ONE, 5), (TWO, 1), (ONE, 3)]
    follower.on_journal(Deposed(ONE, NO_BALLOT, "another leads"))
    events.share.acts(ONE, 1)
    assert runtime.told[-1] == (ONE, 1), "what was under way for a journal that is not led any more counts no more"


def test_failure_of_one_does_not_keep_the_word_from_the_other() -> None:
    follower, events, sagas, _ = both()
    events.fails = True
    news = StreamClosed(NodeId(bytes(16)), "silent")
    with pytest.raises(RuntimeError):
        follower.on_stream(news)
    with pytest.raises(RuntimeError):
        follower.on_members(())
    assert sagas.told == [news, ()]


def test_journal_has_the_machines_of_both() -> None:
    machine = both()[0].machine(ONE)
    assert part_of(machine, EventsMachine) is not None
    assert part_of(machine, SagasMachine) is not None
