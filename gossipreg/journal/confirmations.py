"""Proof of leadership without a write: a majority says that it has promised nothing above our ballot.

Owns: the rounds under way. Never knows: what the proof is for. A round begins after it was asked for, so its proof
holds for a moment after that; a leader that was deposed without knowing gets none (as Raft's read index, 6.4).
"""

from gossipreg.journal.effects import Confirmed
from gossipreg.journal.messages import ConfirmLeader, LeaderConfirmed
from gossipreg.journal.model import Ballot, ReplicaId
from gossipreg.journal.replica_data import ReplicaData

MAX_ROUNDS = 1_024
"""Under way at once. Those that ask meanwhile wait for the next one."""


class Confirmations:
    def __init__(self, data: ReplicaData, ballot: Ballot) -> None:
        self._data = data
        self._ballot = ballot
        self._rounds: dict[int, set[ReplicaId]] = {}

    def begin(self, number: int) -> bool:
        """Ask all voters; `Confirmed` with this number follows when a majority has answered. False: too many rounds are
        under way."""
        data = self._data
        if len(self._rounds) >= MAX_ROUNDS:
            return False
        self._rounds[number] = {data.replica}
        for place in data.other_voters():
            data.send(
                place.node,
                ConfirmLeader(
                    journal=data.journal, sender=data.replica, receiver=place.replica, ballot=self._ballot,
                    number=number,
                ),
            )  # fmt: skip
        self._count(number)
        return True

    def on_confirmed(self, answer: LeaderConfirmed) -> None:
        confirmed = self._rounds.get(answer.number)
        if confirmed is not None and answer.promised == answer.ballot == self._ballot:
            confirmed.add(answer.sender)
            self._count(answer.number)

    def _count(self, number: int) -> None:
        data = self._data
        if data.configuration.has_majority(self._rounds[number]):
            del self._rounds[number]
            data.context.effects.append(Confirmed(data.journal, number))

    def clear(self) -> None:
        self._rounds.clear()
