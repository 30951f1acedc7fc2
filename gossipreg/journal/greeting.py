"""What a replica that does not lead says of itself unasked: how far it is, to the leader; and its question, where it
does not vote, whether the journal is still there.

Owns: who was greeted or asked, and when again. Never knows: what the answers change.

    has started, or its disk works again, or its member was taken for dead, or it stands in no configuration
    -> ReplicaHello to the leader -> an append, the state, or ReplicaDismissed
    unanswered -> once more after 1 s, doubling to 30 s, to whoever leads by then

A greeting, or its answer, may be lost with its stream, and nobody else would send it: a leader has no timer for those
that it does not count on. The leader has reached us once an append or a state has come: an idle journal has no timer.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from math import inf

from gossipreg.journal.empty_copy import EmptyCopy
from gossipreg.journal.leaderless import highest_claim, leader_of
from gossipreg.journal.membership import LeaderClaim
from gossipreg.journal.messages import AskLeader, ReplicaHello, ReplicaMessage
from gossipreg.journal.model import NO_BALLOT, Ballot, Configuration, JournalId
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.standing import NO_QUESTION
from gossipreg.model import BootId, NodeId

DOUBT_S = 600.0
"""After this member was taken for dead, the leader may replace it while messages of before still come: so long it is
greeted again when the stream to it closes. Not for ever: a member that many lead closes streams to make room."""


@dataclass(frozen=True, slots=True)
class GreetTimer:
    """What was said to others was not answered."""

    journal: JournalId


class Greeting:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._timer = GreetTimer(data.journal)
        self._reached = False
        self._reached_by = NO_BALLOT
        """The ballot of the leader that has reached us."""
        self._listed_in: Configuration | None = None
        """The last configuration that we were found in when the leader reached us."""
        self._incarnation = data.context.membership.incarnation
        self._doubt_until = -inf
        self._said: frozenset[Hashable] = frozenset()
        """The leader that was greeted, or the processes of voters that were asked, and have not answered."""
        self._answered: set[BootId] = set()
        """The processes of voters that have said that they do not lead, while nobody is known to."""
        self._wait_s = self._drawn_s = 0.0
        self._empty = EmptyCopy(data)

    def reached(self, ballot: Ballot) -> None:
        """The leader with this ballot has reached us, and our answer says how far we are; or we lead. If our log says
        that we are in no configuration any more, or soon in none, we wait to be let go. If it says nothing yet, we wait
        for what follows: the leader may have let us go after this message."""
        data, configuration = self._data, self._data.configuration
        self._reached_by = ballot
        if self._reached and configuration is self._listed_in:
            return
        places = configuration.voters + configuration.learners
        self._reached = any(place.replica == data.replica for place in places)
        if self._reached:
            self._listed_in = configuration
            self._rest()
        else:
            self.wait()

    def wait(self) -> None:
        """The leader is about to reach us, or to let us go: greet it only if it has not soon. A message of the leader
        puts the greeting off. The leader begins anew with a replica that greets it, so a greeting in the middle of a
        state would restart that state, each time before it is complete."""
        context = self._data.context
        if self._timer in context.timers:
            context.timers.set(self._timer, context.now + self._drawn_s)
        else:
            self._said = frozenset(self._unsaid())
            self._set_timer(context.tuning.again.first_s)

    def answered(self, node: NodeId) -> None:
        """This voter has answered a question: ours, or one for a pre-vote, after which ours is still to be asked."""
        process = self._data.context.membership.member(node).boot_id
        if process in self._said:
            self._answered.add(process)
            self.look()

    def again(self) -> None:
        """The leader does not know us."""
        self._reached = False
        self._rest()
        self.look()

    def closed(self, node: NodeId) -> None:
        """The stream to this member closed, perhaps with the word that we are let go. A learner may be let go at any
        time: once there are enough voters."""
        data, leader = self._data, leader_of(self._data)
        doubts = data.context.now < self._doubt_until or not data.votes
        if self._reached and doubts and leader is not None and leader.node == node:
            self._reached = False
            self.wait()

    def look(self) -> None:
        """Members or rows changed, and we do not lead."""
        if self._reached and highest_claim(self._data) > self._reached_by:
            self._reached = False
            self.wait()
        self._look(again=False)
        self._empty.look()

    def on_timer(self) -> None:
        """Nobody has answered: say it once more."""
        self._look(again=True)

    def _look(self, *, again: bool) -> None:
        data, retry = self._data, self._data.context.tuning.again
        unsaid = self._unsaid()
        new = [one for key, one in unsaid.items() if key not in self._said]
        self._said = frozenset(unsaid)
        for node, message in new or (unsaid.values() if again else ()):
            data.send(node, message)
        if new or (again and unsaid):
            self._set_timer(retry.first_s if new else retry.after(self._wait_s))
        elif not unsaid:
            self._rest()

    def _set_timer(self, wait_s: float) -> None:
        context, self._wait_s = self._data.context, wait_s
        self._drawn_s = context.around(wait_s)
        context.timers.set(self._timer, context.now + self._drawn_s)

    def _rest(self) -> None:
        self._said = frozenset()
        self._data.context.timers.cancel(self._timer)

    def _unsaid(self) -> dict[Hashable, tuple[NodeId, ReplicaMessage]]:
        """What is to be said and has not been answered, by the process that it is for."""
        data, membership = self._data, self._data.context.membership
        if data.out is not None or data.ended or membership.synced_at is None:
            return {}
        if self._incarnation != membership.incarnation:
            self._incarnation, self._reached = membership.incarnation, False  # others may have replaced us meanwhile
            self._doubt_until = data.context.now + DOUBT_S
        if self._reached and data.votes:
            return {}
        leader = leader_of(data)
        if leader is None:
            return self._questions()
        self._answered.clear()
        return {} if self._reached else {leader: (leader.node, self._hello(leader))}

    def _hello(self, leader: LeaderClaim) -> ReplicaHello:
        data = self._data
        return ReplicaHello(
            journal=data.journal, sender=data.replica, receiver=leader.ballot.replica, promised=data.promised,
            position=data.log.last,
        )  # fmt: skip

    def _questions(self) -> dict[Hashable, tuple[NodeId, ReplicaMessage]]:
        """A replica that does not vote, and that nobody leads, asks each process of a voter until it answers. It never
        stands, so it would not hear that the journal has ended, that it was dismissed, or that the voter has lost its
        disk."""
        data, found = self._data, dict[Hashable, tuple[NodeId, ReplicaMessage]]()
        for place in () if data.votes else data.other_voters():
            member = data.context.membership.member(place.node)
            if place.node != data.context.node and member.runs and member.boot_id not in self._answered:
                ask = AskLeader(
                    journal=data.journal, sender=data.replica, receiver=place.replica, number=NO_QUESTION
                )  # fmt: skip
                found[member.boot_id] = place.node, ask
        return found
