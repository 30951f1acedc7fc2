"""Proof of leadership without a write: a majority says that it has promised nothing above our ballot.

Owns: the rounds under way, and whether they are stuck. Never knows: what the proof is for. A round begins after it was
asked for, so its proof holds for a moment after that; a leader that was deposed without knowing gets none (as Raft's
read index, 6.4).

A question, or its answer, is lost with its stream. Whoever waits asks once more after a while: an answer to a later
round counts for all that began before it. A leader that is still asked and has had no answer for `stuck_s` is cut off:
it gives up its claim, as one that cannot commit, though it may have nothing to commit.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from gossipreg.journal.effects import Confirmed
from gossipreg.journal.messages import ConfirmLeader, LeaderConfirmed
from gossipreg.journal.model import Ballot, ReplicaId
from gossipreg.journal.replica_data import ReplicaData

MAX_ROUNDS = 1_024
"""Under way at once. One more takes the place of the oldest, whose question was lost with its stream: else a leader
whose streams were cut for long could never ask again."""
STILL_ASKED_S = 2.0
"""Whoever waits for a proof asks again within this time."""


@dataclass(frozen=True, slots=True)
class _Round:
    number: int
    """What `Confirmed` says."""
    since: float
    confirmed: set[ReplicaId]


class Confirmations:
    def __init__(self, data: ReplicaData, ballot: Ballot, stuck_timer: Hashable) -> None:
        """`stuck_timer` is due when the oldest round is not confirmed in time; `stuck` says what it means."""
        self._data = data
        self._ballot = ballot
        self._stuck_timer = stuck_timer
        self._rounds: dict[int, _Round] = {}
        """By the number that voters are asked with, which rises."""
        self._last = 0
        self._asked_at = 0.0

    def begin(self, number: int) -> None:
        """Ask all voters; `Confirmed` with this number follows when a majority has answered."""
        data = self._data
        if len(self._rounds) >= MAX_ROUNDS:
            del self._rounds[next(iter(self._rounds))]
        self._last += 1
        self._asked_at = data.context.now
        self._rounds[self._last] = _Round(number, data.context.now, {data.replica})
        for place in data.other_voters():
            data.send(
                place.node,
                ConfirmLeader(
                    journal=data.journal, sender=data.replica, receiver=place.replica, ballot=self._ballot,
                    number=self._last,
                ),
            )  # fmt: skip
        if not data.other_voters():  # those that the earlier rounds asked may have been replaced, too
            for asked in [*self._rounds]:
                self._count(asked)
        if len(self._rounds) <= 1:
            self._arm()

    def on_confirmed(self, answer: LeaderConfirmed) -> None:
        if not answer.promised == answer.ballot == self._ballot:
            return
        for asked in [asked for asked in self._rounds if asked <= answer.number]:
            self._rounds[asked].confirmed.add(answer.sender)
            self._count(asked)
        self._arm()

    def _arm(self) -> None:
        """Set the timer for the oldest round."""
        context, oldest = self._data.context, next(iter(self._rounds.values()), None)
        if oldest is None:
            context.timers.cancel(self._stuck_timer)
        else:
            context.timers.set(self._stuck_timer, oldest.since + context.tuning.stuck_s)

    def stuck(self) -> bool:
        """Whether somebody waits for a proof, now that the timer is due. Else the rounds are forgotten: their questions
        may be lost with a stream that works again."""
        if self._data.context.now - self._asked_at <= STILL_ASKED_S:
            return True
        self._rounds.clear()
        return False

    def _count(self, asked: int) -> None:
        data, round = self._data, self._rounds[asked]
        if data.configuration.has_majority(round.confirmed):
            del self._rounds[asked]
            data.context.effects.append(Confirmed(data.journal, round.number))

    def clear(self) -> None:
        self._rounds.clear()
        self._data.context.timers.cancel(self._stuck_timer)
