"""Questions to all journals, at a member that leads some of them: its answer to `saga_survey.py`.

Owns: the questions that wait for proofs of leadership. Never knows: who asks whom, or how answers are joined.

The member speaks for a journal if it has proven that it led it when the question came: one that stood still while
another one took over would show sagas as they were. A journal without a proof within PROVE_SHARE of the time that the
asker gives does not hold up the others: it is left out, so that the asker names it as missing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from msgpack import packb

from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId
from gossipreg.sagas.journal_sagas import JournalSagas
from gossipreg.sagas.live_sagas import SagaCaller
from gossipreg.sagas.saga_calls import ListAsked, ShowAsked
from gossipreg.sagas.saga_effects import SagaEffect, SendSagaMessage
from gossipreg.sagas.saga_messages import SagaReply
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_shapes import fitting, shape_place
from gossipreg.sagas.saga_survey import ALL_JOURNALS, MEMBER_ANSWER_BYTES, member_answer
from gossipreg.timers import Timers

MAX_QUESTIONS = 256
"""That wait for proofs; more are refused as `busy`."""
PROVE_SHARE = 0.5
"""Of the asker's time: longer than `prove_again_s`, so that a lost proof can be asked for again, and short enough for
the way of the answer."""


@dataclass(frozen=True, slots=True)
class ProofsDeadline:
    """This question waits no longer for proofs."""

    caller: SagaCaller


@dataclass(frozen=True, slots=True)
class _Question:
    asked: ListAsked | ShowAsked
    since: float
    waits: set[JournalId]
    """They have no proof yet."""
    proven: set[JournalId]


class MemberSurveys:
    def __init__(
        self, timers: Timers, led: Mapping[JournalId, JournalSagas], ended: Callable[[], Iterable[JournalId]],
        *, timeout_s: float,
    ) -> None:  # fmt: skip
        """`led`: the journals that are led here now; `ended()`: those of which nothing is left; `timeout_s`: how long
        the asker waits for an answer."""
        self._timers = timers
        self._led = led
        self._ended = ended
        self._prove_s = PROVE_SHARE * timeout_s
        self._questions: dict[SagaCaller, _Question] = {}

    def ask(self, caller: SagaCaller, asked: ListAsked | ShowAsked, now: float) -> list[SagaEffect]:
        """Ask for a proof of each journal. `answers` answers once all are there, or their time is over."""
        if len(self._questions) >= MAX_QUESTIONS and caller not in self._questions:
            text = f"{len(self._questions)} questions wait for proofs of leadership: ask again in a moment"
            return [survey_reply(caller, "busy", {"text": text})]
        waits = {journal for journal, led in self._led.items() if led.proven_at < now}
        self._questions[caller] = _Question(asked, now, waits, self._led.keys() - waits)
        self._timers.set(ProofsDeadline(caller), now + self._prove_s)
        unproven = [led for journal, led in self._led.items() if journal in waits]
        return [effect for led in unproven for effect in led.prove(now, now)]

    def proven(self, journal: JournalId, at: float) -> None:
        """We led this journal at that time."""
        for question in self._questions.values():
            if journal in question.waits and question.since <= at:
                question.waits.discard(journal)
                question.proven.add(journal)

    def lost(self, journal: JournalId) -> None:
        """We do not lead this journal any more."""
        for question in self._questions.values():
            question.waits.discard(journal)
            question.proven.discard(journal)

    def closed(self, node: NodeId, now: float) -> list[SagaEffect]:
        """The stream to this member broke: it waits for no answer of ours."""
        effects: list[SagaEffect] = []
        for caller in [caller for caller in self._questions if caller.node == node]:
            effects += self._forget(caller, now)
        return effects

    def on_deadline(self, caller: SagaCaller) -> None:
        """It is answered by the journals that are proven."""
        if caller in self._questions:
            self._questions[caller].waits.clear()

    def answers(self, now: float) -> list[SagaEffect]:
        """Answer the questions that wait for no proof any more."""
        effects: list[SagaEffect] = []
        for caller in [caller for caller, question in self._questions.items() if not question.waits]:
            question = self._questions[caller]
            effects += [*self._forget(caller, now), *self._answer(caller, question, now)]
        return effects

    def _forget(self, caller: SagaCaller, now: float) -> list[SagaEffect]:
        """Where no question waits any more, no journal asks for a proof that did not come."""
        question = self._questions.pop(caller)
        self._timers.cancel(ProofsDeadline(caller))
        if self._questions:
            return []
        unproven = [led for led in self._led.values() if led.proven_at < question.since]
        return [effect for led in unproven for effect in led.prove(-inf, now)]

    def _answer(self, caller: SagaCaller, question: _Question, now: float) -> list[SagaEffect]:
        asked = question.asked
        led = {journal: led for journal, led in self._led.items() if journal in question.proven}
        spoken_for = [*led, *self._ended()]
        if isinstance(asked, ListAsked):
            one_more = replace(asked, limit=asked.limit + 1)
            shapes = (shape for one in led.values() for shape in one.questions.list(one_more))
            first = sorted(shapes, key=partial(shape_place, newest=asked.newest))[: one_more.limit]
            told = fitting(first[: asked.limit], MEMBER_ANSWER_BYTES)
            return [survey_reply(caller, "", member_answer(told, spoken_for, cut=len(told) < len(first)))]
        id = asked.id if asked.saga is None else asked.saga.id
        knowing = [journal for journal, one in led.items() if one.questions.knows(id)]
        if len(knowing) == 1:
            return led[knowing[0]].show(id, caller, now)
        found = [{"saga": str(SagaRef(journal, id))} for journal in knowing]
        return [survey_reply(caller, "", member_answer(found, spoken_for, cut=False))]


def survey_reply(caller: SagaCaller, code: str, result: object) -> SagaEffect:
    """The answer to a question to all journals."""
    reply = SagaReply(journal=ALL_JOURNALS, number=caller.number, code=code, result=packb(result))
    return SendSagaMessage(caller.node, reply)
