"""New events at the leader of a journal: gathered into entries, and answered once they are durable.

Owns: the events that wait for an entry, and those whose entry waits to be committed. Never knows: who delivers them, or
how an answer travels.

While `batches_at_once` entries wait for their disks, what comes gathers and goes with the next one: a busy journal has
large entries, an idle one answers at once. Before an entry's events stand the groups that the journal lacks, so that a
group gets every event whose publisher knew of it.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gossipreg.errors import BadParams, OutcomeUnknown
from gossipreg.events.cloud_event import event_head
from gossipreg.events.effects import EventEffect, ProposeEntry, SendEventMessage
from gossipreg.events.entries import MAX_EVENTS, EventEntryKind, NewEvent, NewGroup, encode_publish
from gossipreg.events.facts import EventPublished, PublishVerdict
from gossipreg.events.machine import EventsMachine
from gossipreg.events.membership import EventMembership, KnownGroup
from gossipreg.events.messages import ForwardPublish, PublishAnswers
from gossipreg.events.patterns import check_type
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.effects import ProposalOutcome, Settled, code_for_members
from gossipreg.journal.model import JournalId
from gossipreg.model import NodeId

MAX_WAITING = 16_384
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Events that wait for an entry; more are refused as `busy`."""

MAX_FORGOTTEN = 4_096
"""Groups that were forgotten; one beyond may be taken up again once more."""

