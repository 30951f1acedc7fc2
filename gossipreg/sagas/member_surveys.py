"""Questions to all journals, at a member that leads some of them: its answer to `saga_survey.py`.

Owns: what the answer says. Never knows: who asks whom, or how answers are joined.

The member speaks for the journals that are proven (`journal/proven_questions.py`). A journal that is not proven is left
out, so that the asker names it as missing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from msgpack import packb

from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import ProofAsked, ProvenQuestions
from gossipreg.model import NodeId
from gossipreg.sagas.journal_sagas import JournalSagas
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.saga_calls import ListAsked, ShowAsked
from gossipreg.sagas.saga_effects import ProveLeadership, SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_messages import SagaReply
from gossipreg.sagas.saga_model import SagaRef, read_short_saga
from gossipreg.sagas.saga_shapes import fitting, shape_place
from gossipreg.sagas.saga_survey import ALL_JOURNALS, MEMBER_ANSWER_BYTES, member_answer


@dataclass(frozen=True, slots=True)
class _Question:
    caller: SagaCaller
    asked: ListAsked | ShowAsked


class MemberSurveys:
    def __init__(
        self, led: Mapping[JournalId, JournalSagas], ended: Callable[[], Iterable[JournalId]],
        proven: ProvenQuestions[_Question],
    ) -> None:  # fmt: skip
        """`led`: the journals that are led here now; `ended()`: those of which nothing is left."""
        self._led = led
        self._ended = ended
        self._proven = proven

    def ask(self, caller: SagaCaller, asked: ListAsked | ShowAsked, now: float) -> list[SagaEffect]:
        """`answers` has the answer once all journals are proven, or the time for that is over."""
        if self._proven.is_full():
            text = "too many questions wait for proofs of leadership: ask again in a moment"
            return [survey_reply(caller, "busy", {"text": text})]
        return _prove(self._proven.ask(_Question(caller, asked), self._led, now))

    def confirmed(self, journal: JournalId, number: int, now: float) -> list[SagaEffect]:
        """This journal has proven that we lead it."""
        return _prove(self._proven.confirmed(journal, number, now))

    def lost(self, journal: JournalId) -> None:
        """We do not lead this journal any more."""
        self._proven.lost(journal)

    def closed(self, node: NodeId) -> None:
        """The stream to this member broke: it waits for no answer of ours."""
        self._proven.drop(lambda question: question.caller.node == node)

    def next_due(self) -> float:
        return self._proven.next_due()

    def advance(self, now: float) -> list[SagaEffect]:
        return _prove(self._proven.advance(now))

    def answers(self, now: float) -> list[SagaEffect]:
        """Answer the questions that wait for no proof any more."""
        effects: list[SagaEffect] = []
        for ready in self._proven.ready(now):
            led = {journal: self._led[journal] for journal in ready.proven}
            effects += self._answer(ready.question.caller, ready.question.asked, led, now)
        return effects

    def _answer(
        self, caller: SagaCaller, asked: ListAsked | ShowAsked, led: Mapping[JournalId, JournalSagas], now: float
    ) -> list[SagaEffect]:
        spoken_for = [*led, *self._ended()]
        if isinstance(asked, ListAsked):
            one_more = replace(asked, limit=asked.limit + 1)
            shapes = (shape for one in led.values() for shape in one.questions.list(one_more))
            first = sorted(shapes, key=partial(shape_place, newest=asked.newest))[: one_more.limit]
            told = fitting(first[: asked.limit], MEMBER_ANSWER_BYTES)
            return [survey_reply(caller, "", member_answer(told, spoken_for, cut=len(told) < len(first)))]
        knowing = _meant(asked, led)
        if len(knowing) == 1:
            return led[knowing[0].journal].show(knowing[0].id, caller, now)
        found = [{"saga": str(saga)} for saga in knowing]
        return [survey_reply(caller, "", member_answer(found, spoken_for, cut=False))]


def _meant(asked: ShowAsked, led: Mapping[JournalId, JournalSagas]) -> list[SagaRef]:
    """The sagas of these journals that are named so: by a bare id, or by it behind the beginning of its journal."""
    id = asked.id if asked.saga is None else asked.saga.id
    meant = [SagaRef(journal, id) for journal, one in led.items() if one.questions.knows(id)]
    short = read_short_saga(id)
    if short is not None:
        meant += [
            SagaRef(journal, short[1]) for journal, one in led.items()
            if journal.hex().startswith(short[0]) and one.questions.knows(short[1])
        ]  # fmt: skip
    return meant


def _prove(asked: Iterable[ProofAsked]) -> list[SagaEffect]:
    return [ProveLeadership(one.journal, one.number) for one in asked]


def survey_reply(caller: SagaCaller, code: str, result: object) -> SagaEffect:
    """The answer to a question to all journals."""
    reply = SagaReply(journal=ALL_JOURNALS, number=caller.number, code=code, result=packb(result))
    return SendSagaMessage(caller.node, reply)
