"""Proofs that this sidecar leads journals, for whoever shows them to people.

Owns: the questions that wait for proofs. Never knows: what is shown. A leader that stood still while another member
took over believes that it leads until it hears of the other: it must not show that as a fact.
"""

from collections.abc import Callable, Collection, Iterable
from itertools import count

import trio

from gossipreg.errors import Busy
from gossipreg.journal.effects import Confirmed
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import ProofAsked, ProvenQuestions
from gossipreg.journal.request_numbers import FIRST_OF_SHOWN


class LedProofs:
    def __init__(self, confirm: Callable[[JournalId, int], None], now: Callable[[], float]) -> None:
        """`confirm(journal, number)`: `confirmed` with this number follows, or never."""
        self._confirm = confirm
        self._now = now
        self._questions = ProvenQuestions[int](count(FIRST_OF_SHOWN))
        self._tickets = count()
        self._proven: dict[int, Collection[JournalId] | None] = {}
        """By ticket; None: it waits for proofs."""
        self._news = trio.Event()

    async def proven(self, journals: Iterable[JournalId]) -> Collection[JournalId]:
        """Those of these journals, which are led here, that a majority of the voters says we lead. It takes at most
        `proven_questions.PROVE_S`. Raises Busy."""
        if self._questions.is_full():
            raise Busy("too many questions wait for proofs of leadership: ask again in a moment")
        ticket = next(self._tickets)
        self._proven[ticket] = None
        try:
            self._ask(self._questions.ask(ticket, journals, self._now()))
            while (found := self._found(ticket)) is None:
                await self._wait()
            return found
        finally:
            del self._proven[ticket]
            self._questions.drop(lambda question: question == ticket)

    def _found(self, ticket: int) -> Collection[JournalId] | None:
        now = self._now()
        for one in self._questions.ready(now):
            self._proven[one.question] = one.proven
            self._tell()
        self._ask(self._questions.advance(now))
        return self._proven[ticket]

    async def _wait(self) -> None:
        """Until there is news, or the time of a question is over."""
        with trio.move_on_after(max(0.0, self._questions.next_due() - self._now())):
            await self._news.wait()

    def _ask(self, asked: Iterable[ProofAsked]) -> None:
        for one in asked:
            self._confirm(one.journal, one.number)

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def confirmed(self, effect: Confirmed) -> None:
        """The journal has answered a question of ours."""
        self._ask(self._questions.confirmed(effect.journal, effect.number, self._now()))
        self._tell()

    def lost(self, journal: JournalId) -> None:
        """It is not led here any more."""
        self._questions.lost(journal)
        self._tell()
