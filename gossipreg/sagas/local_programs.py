"""The programs that are connected to this sidecar and take the steps of sagas: whoever leads a journal hears of them.

Owns: which sagas have their program here, which had, and which leader was told. Never knows: connections, or what a
lost program leads to (`program_leases.py`).

A leader that is new, or to which the stream broke, is told everything again: also the programs that were lost lately,
since the word of that may be lost.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.saga_effects import SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_messages import MAX_NAMED_SAGAS, ProgramHere, ProgramLost
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.timers import Timers

MAX_LOST = 1024
"""Sagas of one journal whose program was lost, and is named again; the lease of an older one is over by then."""
NAMED_AGAIN = 2
"""A lost program is named to each new leader for so many times `lost_s`."""
AGAIN_SHARE = 8
"""After a stream broke everything is said again within this part of `lost_s`."""


@dataclass(frozen=True, slots=True)
class ProgramsAgain:
    """Say again what may be lost."""


@dataclass(slots=True)
class _OfJournal:
    here: dict[str, None] = field(default_factory=dict)
    lost: dict[str, float] = field(default_factory=dict)
    """When."""
    told: NodeId | None = None
    """The leader that was told all this."""


class LocalPrograms:
    def __init__(self, timers: Timers, leader: Callable[[JournalId], NodeId | None], *, lost_s: float) -> None:
        """`leader(journal)` is the member that leads it now; `lost_s`: how long it waits for a lost program."""
        self._timers = timers
        self._leader = leader
        self._lost_s = lost_s
        self._journals: dict[JournalId, _OfJournal] = {}

    def __len__(self) -> int:
        """Sagas whose program is here."""
        return sum(len(one.here) for one in self._journals.values())

    def journals(self) -> list[JournalId]:
        """Those with a saga whose program is here."""
        return [journal for journal, one in self._journals.items() if one.here]

    def here(self, sagas: Iterable[SagaRef], now: float) -> list[SagaEffect]:
        """Their program is connected to us."""
        for journal, ids in _by_journal(sagas).items():
            one = self._journals.setdefault(journal, _OfJournal())
            for id in ids:
                one.here[id] = None
                one.lost.pop(id, None)
        return self._tell(sagas, ProgramHere, now)

    def lost(self, sagas: Sequence[SagaRef], now: float) -> list[SagaEffect]:
        """Their program is gone."""
        gone = [saga for saga in sagas if saga.id in self._of(saga.journal).here]
        for saga in gone:
            one = self._journals[saga.journal]
            del one.here[saga.id]
            one.lost[saga.id] = now
            if len(one.lost) > MAX_LOST:
                del one.lost[next(iter(one.lost))]
        return self._tell(gone, ProgramLost, now)

    def decided(self, saga: SagaRef) -> None:
        """It needs no program any more."""
        one = self._of(saga.journal)
        one.here.pop(saga.id, None)
        self._forget_empty(saga.journal)

    def closed(self, node: NodeId, now: float) -> None:
        """The stream to this member broke: what we said last may be lost, and is said again soon."""
        for one in self._journals.values():
            if one.told == node:
                one.told = None
                self._timers.set_earlier(ProgramsAgain(), now + self._lost_s / AGAIN_SHARE)

    def leaders_changed(self, now: float) -> list[SagaEffect]:
        """Another member may lead."""
        effects: list[SagaEffect] = []
        for journal in [*self._journals]:
            one = self._journals[journal]
            one.lost = {id: at for id, at in one.lost.items() if at + NAMED_AGAIN * self._lost_s > now}
            leader = self._leader(journal)
            if not self._forget_empty(journal) and leader is not None and leader != one.told:
                one.told = leader
                effects += _messages(leader, journal, [*one.lost], ProgramLost)
                effects += _messages(leader, journal, [*one.here], ProgramHere)
        return effects

    def _of(self, journal: JournalId) -> _OfJournal:
        return self._journals.get(journal) or _OfJournal()

    def _forget_empty(self, journal: JournalId) -> bool:
        one = self._journals.get(journal)
        if one is None or one.here or one.lost:
            return False
        del self._journals[journal]
        return True

    def _tell(
        self, sagas: Iterable[SagaRef], kind: type[ProgramHere] | type[ProgramLost], now: float
    ) -> list[SagaEffect]:  # fmt: skip
        told = {journal: one.told for journal, one in self._journals.items()}
        effects = self.leaders_changed(now)
        for journal, ids in _by_journal(sagas).items():
            leader = self._of(journal).told
            if leader is not None and leader == told.get(journal):
                effects += _messages(leader, journal, ids, kind)
        return effects


def _by_journal(sagas: Iterable[SagaRef]) -> dict[JournalId, list[str]]:
    found: dict[JournalId, list[str]] = {}
    for saga in sagas:
        found.setdefault(saga.journal, []).append(saga.id)
    return found


def _messages(
    node: NodeId, journal: JournalId, sagas: Sequence[str], kind: type[ProgramHere] | type[ProgramLost]
) -> Iterator[SendSagaMessage]:
    for at in range(0, len(sagas), MAX_NAMED_SAGAS):
        yield SendSagaMessage(node, kind(journal=journal, sagas=tuple(sagas[at : at + MAX_NAMED_SAGAS])))
