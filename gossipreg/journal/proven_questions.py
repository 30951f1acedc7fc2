"""Questions about all journals that are led here, which wait for a proof that each was led when the question came.

Owns: the questions that wait, and for which proofs. Never knows: what is asked, or how it is answered.

A leader that stood still while another one took over does not know what was committed meanwhile, and must not speak for
that journal. A journal without a proof in time does not hold up the others: it is told as unproven, and whoever answers
says that what it has is missing.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

from gossipreg.journal.leadership_proof import LeadershipProof
from gossipreg.journal.model import JournalId

MAX_QUESTIONS = 256
"""That wait for proofs; whoever asks for more is refused."""
PROVE_S = 1.5
"""How long a question waits for proofs: half of the time that members have to answer."""
AGAIN_S = 0.5
"""Until a proof that has not come is asked for once more."""

Question = TypeVar("Question", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ProofAsked:
    """Ask this journal (`Journals.confirm`) with this number."""

    journal: JournalId
    number: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    since: float
    journals: dict[JournalId, None]
    """All that it asks."""
    waits: set[JournalId]
    """Those that have no proof yet."""
    lost: set[JournalId] = field(default_factory=set)
    """Those that are not led here any more."""


@dataclass(frozen=True, slots=True)
class ProvenQuestion(Generic[Question]):
    """A question that is to be answered now."""

    question: Question
    proven: tuple[JournalId, ...]
    """The journals that we led when it came."""
    unproven: tuple[JournalId, ...]
    """The others."""


class ProvenQuestions(Generic[Question]):
    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._waiting: dict[Question, _Waiting] = {}
        """In the order of their times."""
        self._proofs: dict[JournalId, LeadershipProof] = {}
        """While a question waits."""
        self._again_at = inf

    def is_full(self) -> bool:
        return len(self._waiting) >= MAX_QUESTIONS

    def ask(self, question: Question, journals: Iterable[JournalId], now: float) -> list[ProofAsked]:
        """This question came now; `ready` has it once these journals are proven, or its time is over."""
        asked = dict.fromkeys(journals)
        waits: set[JournalId] = set()
        for journal in asked:
            proof = self._proofs.get(journal)
            if proof is None:
                proof = self._proofs[journal] = LeadershipProof(self._numbers, again_s=AGAIN_S)
            if not proof.covers(now):
                proof.want(now)
                waits.add(journal)
        self._waiting.pop(question, None)
        self._waiting[question] = _Waiting(now, asked, waits)
        self._again_at = min(self._again_at, now + AGAIN_S)
        return self._ask(asked, now)

    def _ask(self, journals: Iterable[JournalId], now: float) -> list[ProofAsked]:
        return [ProofAsked(journal, number) for journal in journals for number in self._proofs[journal].ask(now)]

    def confirmed(self, journal: JournalId, number: int, now: float) -> list[ProofAsked]:
        """The journal has answered."""
        proof = self._proofs.get(journal)
        if proof is None or not proof.confirmed(number):
            return []
        for waiting in self._waiting.values():
            if journal in waiting.waits and proof.covers(waiting.since):
                waiting.waits.discard(journal)
        return self._ask([journal], now)

    def lost(self, journal: JournalId) -> None:
        """This journal is not led here any more: nothing is said about what it has."""
        self._proofs.pop(journal, None)
        for waiting in self._waiting.values():
            if journal in waiting.journals:
                waiting.waits.discard(journal)
                waiting.lost.add(journal)

    def drop(self, is_dropped: Callable[[Question], bool]) -> None:
        """Nobody waits for the answers to these questions any more."""
        for question in [question for question in self._waiting if is_dropped(question)]:
            del self._waiting[question]
        self._rest()

    def next_due(self) -> float:
        """Infinity where no question waits."""
        first = next(iter(self._waiting.values()), None)
        return inf if first is None else min(self._again_at, first.since + PROVE_S)

    def advance(self, now: float) -> list[ProofAsked]:
        """Ask once more for proofs that have not come."""
        if now < self._again_at:
            return []
        self._again_at = now + AGAIN_S
        return self._ask([*self._proofs], now)

    def ready(self, now: float) -> list[ProvenQuestion[Question]]:
        """The questions that are to be answered now; they wait no longer."""
        if not self._waiting:
            return []
        over = [
            (question, waiting) for question, waiting in self._waiting.items()
            if not waiting.waits or now >= waiting.since + PROVE_S
        ]  # fmt: skip
        for question, _ in over:
            del self._waiting[question]
        self._rest()
        return [_proven(question, waiting) for question, waiting in over]

    def _rest(self) -> None:
        """Where no question waits, no proof is asked for."""
        if not self._waiting:
            self._proofs.clear()
            self._again_at = inf


def _proven(question: Question, waiting: _Waiting) -> ProvenQuestion[Question]:
    unproven = waiting.waits | waiting.lost
    proven = tuple(journal for journal in waiting.journals if journal not in unproven)
    return ProvenQuestion(question, proven, tuple(journal for journal in waiting.journals if journal in unproven))
