"""Proof of leadership without a write: a majority says that it has promised nothing above our ballot.

Owns: the rounds under way. Never knows: what the proof is for. A round begins after it was asked for, so its proof
holds for a moment after that; a leader that was deposed without knowing gets none (as Raft's read index, 6.4).

A question, or its answer, is lost with its stream. Whoever waits asks once more after a while: an answer to a later
round counts for all that began before it.
"""

from dataclasses import dataclass

from gossipreg.journal.effects import Confirmed
from gossipreg.journal.messages import ConfirmLeader, LeaderConfirmed
from gossipreg.journal.model import Ballot, ReplicaId
from gossipreg.journal.replica_data import ReplicaData

MAX_ROUNDS = 1_024
"""Under way at once. One more takes the place of the oldest, whose question was lost with its stream: else a leader
whose streams were cut for long could never ask again."""


@dataclass(frozen=True, slots=True)
class _Round:
    number: int
    """What `Confirmed` says."""
    confirmed: set[ReplicaId]


class Confirmations:
    def __init__(self, data: ReplicaData, ballot: Ballot) -> None:
        self._data = data
        self._ballot = ballot
        self._rounds: dict[int, _Round] = {}
        """By the number that voters are asked with, which rises."""
        self._last = 0

    def begin(self, number: int) -> None:
        """Ask all voters; `Confirmed` with this number follows when a majority has answered."""
        data = self._data
        if len(self._rounds) >= MAX_ROUNDS:
            del self._rounds[next(iter(self._rounds))]
        self._last += 1
        self._rounds[self._last] = _Round(number, {data.replica})
        for place in data.other_voters():
            data.send(
                place.node,
                ConfirmLeader(
                    journal=data.journal, sender=data.replica, receiver=place.replica, ballot=self._ballot,
                    number=self._last,
                ),
            )  # fmt: skip
        self._count(self._last)

    def on_confirmed(self, answer: LeaderConfirmed) -> None:
        if not answer.promised == answer.ballot == self._ballot:
            return
        for asked in [asked for asked in self._rounds if asked <= answer.number]:
            self._rounds[asked].confirmed.add(answer.sender)
            self._count(asked)

    def _count(self, asked: int) -> None:
        data, round = self._data, self._rounds[asked]
        if data.configuration.has_majority(round.confirmed):
            del self._rounds[asked]
            data.context.effects.append(Confirmed(data.journal, round.number))

    def clear(self) -> None:
        self._rounds.clear()
