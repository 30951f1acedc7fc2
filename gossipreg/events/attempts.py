"""Attempts to deliver an event to a group: how many there were, and when the next one is due.

Owns: the counts while this sidecar leads, which are those of the state machine and what is not committed yet; the wait
after an attempt. Never knows: members, keys, entries.

    failed   an attempt; the next one after a wait that doubles, or after what the handler asks for
    died     an attempt, and a death; the first death is followed by the next attempt at once
    dead     after `max_attempts` attempts or `max_deaths` deaths, whichever comes first
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf

from gossipreg.events.dispatched import NotedFailures
from gossipreg.events.tuning import EventsTuning

LONGEST_ASKED_S = 86400.0
"""A handler that asks for more (Retry-After) gets this: an event does not outlive `max_age` by much."""

LetterId = tuple[int, int]
"""(group number, event index)."""


@dataclass(slots=True)
class _Counted:
    attempts: int = 0
    deaths: int = 0


class AttemptCounts:
    def __init__(self, tuning: EventsTuning, noted: Callable[[LetterId], NotedFailures | None]) -> None:
        """`noted` gives what the state machine has counted."""
        self._tuning = tuning
        self._noted = noted
        self._counted: dict[LetterId, _Counted] = {}
        """Of events with an attempt in this time of leading; gone with `forget`."""

    def attempt(self, letter: LetterId) -> int:
        """The number of the next attempt, from 1 on."""
        known = self._counted.get(letter) or self._noted(letter)
        return 1 if known is None else known.attempts + 1

    def note(self, letter: LetterId, died: bool, after_ms: int, max_attempts: int) -> float | None:
        """An attempt failed. Returns seconds until the next one; None: it is to be set aside as a dead letter."""
        counted = self._counted.get(letter)
        if counted is None:
            noted = self._noted(letter)
            counted = _Counted() if noted is None else _Counted(noted.attempts, noted.deaths)
            self._counted[letter] = counted
        counted.attempts += 1
        counted.deaths += died
        if counted.attempts >= max_attempts or counted.deaths >= self._tuning.max_deaths:
            return None
        if after_ms > 0:
            return min(after_ms / 1000, LONGEST_ASKED_S)
        if died and counted.deaths == 1:
            return 0.0
        return self._backoff_s(counted.attempts)

    def forget(self, letter: LetterId) -> None:
        self._counted.pop(letter, None)

    def _backoff_s(self, attempts: int) -> float:
        retry = self._tuning.redelivery
        doublings = min(attempts - 1, 64)  # beyond that every wait is the longest
        return min(retry.first_s * retry.growth**doublings, retry.longest_s)


class Redeliveries:
    """When what waits for its next attempt is due."""

    def __init__(self) -> None:
        self._due: dict[LetterId, float] = {}
        self._heap: list[tuple[float, LetterId]] = []

    def __len__(self) -> int:
        return len(self._due)

    def wait(self, letter: LetterId, due: float) -> None:
        self._due[letter] = due
        heappush(self._heap, (due, letter))
        if len(self._heap) > 2 * len(self._due) + 16:
            self._heap = [(due, letter) for letter, due in self._due.items()]
            heapify(self._heap)

    def cancel(self, letter: LetterId) -> None:
        self._due.pop(letter, None)

    def next_due(self) -> float:
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else inf

    def take_due(self, now: float) -> list[LetterId]:
        letters = []
        while self.next_due() <= now:
            _, letter = heappop(self._heap)
            del self._due[letter]
            letters.append(letter)
        return letters