_COUNTED = {
    PublishVerdict.NEW: "published", PublishVerdict.DUPLICATE: "duplicates", PublishVerdict.CONFLICT: "conflicts",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    node: NodeId
    message: ForwardPublish
    type: tuple[str, ...]


class PublishQueue:
    def __init__(
        self,
        tuning: EventsTuning,
        journal: JournalId,
        machine: EventsMachine,
        membership: EventMembership,
        *,
        next_ticket: Callable[[], int],
        has_takeover: Callable[[], bool],
        counts: Counter[str],
    ) -> None:
        """`has_takeover()`: whether another member goes on if this one is lost (three voters). What becomes of events
        is added to `counts`."""
        self._counts = counts
        self._tuning = tuning
        self._journal = journal
        self._machine = machine
        self._membership = membership
        self._next_ticket = next_ticket
        self._has_takeover = has_takeover
        self._waiting: deque[_Asked] = deque()
        self._waiting_bytes = 0
        self._proposed: dict[int, list[_Asked]] = {}
        """By ticket: the events of each entry that waits to be committed."""
        self._facts: dict[int, Sequence[object]] = {}
        """By index: what an entry that was applied has changed, until it is settled, which follows at once."""
        self._forgotten: dict[str, None] = {}
        """Groups that the journal has forgotten while it was led here, and has not taken up again."""
        self.paused = False

    def group_forgotten(self, name: str) -> None:
        """The journal has forgotten this group. Rows of dead members, and of members whose journals have not forgotten
        it, name it still: it is not taken up again by their word alone, or it would never go."""
        self._forgotten[name] = None
        if len(self._forgotten) > MAX_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]

    def group_added(self, name: str) -> None:
        self._forgotten.pop(name, None)

    def put(self, node: NodeId, message: ForwardPublish) -> list[EventEffect]:
        """A member publishes; PublishAnswers follows."""
        size = len(message.event)
        try:
            asked = _Asked(node, message, check_type(event_head(message.event).type))
        except (ValueError, BadParams) as error:
            return [self._refusal(_Asked(node, message, ()), "bad_params", str(error))]
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + size > MAX_WAITING_BYTES:
            text = f"{len(self._waiting)} events wait to be written: publish again in a moment"
            return [self._refusal(asked, "busy", text)]
        self._waiting.append(asked)
        self._waiting_bytes += size
        return self.pump()

    # -- entries -----------------------------------------------------------------------------------------------------

    def pump(self) -> list[EventEffect]:
        """Propose the next entries, as far as they may be proposed now."""
        effects: list[EventEffect] = []
        while self._waiting and len(self._proposed) < self._tuning.batches_at_once and not self.paused:
            batch = self._take()
            ticket = self._next_ticket()
            self._proposed[ticket] = batch
            events = tuple(NewEvent(asked.message.event, asked.message.keep_ms) for asked in batch)
            data = encode_publish(self._missing_groups(batch), events)
            effects.append(ProposeEntry(self._journal, EventEntryKind.PUBLISH, data, ticket, ends=False))
        return effects

    def _take(self) -> list[_Asked]:
        """The events of the next entry, in the order in which they came."""
        batch: list[_Asked] = []
        size = 0
        while self._waiting and len(batch) < MAX_EVENTS:
            size += len(self._waiting[0].message.event)
            if batch and size > self._tuning.batch_bytes:
                break
            batch.append(self._waiting.popleft())
            self._waiting_bytes -= len(batch[-1].message.event)
        return batch

    def _missing_groups(self, batch: Iterable[_Asked]) -> tuple[NewGroup, ...]:
        """The groups, and patterns of groups, that these events go to and the journal lacks."""
        missing: dict[str, dict[str, None]] = {}
        past: set[str] = set()
        for groups in self._known_groups(batch):
            for known in groups:
                if known.name in self._forgotten and not self._is_wanted(known):
                    continue
                group = self._machine.groups.get(known.name)
                has = group.patterns if group is not None else ()
                lacks = [pattern for pattern in known.patterns if pattern not in has]
                if lacks:
                    missing.setdefault(known.name, {}).update(dict.fromkeys(lacks))
                if known.past:
                    past.add(known.name)
        return tuple(NewGroup(name, tuple(patterns), name in past) for name, patterns in missing.items())

    def _known_groups(self, batch: Iterable[_Asked]) -> Iterable[tuple[KnownGroup, ...]]:
        """What is known here of the groups for these events, and what their publishers knew, each once."""
        batch = list(batch)
        here = [tuple(self._membership.groups_for(type)) for type in dict.fromkeys(asked.type for asked in batch)]
        return dict.fromkeys((*here, *(asked.message.groups for asked in batch)))

    def _is_wanted(self, group: KnownGroup) -> bool:
        """Whether a group that was forgotten is in use after all."""
        return group.declared or self._membership.has_subscriber(group.name)

    # -- answers -----------------------------------------------------------------------------------------------------

    def applied(self, entry_index: int, facts: Sequence[object]) -> None:
        """An entry of ours was applied. One of groups alone has no events, and nobody waits for it here."""
        if any(isinstance(fact, EventPublished) for fact in facts):
            self._facts[entry_index] = facts

    def settled(self, settled: Settled) -> list[EventEffect]:
        """What became of an entry; nothing if it is not ours."""
        batch = self._proposed.pop(settled.ticket, None)
        if batch is None:
            return []
        facts = [fact for fact in self._facts.pop(settled.index, ()) if isinstance(fact, EventPublished)]
        if settled.outcome is not ProposalOutcome.COMMITTED or len(facts) != len(batch):
            return [self._refusal(asked, OutcomeUnknown.code, "the leader changed meanwhile") for asked in batch]
        effects: list[EventEffect] = [
            self._answer(asked, fact, settled.copies) for asked, fact in zip(batch, facts, strict=True)
        ]
        return effects + self.pump()

    def refused(self, ticket: int, code: str, text: str) -> list[EventEffect]:
        """An entry was not accepted: nothing changed. Nothing if it is not ours."""
        batch = self._proposed.pop(ticket, None)
        if batch is None:
            return []
        return [*(self._refusal(asked, code_for_members(code), text) for asked in batch), *self.pump()]

    def owns(self, ticket: int) -> bool:
        return ticket in self._proposed

    def end(self, text: str) -> list[EventEffect]:
        """We lead no more. What has no entry yet was not published."""
        effects: list[EventEffect] = [self._refusal(asked, "unavailable", text) for asked in self._waiting]
        for batch in self._proposed.values():
            effects += [self._refusal(asked, OutcomeUnknown.code, text) for asked in batch]
        self._waiting.clear()
        self._proposed.clear()
        self._waiting_bytes = 0
        return effects

    def _answer(self, asked: _Asked, fact: EventPublished, copies: int) -> SendEventMessage:
        self._counts[_COUNTED[fact.verdict]] += 1
        if fact.verdict is PublishVerdict.CONFLICT:
            text = "another event with this id and source was published: give the new one an id of its own"
            return self._refusal(asked, "conflict", text)
        duplicate = fact.verdict is PublishVerdict.DUPLICATE
        return self._send(asked, "", "", fact.index, copies, duplicate, fact.groups)

    def _refusal(self, asked: _Asked, code: str, text: str) -> SendEventMessage:
        return self._send(asked, code, text, 0, 0, False, 0)

    def _send(
        self, asked: _Asked, code: str, text: str, index: int, copies: int, duplicate: bool, groups: int
    ) -> SendEventMessage:
        answer = PublishAnswers(
            journal=self._journal, number=asked.message.number, code=code, text=text, index=index, copies=copies,
            takeover=self._has_takeover(), duplicate=duplicate, groups=groups,
        )  # fmt: skip
        return SendEventMessage(asked.node, answer)
