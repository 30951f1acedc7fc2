"""A voter's answers to candidates: pre-votes and votes.

Owns: the questions to the leader that pre-votes wait for. Never knows: whether this replica stands itself.

A pre-vote is granted if the candidate's log is at least as new as ours, and if we are leaderless too, or our own leader
does not answer over its stream. So a view of the members that is wrong at one voter neither starts nor blocks an
election.
"""

from dataclasses import dataclass

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.messages import AskLeader, LeaderAnswer, PreVote, PreVoteAnswer, RequestVote, Vote
from gossipreg.journal.model import JournalId, ReplicaId
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import NodeId

MAX_WAITING = 16
"""Pre-votes that wait for an answer of the leader: more candidates than a configuration has."""


@dataclass(frozen=True, slots=True)
class QuestionTimer:
    journal: JournalId
    number: int


class Voting:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._waiting: dict[NodeId, PreVote] = {}
        """Pre-votes that wait for what our leader says, by candidate."""
        self._number = 0
        self._asked: NodeId | None = None
        """The leader whom the last question was for."""

    # -- pre-votes ---------------------------------------------------------------------------------------------------

    def on_pre_vote(self, node: NodeId, question: PreVote, *, leads: bool) -> bool:
        """`leads`: we lead this journal ourselves. Returns whether the candidate's log is older than ours."""
        data = self._data
        if leads or question.position < data.log.last:
            self._answer(node, question, granted=False)
            return question.position < data.log.last
        leader = leader_of(data)
        if leader is None or leader.node == node:
            self._answer(node, question, granted=True)
        elif node in self._waiting or len(self._waiting) < MAX_WAITING:
            self._ask(leader.node, leader.ballot.replica, node, question)
        return False

    def _ask(self, leader: NodeId, replica: ReplicaId, node: NodeId, question: PreVote) -> None:
        """Ask our leader whether it leads; the pre-vote waits for that."""
        data = self._data
        asked, self._waiting[node] = bool(self._waiting), question
        if asked:
            return
        self._number += 1
        self._asked = leader
        place = data.place_of(replica)
        if place is not None:
            data.send(
                leader,
                AskLeader(journal=data.journal, sender=data.replica, receiver=place.replica, number=self._number),
            )
        timer = QuestionTimer(data.journal, self._number)
        data.context.timers.set(timer, data.context.now + data.context.tuning.question_s)

    def on_ask_leader(self, node: NodeId, question: AskLeader, *, leads: bool) -> None:
        data = self._data
        data.send(
            node,
            LeaderAnswer(
                journal=data.journal, sender=data.replica, receiver=question.sender, number=question.number,
                leads=leads,
            ),
        )  # fmt: skip

    def on_leader_answer(self, answer: LeaderAnswer) -> None:
        if self._waiting and answer.number == self._number:
            self._decide(granted=not answer.leads)

    def on_refused(self, node: NodeId) -> None:
        """Nobody listens at the port of this member."""
        if self._waiting and node == self._asked:
            self._decide(granted=True)

    def on_question_over(self, number: int) -> None:
        """Our leader did not answer."""
        if number == self._number:
            self._decide(granted=True)

    def _decide(self, *, granted: bool) -> None:
        data = self._data
        data.context.timers.cancel(QuestionTimer(data.journal, self._number))
        waiting, self._waiting = self._waiting, {}
        self._number += 1  # a late answer is to no question
        for node, question in waiting.items():
            self._answer(node, question, granted=granted and question.position >= data.log.last)

    def _answer(self, node: NodeId, question: PreVote, *, granted: bool) -> None:
        data = self._data
        data.send(
            node,
            PreVoteAnswer(
                journal=data.journal, sender=data.replica, receiver=question.sender, attempt=question.attempt,
                granted=granted, promised=data.promised,
            ),
        )  # fmt: skip

    # -- votes -------------------------------------------------------------------------------------------------------

    def may_promise(self, request: RequestVote) -> bool:
        """Whether to promise this ballot: nothing higher was promised, and the candidate's log is at least as new as
        ours, so it has every entry that is committed (Raft 5.4.1)."""
        data = self._data
        if request.ballot.replica != request.sender:
            return False
        return request.ballot >= data.promised and request.position >= data.log.last

    def promise(self, node: NodeId, request: RequestVote) -> None:
        """Promise, and say so when it is on the disk."""
        data = self._data
        data.promise(request.ballot)
        data.hear(request.ballot, node)
        data.send_when_written(node, self._vote(request, granted=True))

    def refuse(self, node: NodeId, request: RequestVote) -> None:
        self._data.send(node, self._vote(request, granted=False))

    def _vote(self, request: RequestVote, *, granted: bool) -> Vote:
        data = self._data
        return Vote(
            journal=data.journal, sender=data.replica, receiver=request.sender, ballot=request.ballot,
            granted=granted, promised=data.promised,
        )  # fmt: skip
