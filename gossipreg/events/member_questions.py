"""Questions of members about the journals that are led here, until it is proven that they are.

Owns: which journals a question is about. Never knows: its answer (`questions.py`), or how a proof is made
(`journal/proven_questions.py`).
"""

from collections.abc import Iterable, Mapping

from gossipreg.events.effects import ConfirmLead, EventEffect
from gossipreg.events.led_journal import LedJournal
from gossipreg.events.messages import EventsCall
from gossipreg.events.questions import Questions, SpokenFor, journals_asked, refusal
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import ProofAsked, ProvenQuestions
from gossipreg.model import NodeId

Asked = tuple[NodeId, EventsCall]


class MemberQuestions:
    def __init__(
        self, questions: Questions, led: Mapping[JournalId, LedJournal], proven: ProvenQuestions[Asked]
    ) -> None:  # fmt: skip
        """`led`: the journals that are led here now."""
        self._questions = questions
        self._led = led
        self._proven = proven

    def ask(self, node: NodeId, call: EventsCall, now: float) -> list[EventEffect]:
        """A member asks; `answers` has the answer once the journals are proven, or the time for that is over."""
        if self._proven.is_full():
            return [refusal(node, call, "busy", "too many questions wait for proofs of leadership: ask again later")]
        return _confirm(self._proven.ask((node, call), journals_asked(call, self._led), now))

    def confirmed(self, journal: JournalId, number: int, now: float) -> list[EventEffect]:
        """This journal has proven that we lead it."""
        return _confirm(self._proven.confirmed(journal, number, now))

    def lost(self, journal: JournalId) -> None:
        """We do not lead this journal any more."""
        self._proven.lost(journal)

    def closed(self, node: NodeId) -> None:
        """The stream to this member broke: it waits for no answer of ours."""
        self._proven.drop(lambda question: question[0] == node)

    def next_due(self) -> float:
        return self._proven.next_due()

    def advance(self, now: float) -> list[EventEffect]:
        return _confirm(self._proven.advance(now))

    def answers(self, now: float) -> list[EventEffect]:
        """Answer the questions that wait for no proof any more."""
        effects: list[EventEffect] = []
        for ready in self._proven.ready(now):
            node, call = ready.question
            journals = SpokenFor([self._led[journal] for journal in ready.proven], ready.unproven)
            effects += self._questions.ask(node, call, now, journals)
        return effects


def _confirm(asked: Iterable[ProofAsked]) -> list[EventEffect]:
    return [ConfirmLead(one.journal, one.number) for one in asked]
