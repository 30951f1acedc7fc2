"""Participants that keep their three rules, and fail in between: the books of all services in one.

once     a key is done once, whatever comes, and the same answer is given again
unknown  an undo of something unknown is fine
never    after an undo the do is refused for ever
"""

from collections import Counter
from enum import Enum

from tests.sagas.bench import Bench
from tests.sagas.bench_parts import LOST, UNSENT, Answer, Attempt

LATE_S = 6.0


class Mood(Enum):
    """What a service does with a do."""

    WORKS = "works"
    SLOW = "slow"
    REFUSES = "refuses"
    FAILS = "fails"
    LOSES_THE_ANSWER = "loses the answer"
    NOTHING_SENT = "nothing sent"
    SAYS_CONFLICT = "says conflict"
    """It does its work, and answers 409."""
    COMES_LATE = "comes late"
    """No answer, and the effect comes after the attempt's time."""


class SagaLedger:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.moods: dict[str, Mood] = {}
        self.held: dict[str, Answer] = {}
        """By key: what was done and not undone."""
        self.undone: set[str] = set()
        self.done: Counter[str] = Counter()
        self.after_done: set[str] = set()

    def __call__(self, attempt: Attempt) -> Answer:
        mood = self.moods.get(attempt.service, Mood.WORKS)
        if mood is Mood.NOTHING_SENT:
            return UNSENT
        if mood is Mood.FAILS:
            return Answer(503)
        if attempt.undoes:
            return self._undo(attempt, mood)
        return self._do(attempt, mood)

    def _undo(self, attempt: Attempt, mood: Mood) -> Answer:
        self.held.pop(attempt.undoes, None)
        self.undone.add(attempt.undoes)
        return LOST if mood is Mood.LOSES_THE_ANSWER else Answer(204, b"")

    def _do(self, attempt: Attempt, mood: Mood) -> Answer:
        key = attempt.key
        match mood:
            case Mood.REFUSES if key not in self.held and key not in self.undone:
                return Answer(422)
            case Mood.COMES_LATE:
                self._bench.after(LATE_S, lambda: self._come_late(key))
                return LOST
        answer = self._take(key)
        match mood:
            case Mood.SLOW:
                return Answer(answer.status, answer.body, 2.0)
            case Mood.LOSES_THE_ANSWER:
                return LOST
            case Mood.SAYS_CONFLICT:
                return Answer(409)
        return answer

    def _come_late(self, key: str) -> None:
        self._take(key)

    def _take(self, key: str) -> Answer:
        if key in self.undone:
            return Answer(410)
        if key not in self.held:
            self.done[key] += 1
        return self.held.setdefault(key, Answer(201, b'{"id":7}'))
