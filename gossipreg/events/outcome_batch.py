"""Outcomes of deliveries on their way into the journal: OUTCOMES entries of many.

Owns: what is noted and not committed, and when it is proposed. Never knows: what follows from an outcome.

The first outcome is proposed at once. What comes while an entry is under way goes with the next one: when that one is
committed, after `outcome_delay_s`, or when an entry is full. What was refused is proposed again after a wait, and
before what came later: no outcome is lost while this sidecar leads.
"""

from collections import deque
from collections.abc import Iterator
from math import inf

from gossipreg.events.effects import ProposeEntry
from gossipreg.events.entries import (
    MAX_OUTCOMES,
    MAX_REASON_BYTES,
    DeliveryNote,
    EventEntryKind,
    OutcomeCode,
    encode_outcomes,
)
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.model import JournalId
from gossipreg.retry import Retry

OUTCOMES_BYTES = 128 * 1024
"""Of one entry: half of what an entry may have."""
REFUSED = Retry(first_s=1.0, longest_s=30.0)
"""Waits after a refused entry."""
_NOTE_BYTES = 24
"""A note without its text, at most: two numbers of 9 bytes, a code, the lengths."""


class OutcomeBatch:
    def __init__(self, tuning: EventsTuning, journal: JournalId, tickets: Iterator[int]) -> None:
        self._tuning = tuning
        self._journal = journal
        self._tickets = tickets
        self._waiting: deque[DeliveryNote] = deque()
        self._waiting_bytes = 0
        self._since = inf
        """When the first of those that wait came."""
        self._proposed: dict[int, list[DeliveryNote]] = {}
        self._proposed_count = 0
        self._not_before = -inf
        self._wait_s = 0.0

    def __len__(self) -> int:
        """Outcomes that are not committed."""
        return len(self._waiting) + self._proposed_count

    def add(self, group: int, index: int, code: OutcomeCode, text: str, now: float) -> None:
        if text:
            text = text.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
        self._put(DeliveryNote(group, index, code, text))
        self._since = min(self._since, now)

    def _put(self, note: DeliveryNote) -> None:
        self._waiting.append(note)
        self._waiting_bytes += note_bytes(note)

    def take(self, now: float) -> list[ProposeEntry]:
        """What is to be proposed now."""
        entries = []
        while self.due() <= now:
            entries.append(self._propose())
            self._since = now if self._waiting else inf
        return entries

    def due(self) -> float:
        """When the next entry is to be proposed; infinity if nothing waits for that. In the past: now."""
        if not self._waiting:
            return inf
        full = self._waiting_bytes >= OUTCOMES_BYTES or len(self._waiting) >= MAX_OUTCOMES
        at_once = full or not self._proposed
        return max(self._not_before, -inf if at_once else self._since + self._tuning.outcome_delay_s)

    def _propose(self) -> ProposeEntry:
        notes: list[DeliveryNote] = []
        size = 0
        while self._waiting and len(notes) < MAX_OUTCOMES and size < OUTCOMES_BYTES:
            note = self._waiting.popleft()
            size += note_bytes(note)
            notes.append(note)
        self._waiting_bytes -= size
        ticket = next(self._tickets)
        self._proposed[ticket] = notes
        self._proposed_count += len(notes)
        data = encode_outcomes(tuple(notes))
        return ProposeEntry(self._journal, EventEntryKind.OUTCOMES, data, ticket, ends=True)

    def settled(self, ticket: int, committed: bool) -> bool:
        """Whether it was one of ours. Where the outcome is unknown, another leader goes on from what is committed."""
        notes = self._proposed.pop(ticket, None)
        if notes is None:
            return False
        self._proposed_count -= len(notes)
        if committed:
            self._wait_s = 0.0
        return True

    def refused(self, ticket: int, now: float) -> bool:
        """Whether it was one of ours: it is proposed again later."""
        notes = self._proposed.pop(ticket, None)
        if notes is None:
            return False
        self._proposed_count -= len(notes)
        self._waiting.extendleft(reversed(notes))
        self._waiting_bytes += sum(map(note_bytes, notes))
        self._since = min(self._since, now)
        if now >= self._not_before:
            self._wait_s = REFUSED.after(self._wait_s) if self._wait_s else REFUSED.first_s
            self._not_before = now + self._wait_s
        return True


def note_bytes(note: DeliveryNote) -> int:
    return _NOTE_BYTES + 4 * len(note.text)


assert OUTCOMES_BYTES + _NOTE_BYTES + 4 * MAX_REASON_BYTES <= 192 * 1024, "an entry fits a journal"
