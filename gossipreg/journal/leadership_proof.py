"""Proof that this sidecar leads a journal, for what was due before the proof was asked for.

Owns: until when leadership is proven, and which proofs are under way. Never knows: what a proof is for.

A commitment of an entry of ours proves it for the time when the entry was proposed; for what needs no entry the journal
asks a majority (`confirmations.py`). One proof serves all that were due before it was asked for, and it is asked for
again where no answer comes: questions are lost with their streams.
"""

from collections.abc import Iterator
from math import inf

MAX_ASKED = 16
"""Questions that are remembered; the answer to an older one counts no more."""


class LeadershipProof:
    def __init__(self, numbers: Iterator[int], *, again_s: float) -> None:
        """`again_s`: until a proof that has not come is asked for once more."""
        self._numbers = numbers
        self._again_s = again_s
        self._asked: dict[int, float] = {}
        """When each question was asked."""
        self._wanted_at = -inf
        """The latest time for which a proof is wanted."""
        self._proven_at = -inf
        """We led at this time, or later."""

    def covers(self, due: float) -> bool:
        """Whether we have led since this time."""
        return due <= self._proven_at

    def proven(self, at: float) -> None:
        """An entry that was proposed at this time is committed."""
        self._proven_at = max(self._proven_at, at)

    def confirmed(self, number: int) -> bool:
        """The journal has answered. False: no question of ours that counts."""
        asked_at = self._asked.get(number)
        if asked_at is None:
            return False
        self.proven(asked_at)
        self._asked = {number: at for number, at in self._asked.items() if at > asked_at}
        return True

    def want_none(self) -> None:
        """What waited may have ended meanwhile: nothing is wanted until `want` says so."""
        self._wanted_at = -inf

    def want(self, due: float) -> None:
        """Something is due since this time, and waits for a proof."""
        self._wanted_at = max(self._wanted_at, due)

    def ask(self, now: float) -> list[int]:
        """The number to ask the journal with (`Journals.confirm`), if something waits and no question is under way."""
        if self.next_due() > now:
            return []
        number = next(self._numbers)
        self._asked[number] = now
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        return [number]

    def next_due(self) -> float:
        """When to ask next; infinity where nothing waits."""
        if self.covers(self._wanted_at):
            return inf
        return max(self._asked.values(), default=-inf) + self._again_s
