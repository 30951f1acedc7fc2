"""Standing for leader: when a leaderless voter stands, the pre-vote, and the election.

Owns: the timers and the answers of an attempt. Never knows: what a leader does.

    leaderless -> grace and rank -> pre-vote -> own promise on the disk -> votes -> leads
    an attempt that fails is made again after 1 s, doubling to 30 s (5 s while a majority is alive), for as long as the
    voter is leaderless

A pre-vote (Ongaro's thesis, 9.6) comes first and promises nothing, so that a voter with a wrong view of the members
deposes nobody.

The registry says why a member is dead only where this sidecar found that out itself. So a voter asks a leader that was
declared dead once more, over a stream: if the port is refused, a restart is likely, and the voter waits for it.
"""

from dataclasses import dataclass
from enum import Enum

from gossipreg.journal.disk import OwnVote
from gossipreg.journal.leaderless import grace_s, leader_of, rank_of, restarted_at
from gossipreg.journal.membership import LeaderClaim, ProcessStanding
from gossipreg.journal.messages import AskLeader, PreVote, PreVoteAnswer, RequestVote, Vote
from gossipreg.journal.model import NO_BALLOT, Ballot, JournalId, ReplicaId
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import BootId, NodeId


@dataclass(frozen=True, slots=True)
class StandTimer:
    journal: JournalId


@dataclass(frozen=True, slots=True)
class LookTimer:
    """What was heard of the leader counts no longer: look again."""

    journal: JournalId


@dataclass(frozen=True, slots=True)
class AttemptTimer:
    journal: JournalId
    attempt: int


NO_QUESTION = 0
"""The number of an AskLeader whose answer nobody waits for; `Voting` counts from 1."""


class Phase(Enum):
    IDLE = "idle"
    PRE_VOTE = "pre_vote"
    PROMISING = "promising"
    """Our own promise is being written."""
    VOTE = "vote"


