"""What is shown of a leader waits for a majority of the voters, and not for long."""

from collections.abc import Collection

import pytest
import trio
from trio.testing import MockClock

from gossipreg.daemon.journals.led_proofs import LedProofs
from gossipreg.errors import Busy
from gossipreg.journal.effects import Confirmed
from gossipreg.journal.model import JournalId
from gossipreg.journal.proven_questions import AGAIN_S, MAX_QUESTIONS, PROVE_S
from gossipreg.journal.request_numbers import FIRST_OF_SHOWN

ONE, OTHER = JournalId(b"1" * 16), JournalId(b"2" * 16)


class Voters:
    """Those of two journals; they confirm the ones in `confirms` after a moment."""

    def __init__(self, nursery: trio.Nursery, *confirms: JournalId) -> None:
        self.confirms = set(confirms)
        self.asked: list[tuple[JournalId, float]] = []
        self.proofs = LedProofs(self._confirm, trio.current_time)
        self._nursery = nursery

    def _confirm(self, journal: JournalId, number: int) -> None:
        assert number >= FIRST_OF_SHOWN
        self.asked.append((journal, trio.current_time()))
        self._nursery.start_soon(self._answer, journal, number)

    async def _answer(self, journal: JournalId, number: int) -> None:
        await trio.sleep(0.1)
        if journal in self.confirms:
            self.proofs.confirmed(Confirmed(journal, number))

    async def take(self, into: list[Collection[JournalId]], *journals: JournalId) -> None:
        into.append(await self.proofs.proven(journals))


async def test_a_confirmed_journal_is_proven_at_once(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery, ONE, OTHER)
        began = trio.current_time()
        assert set(await voters.proofs.proven([ONE, OTHER])) == {ONE, OTHER}
        assert trio.current_time() - began == pytest.approx(0.1)


async def test_a_silent_majority_proves_nothing(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery, OTHER)
        began = trio.current_time()
        assert set(await voters.proofs.proven([ONE, OTHER])) == {OTHER}
        assert trio.current_time() - began == pytest.approx(PROVE_S)
        asked = [at - began for journal, at in voters.asked if journal == ONE]
        assert asked == pytest.approx([0.0, AGAIN_S, 2 * AGAIN_S])


async def test_a_proof_that_comes_late_still_counts(autojump_clock: MockClock) -> None:
    """The first question was lost with its stream."""
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery)
        nursery.start_soon(_confirms_after, voters, 0.3)
        began = trio.current_time()
        assert set(await voters.proofs.proven([ONE])) == {ONE}
        assert trio.current_time() - began == pytest.approx(AGAIN_S + 0.1)


async def _confirms_after(voters: Voters, seconds: float) -> None:
    await trio.sleep(seconds)
    voters.confirms.add(ONE)


async def test_a_journal_that_is_lost_is_not_waited_for(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery)
        found: list[Collection[JournalId]] = []
        nursery.start_soon(voters.take, found, ONE)
        await trio.sleep(0.2)
        voters.proofs.lost(ONE)
        await trio.sleep(0.001)
        assert found == [()]


async def test_nothing_led_needs_no_proof(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery)
        assert set(await voters.proofs.proven([])) == set()
        assert voters.asked == []


async def test_many_askers_each_get_their_answer(autojump_clock: MockClock) -> None:
    del autojump_clock
    found: list[Collection[JournalId]] = []
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery, ONE)
        for number in range(50):
            nursery.start_soon(voters.take, found, ONE, *([OTHER] if number % 2 else []))
    assert [set(one) for one in found] == [{ONE}] * 50


async def test_too_many_askers_are_told_that_it_is_busy(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery)
        found: list[Collection[JournalId]] = []
        for _ in range(MAX_QUESTIONS):
            nursery.start_soon(voters.take, found, ONE)
        await trio.sleep(0.01)
        with pytest.raises(Busy, match="ask again"):
            await voters.proofs.proven([ONE])
        await trio.sleep(PROVE_S)
        assert len(found) == MAX_QUESTIONS
        voters.confirms.add(ONE)
        assert set(await voters.proofs.proven([ONE])) == {ONE}


async def test_an_asker_that_goes_away_leaves_nothing(autojump_clock: MockClock) -> None:
    del autojump_clock
    async with trio.open_nursery() as nursery:
        voters = Voters(nursery)
        for _ in range(MAX_QUESTIONS + 1):
            with trio.move_on_after(0.001):
                await voters.proofs.proven([ONE])
