"""Questions to members: to all that lead a journal or handle events, or to some.

Owns: who was asked and has not answered. Never knows: what is asked (`events/questions.py`), how answers are joined.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import trio
from msgpack import packb

from gossipreg.core.event_membership import EventRegistry
from gossipreg.daemon.events.ended_journals import ENDED, MAX_ASKED, ended_params
from gossipreg.daemon.events.member_answers import (
    MemberAnswer,
    member_answer_untrusted,
    unproven_texts,
    unspoken,
)
from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.daemon.journals.runtime import JournalRuntime
from gossipreg.errors import Unavailable
from gossipreg.events.effects import CallAnswered, EventEffect
from gossipreg.events.events import Events
from gossipreg.events.machine import EventsMachine
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId

HOLDERS_NAMED = 3
"""A journal has more copies only while one is replaced."""
ANSWER_S = 3.0
"""How long members have to answer a question."""


class AskedMembers:
    def __init__(
        self, events: Events, registry: EventRegistry, *, name: Callable[[NodeId], str], now: Callable[[], float],
        carry_out: Callable[[Iterable[EventEffect]], None], runtime: JournalRuntime, source: str,
    ) -> None:  # fmt: skip
        """`source`: the name of this sidecar."""
        self._events = events
        self._registry = registry
        self._name = name
        self._now = now
        self._carry_out = carry_out
        self._runtime = runtime
        self._source = source
        self._waits: dict[int, trio.Event] = {}
        self._answers: dict[int, CallAnswered] = {}

    async def ask(
        self, method: str, params: Mapping[str, Any], *, handlers: bool, journals: bool
    ) -> list[MemberAnswer]:
        """Ask all that lead a journal, or with `handlers` also all that subscribe or remember groups. Those that
        do not answer in time are `unavailable`, and so, with `journals`, is each journal that nobody can speak for."""
        members = self._registry.participants() if handlers else self._registry.leaders()
        if not journals:
            return await self.ask_these(members, method, params)
        ended: set[JournalId] = set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_ended, self._unled_journals()[:MAX_ASKED], ended)
            answers = await self.ask_these(members, method, params)
        failed = {node for node, answer in zip(members, answers, strict=True) if answer.code}
        unled = [journal for journal in self._unled_journals() if journal not in ended]
        unproven = unproven_texts(answers, self._leaders(params.get("journal"), failed), without=unled)
        silent = [*self._unspoken(unled), *unproven]
        return answers + [MemberAnswer(about, Unavailable.code, about) for about in silent]

    def _leaders(self, only: str | None, failed: Collection[NodeId]) -> dict[JournalId, str]:
        """The names of the members that lead the journals by now, without those that did not answer. One that led none
        of these when the question came was not asked, or had nothing to say about them."""
        asked = set(self._registry.claimed()).difference(JournalsOfRuntime(self._runtime, EventsMachine).ended())
        leaders = {journal: self._registry.leader(journal) for journal in asked if only in (None, journal.hex())}
        return {
            journal: self._name(leader) for journal, leader in leaders.items()
            if leader is not None and leader not in failed
        }  # fmt: skip

    def _unled_journals(self) -> list[JournalId]:
        journals = JournalsOfRuntime(self._runtime, EventsMachine)
        return sorted(set(self._registry.unled(journals.kept(), self._now())).difference(journals.ended()))

    async def _ask_ended(self, journals: Sequence[JournalId], ended: set[JournalId]) -> None:
        """Add those of these journals that have ended, as a member says that remembers it. One that does not answer
        lacks nothing but that: the journal is named."""
        keepers = {node for journal in journals for node in self._registry.may_remember(journal)}
        for answer in await self.ask_these(sorted(keepers), ENDED, ended_params(journals)):
            if not answer.code:
                ended.update(map(JournalId, answer.result["ended"]))

    def _unspoken(self, unled: Iterable[JournalId]) -> list[str]:
        """What nobody speaks for when all leaders are asked."""
        closed = JournalsOfRuntime(self._runtime, EventsMachine).closed()
        named = [(journal, self.whereabouts(journal)) for journal in unled]
        return unspoken(named, self._source if closed else "", synced=self._registry.knows_all)

    def whereabouts(self, journal: JournalId) -> str:
        """Who led a journal last, or who has or lost a copy, in a few words; empty: that is not known. Where only the
        row of a dead member speaks of it, what to do."""
        last = self._registry.last_leader(journal)
        holders = sorted(map(self._name, self._registry.leaderless_at(journal)))
        if last is None:
            return f"see `gossipreg info` at {', '.join(holders[:HOLDERS_NAMED])}" if holders else ""
        name = self._name(last)
        if holders or not self._registry.is_dead(last):
            return f"{name} did last"
        return f"{name} did last and is dead: start it, or `gossipreg force-leave {name}` if it will not return"

    async def ask_these(self, members: Iterable[NodeId], method: str, params: Mapping[str, Any]) -> list[MemberAnswer]:
        """What these members say, in their order. Those that do not answer in time are `unavailable`."""
        packed = packb(dict(params))
        asked: dict[int, NodeId] = {}
        for node in members:
            number, effects = self._events.ask(node, method, packed, self._now())
            asked[number] = node
            self._waits[number] = trio.Event()
            self._carry_out(effects)
        try:
            with trio.move_on_after(ANSWER_S):
                for number in asked:
                    await self._waits[number].wait()
            return [self._answer_of(number, node, method) for number, node in asked.items()]
        finally:
            for number in asked:
                self._events.ask_no_more(number)
                del self._waits[number]
                self._answers.pop(number, None)

    def answered(self, answer: CallAnswered) -> None:
        """Nothing where nobody waits for it any more."""
        wait = self._waits.get(answer.number)
        if wait is not None:
            self._answers[answer.number] = answer
            wait.set()

    def _answer_of(self, number: int, node: NodeId, method: str) -> MemberAnswer:
        name, answer = self._name(node), self._answers.get(number)
        if answer is None:
            return MemberAnswer(name, Unavailable.code, f"no answer within {ANSWER_S:g} s")
        return member_answer_untrusted(name, method, answer.code, answer.result)