class Candidacy:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self.leaderless = False
        self.phase = Phase.IDLE
        self.ballot = NO_BALLOT
        """The one that we stand with."""
        self._last: LeaderClaim | None = None
        """The last leader that was known."""
        self._asked: BootId | None = None
        """The last process of a leader that was declared dead and that we asked whether it leads."""
        self._refused: BootId | None = None
        """... and whose port was refused then."""
        self._leaves = False
        """Our member leaves: we stand no more."""
        self._since = 0.0
        self._attempt = 0
        self._wait_s = 0.0
        """The wait before the last attempt that failed; 0: none failed."""
        self._granted: set[ReplicaId] = set()
        self._highest = NO_BALLOT
        """That any voter has said to have promised."""
        self._not_before = 0.0
        self._living: frozenset[ReplicaId] = frozenset()
        """The other voters that lived when we looked last."""

    # -- whether to stand --------------------------------------------------------------------------------------------

    def look(self, leads: bool) -> None:
        """Look at who claims to lead, and set or unset the timer to stand. `leads`: we do."""
        data, context = self._data, self._data.context
        leader = None if leads else leader_of(data)
        if leader is not None:
            self._last = leader
        if leads or leader is not None or data.out is not None or not data.votes or self._leaves:
            self._rest()
            if leader is not None and data.heard is not None and leader is data.heard.claim:
                context.timers.set(LookTimer(data.journal), data.heard.until)
            return
        if not self.leaderless:
            self.leaderless, self._since = True, context.now
        self._ask_silent_leader()
        if self._voter_returned():
            self._not_before = 0.0
            if self._wait_s:
                self._wait_s, self._since = 0.0, context.now
        if self.phase is Phase.IDLE and not self._wait_s:
            self._schedule()

    def _ask_silent_leader(self) -> None:
        """Ask a leader that another member has declared dead, once for each of its processes: its answer decides
        nothing, but a port that is refused tells why it is dead."""
        data, last = self._data, self._last
        if last is None:
            return
        seen, place = data.context.membership.member(last.node), data.place_of(last.ballot.replica)
        if place is None or seen.standing is not ProcessStanding.SILENT or self._asked == seen.boot_id:
            return
        self._asked = seen.boot_id
        data.send(
            last.node, AskLeader(journal=data.journal, sender=data.replica, receiver=place.replica, number=NO_QUESTION)
        )

    def on_refused(self, node: NodeId) -> None:
        """The port of this member is closed, so its process is over and its machine is there. If we wait because it led
        and is dead, wait longer, for its restart."""
        data, last = self._data, self._last
        if not self.leaderless or last is None or last.node != node or self._asked == self._refused:
            return
        self._refused = self._asked
        if self.phase is Phase.IDLE and not self._wait_s:
            data.context.timers.cancel(StandTimer(data.journal))
            self._schedule()

    def _voter_returned(self) -> bool:
        """Whether another voter lives that did not when we looked last: an attempt may succeed now, so a long wait is
        over."""
        data, before = self._data, self._living
        membership = data.context.membership
        places = data.other_voters()
        self._living = frozenset(place.replica for place in places if membership.member(place.node).runs)
        return not self._living <= before

    def _majority_lives(self) -> bool:
        data, member = self._data, self._data.context.membership.member
        running = {place.replica for place in data.other_voters() if member(place.node).runs}
        return data.configuration.has_majority(running | {data.replica})

    def on_older_candidate(self) -> None:
        """A voter that reaches us stands, and its log is older than ours, so it does not get our vote: stand now, if we
        wait after an attempt that failed, or because we led and could not commit."""
        waits = self._wait_s or self._data.context.now < self._not_before
        if self.leaderless and waits and self.phase is Phase.IDLE:
            self.stand()

    def _schedule(self) -> None:
        """Set the first timer to stand; it may come earlier than it was, as more becomes known."""
        data, context = self._data, self._data.context
        grace = grace_s(data, self._last, self._refused)
        if grace is None:
            return
        rank = rank_of(data.configuration, context.node, context.membership)
        since = max(self._since, restarted_at(self._last, context.membership))
        due = max(since + grace + rank * context.tuning.rank_step_s, context.now, self._not_before)
        context.timers.set_earlier(StandTimer(data.journal), due)

    def _rest(self) -> None:
        """There is a leader: stop standing."""
        timers, journal = self._data.context.timers, self._data.journal
        self.leaderless, self._wait_s, self.phase = False, 0.0, Phase.IDLE
        self._data.context.electing.discard(journal)
        timers.cancel(StandTimer(journal))
        timers.cancel(AttemptTimer(journal, self._attempt))

    def leave(self) -> None:
        self._leaves = True
        self._rest()

    def forbid(self, seconds: float) -> None:
        """Do not stand for so long, unless a voter returns: we led and could not commit. Those that live now had
        their chance to answer."""
        self._voter_returned()
        self._not_before = self._data.context.now + seconds

    @property
    def highest(self) -> Ballot:
        """The highest ballot that any voter has said to have promised."""
        return self._highest

    def forgive(self) -> None:
        """The voters were changed by hand: what failed before does not count, nor the attempt that is under way."""
        self._rest()
        self._not_before = 0.0

    def heard_of(self, promised: Ballot) -> None:
        """A voter has promised this ballot: ours must be higher."""
        self._highest = max(self._highest, promised)

    # -- an attempt --------------------------------------------------------------------------------------------------

    def stand(self) -> None:
        """Begin an attempt with a pre-vote."""
        data = self._data
        if not self.leaderless or data.out is not None or not data.votes or not self._has_turn():
            return
        self._begin(Phase.PRE_VOTE)
        data.context.count("journal.pre_votes")
        for place in data.other_voters():
            data.send(
                place.node,
                PreVote(
                    journal=data.journal, sender=data.replica, receiver=place.replica, attempt=self._attempt,
                    position=data.log.last, promised=data.promised,
                ),
            )  # fmt: skip
        self._granted = {data.replica}
        self._pre_vote_done()

    def _has_turn(self) -> bool:
        """Whether we may stand now. If we stand for many other journals, it is tried again in a moment."""
        data, context = self._data, self._data.context
        if len(context.electing - {data.journal}) < context.tuning.elections_at_once:
            return True
        context.timers.set(StandTimer(data.journal), context.now + context.around(context.tuning.rank_step_s / 4))
        return False

    def stand_at_once(self) -> None:
        """Stand without a pre-vote: the leader hands over to us."""
        if self._data.out is None and self._data.votes and not self._leaves:
            self._begin(Phase.PRE_VOTE)
            self._promise()

    def _begin(self, phase: Phase) -> None:
        data = self._data
        timers = data.context.timers
        timers.cancel(AttemptTimer(data.journal, self._attempt))
        timers.cancel(StandTimer(data.journal))
        self._attempt += 1
        self.phase = phase
        data.context.electing.add(data.journal)
        timers.set(AttemptTimer(data.journal, self._attempt), data.context.now + data.context.tuning.attempt_s)

    def on_pre_vote_answer(self, answer: PreVoteAnswer) -> None:
        if self.phase is not Phase.PRE_VOTE or answer.attempt != self._attempt:
            return
        self._highest = max(self._highest, answer.promised)
        if answer.granted:
            self._granted.add(answer.sender)
            self._pre_vote_done()

    def _pre_vote_done(self) -> None:
        if self._data.configuration.has_majority(self._granted):
            self._promise()

    def _promise(self) -> None:
        """Promise ourselves a ballot of our own that is higher than all that we know of."""
        data = self._data
        self.phase = Phase.PROMISING
        self.ballot = Ballot(max(data.promised.round, self._highest.round) + 1, data.replica)
        data.promise(self.ballot)
        data.disk.hold(OwnVote(self.ballot))

    def on_own_vote(self, ballot: Ballot) -> bool:
        """Our promise is on the disk: ask the others. Returns whether that is a majority already."""
        data = self._data
        if self.phase is not Phase.PROMISING or ballot != self.ballot or data.promised != ballot:
            return False
        self.phase = Phase.VOTE
        self._granted = {data.replica}
        for place in data.other_voters():
            data.send(
                place.node,
                RequestVote(
                    journal=data.journal, sender=data.replica, receiver=place.replica, ballot=ballot,
                    position=data.log.last,
                ),
            )  # fmt: skip
        return self._won()

    def _waits_for_own_disk(self) -> bool:
        data = self._data
        return data.promised == self.ballot and data.configuration.has_majority({data.replica})

    def on_vote(self, vote: Vote) -> bool:
        """Count the vote. Returns whether it completes the majority."""
        self._highest = max(self._highest, vote.promised)
        if self.phase is not Phase.VOTE or vote.ballot != self.ballot or self._data.promised != self.ballot:
            return False
        if not vote.granted:
            return False
        self._granted.add(vote.sender)
        return self._won()

    def _won(self) -> bool:
        return self._data.configuration.has_majority(self._granted)

    def on_attempt_over(self, attempt: int) -> None:
        """The attempt took too long: try again later. The only voter has nothing to try again: it waits for its disk,
        and leads when that has written its promise."""
        data, context = self._data, self._data.context
        if attempt != self._attempt or self.phase is Phase.IDLE:
            return
        if self.phase is Phase.PROMISING and self._waits_for_own_disk():
            context.timers.set(AttemptTimer(data.journal, attempt), context.now + context.tuning.attempt_s)
            return
        self.phase = Phase.IDLE
        context.electing.discard(data.journal)
        again = context.tuning.again_living if self._majority_lives() else context.tuning.again
        self._wait_s = again.after(self._wait_s) if self._wait_s else again.first_s
        context.timers.set(StandTimer(data.journal), context.now + context.around(self._wait_s))
