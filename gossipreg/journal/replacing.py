"""A leader that gives its journal the copies that it should have: new ones where there are too few, others in place of
voters that are gone.

Owns: since when a replica is gone, which members were asked for a copy, and the timer. Never knows: which copies are
wanted (`copies.py`), or how entries reach them.

    gone for a minute, or lost -> TakeReplica to the first candidate -> ReplicaTaken -> learner, in an entry
    -> lacks no more than one append -> voter in place of the one that is gone, in an entry

A member that is gone may be back with its copy. A copy that is lost, or that went back in time, never is. Where all
other voters have left, or are about to, and no member takes a copy, the journal goes on with that of the leader alone.
"""

from dataclasses import dataclass

from gossipreg.journal.copies import candidates, missing, next_configuration
from gossipreg.journal.leading import Leading
from gossipreg.journal.membership import JournalHost, ProcessStanding
from gossipreg.journal.messages import ReplicaRefused, ReplicaTaken, TakeReplica
from gossipreg.journal.model import Ballot, Configuration, JournalId, ReplicaId, ReplicaPlace
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import BootId, NodeId

SOON_S = 2.0
"""A member that is asked for a copy within this is counted on. One that refused, or was not reached again and again, is
left alone for longer."""


@dataclass(frozen=True, slots=True)
class ReplaceTimer:
    journal: JournalId
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class _Question:
    number: int
    host: JournalHost
    until: float
    """Without an answer by then, another member is asked."""


class Replacing:
    def __init__(self, data: ReplicaData, leading: Leading, at_work: set[JournalId]) -> None:
        """`at_work` are the journals for which this sidecar makes copies now."""
        self._data = data
        self._leading = leading
        self._at_work = at_work
        self._timer = ReplaceTimer(data.journal, leading.ballot)
        self._gone: dict[ReplicaId, float] = {}
        """When each replica that is gone is to be replaced."""
        self._leaving: dict[ReplicaId, BootId] = {}
        """Voters whose member said that it leaves, with its process: a later one is back."""
        self._asked: dict[NodeId, _Question] = {}
        """Members that have not answered yet."""
        self._not_before: dict[NodeId, float] = {}
        """When members that refused, or did not answer, may be asked again."""
        self._wait_s: dict[NodeId, float] = {}
        """How long each member was left alone after its stream closed on a question."""
        self._taken: list[ReplicaPlace] = []
        """New copies that are to become learners."""
        self._number = 0

    def look(self) -> None:
        """Members, rows, or what a follower holds changed: take the next step, if there is one."""
        data, leading = self._data, self._leading
        if not leading.may_change:
            return
        self._note_gone()
        configuration, bad = data.configuration, self._bad()
        if self._taken:
            self._add_learners(configuration, bad)
            return
        following = (
            next_configuration(configuration, bad, self._near(), data.context.tuning.copies) or self._ours_alone()
        )
        if following is not None:
            leading.propose_configuration(following)
            return
        self._take(configuration, bad)

    def on_timer(self) -> None:
        self.look()

    def on_leaving(self, replica: ReplicaId) -> None:
        """A voter of a bare majority leaves: replace it at once."""
        place = self._data.place_of(replica)
        if place is not None:
            self._leaving[replica] = self._data.context.membership.member(place.node).boot_id
            self._gone[replica] = self._data.context.now
            self.look()

    def voters_to_come(self) -> int:
        """How many voters the journal may soon have. New voters join all at once, so there are as many as wanted or
        none: learners, which have a copy already, and members that may take one are counted."""
        data = self._data
        configuration, wanted = data.configuration, data.context.tuning.copies
        voters = len(configuration.voters)
        made = sum(not self._is_gone(place) for place in configuration.learners)
        found = self._candidates()
        willing = sum(self._may_ask(host.node, SOON_S) for host in found)
        return max(voters, wanted) if voters + made + willing >= wanted else voters

    def end(self) -> None:
        self._data.context.timers.cancel(self._timer)
        self._at_work.discard(self._data.journal)

    # -- who is gone -------------------------------------------------------------------------------------------------

    def _note_gone(self) -> None:
        """Note who is gone, and since when; set the timer for the first that is to be replaced."""
        data, context, tuning = self._data, self._data.context, self._data.context.tuning
        places = {place.replica: place for place in data.others()}
        for replica in [*self._leaving]:
            if replica not in places:
                del self._leaving[replica]
        for replica in [*self._gone]:
            if replica not in places or not self._is_gone(places[replica]):
                del self._gone[replica]
        for replica, place in places.items():
            if self._is_lost(replica):
                latest = context.now + context.rng.random() * tuning.replace_lost_s
                self._gone[replica] = min(self._gone.get(replica, latest), latest)
            elif replica not in self._gone and self._is_gone(place):
                spread = context.rng.random() * tuning.replace_spread_s
                self._gone[replica] = self._gone_since(place) + tuning.replace_s + spread
        waiting = [due for due in self._gone.values() if due > context.now]
        if waiting:
            context.timers.set_earlier(self._timer, min(waiting))

    def _is_lost(self, replica: ReplicaId) -> bool:
        follower = self._leading.followers.get(replica)
        return follower is not None and follower.lost

    def _is_gone(self, place: ReplicaPlace) -> bool:
        seen = self._data.context.membership.member(place.node)
        return self._is_lost(place.replica) or not seen.runs or self._leaving.get(place.replica) == seen.boot_id

    def _gone_since(self, place: ReplicaPlace) -> float:
        """Since before we led, perhaps: a change of the leader does not begin the wait anew."""
        context = self._data.context
        seen = context.membership.member(place.node)
        return context.now if seen.runs else min(context.now, max(seen.since, context.membership.synced_at or 0.0))

    def _bad(self) -> set[ReplicaId]:
        now = self._data.context.now
        return {replica for replica, due in self._gone.items() if due <= now}

    def _leaves(self, place: ReplicaPlace) -> bool:
        """Whether its member has left, or said that it is about to."""
        seen = self._data.context.membership.member(place.node)
        return seen.standing is ProcessStanding.LEFT or self._leaving.get(place.replica) == seen.boot_id

    def _ours_alone(self) -> Configuration | None:
        """The configuration with our copy alone, if it is the last one; else None. A voter that is about to leave still
        votes for that. A voter that is dead may be back, so the journal waits for it."""
        data = self._data
        others, configuration = data.other_voters(), data.configuration
        ours = data.place_of(data.replica)
        if ours is None or not self._leaving or not all(map(self._leaves, others)):
            return None
        if not all(map(self._is_gone, configuration.learners)) or any(
            self._may_ask(one.node) for one in self._candidates()
        ):
            return None
        return Configuration((ours,))

    def _near(self) -> set[ReplicaId]:
        """The learners that have caught up, and lack no more than one append. A learner whose disk is slower than ours
        always lacks something while the journal is in use: if it had to lack nothing, it would never vote."""
        followers = self._leading.followers
        learners = {place.replica for place in self._data.configuration.learners}
        return {
            replica for replica in learners & followers.keys()
            if followers[replica].is_near and followers[replica].caught_up
        }  # fmt: skip

    # -- new copies --------------------------------------------------------------------------------------------------

    def _candidates(self) -> list[JournalHost]:
        """The members that could take a copy, best first."""
        data = self._data
        leaving = {place.node for place in data.configuration.places if self._leaves(place)}
        hosts = [host for host in data.context.membership.hosts() if host.node not in leaving]
        return candidates(data.journal, data.configuration, self._bad(), hosts)

    def _take(self, configuration: Configuration, bad: set[ReplicaId]) -> None:
        """Ask for the copies that are missing."""
        data, context = self._data, self._data.context
        need = missing(configuration, bad, context.tuning.copies)
        if need <= 0:
            self._rest(configuration)
            return
        free = len(self._at_work - {data.journal}) < context.tuning.replacing_at_once
        found = self._candidates()
        if not found:
            self._rest(configuration)
            return
        if not free:
            context.timers.set_earlier(self._timer, context.now + context.around(1.0))
            return
        self._at_work.add(data.journal)
        self._give_up_on_silent()
        free_ones = [host for host in found if host.node not in self._asked and self._may_ask(host.node)]
        for host in free_ones[: need - len(self._asked)]:
            self._ask(host)
        self._set_timer(found)

    def _set_timer(self, found: list[JournalHost]) -> None:
        """Look again when the first question is given up, or the first candidate may be asked once more."""
        context = self._data.context
        due = [self._not_before.get(host.node, 0.0) for host in found] + [one.until for one in self._asked.values()]
        waiting = [time for time in due if time > context.now]
        if waiting:
            context.timers.set_earlier(self._timer, min(waiting))

    def _give_up_on_silent(self) -> None:
        now, wait_s = self._data.context.now, self._data.context.tuning.take_again_s
        for node, question in [*self._asked.items()]:
            if now >= question.until:
                del self._asked[node]
                self._not_before[node] = now + wait_s

    def on_closed(self, node: NodeId) -> None:
        """The stream to this member closed: the question, or its answer, may be lost. Ask another candidate at once,
        and this one again soon: two members that open a stream to each other at the same time lose one of the two."""
        if self._asked.pop(node, None) is None:
            return
        context, again = self._data.context, self._data.context.tuning.take_after_close
        self._wait_s[node] = again.after(self._wait_s[node]) if node in self._wait_s else again.first_s
        self._not_before[node] = context.now + context.around(self._wait_s[node])
        self.look()

    def _rest(self, configuration: Configuration) -> None:
        """Nothing is to be done now. A learner that still gets the log is work."""
        if not configuration.learners or all(place.replica in self._near() for place in configuration.learners):
            self._at_work.discard(self._data.journal)

    def _may_ask(self, node: NodeId, within_s: float = 0.0) -> bool:
        return self._not_before.get(node, 0.0) <= self._data.context.now + within_s

    def _ask(self, host: JournalHost) -> None:
        data, context = self._data, self._data.context
        self._number += 1
        self._asked[host.node] = _Question(self._number, host, context.now + context.tuning.take_again_s)
        data.send(
            host.node,
            TakeReplica(
                journal=data.journal, sender=data.replica, receiver=ReplicaId(b""), number=self._number,
                owner=data.owner,
            ),
        )  # fmt: skip

    def expects(self, node: NodeId, replica: ReplicaId) -> bool:
        """Whether this replica may be a new copy that was asked for: it may say how far it is before its member's
        answer has come. A question that is over may stay unanswered for ever, where no copy is missing any more."""
        question = self._asked.get(node)
        waits = question is not None and self._data.context.now < question.until
        return waits or any(place.replica == replica for place in self._taken)

    def on_taken(self, node: NodeId, answer: ReplicaTaken) -> None:
        """The member has an empty copy on its disk: make it a learner."""
        question = self._asked.get(node)
        if question is not None and question.number == answer.number:
            del self._asked[node]
            self._wait_s.pop(node, None)
            self._taken.append(ReplicaPlace(answer.sender, node, question.host.host))
            self.look()

    def _add_learners(self, configuration: Configuration, bad: set[ReplicaId]) -> None:
        """Make learners of the new copies, as many as are missing."""
        need = max(0, missing(configuration, bad, self._data.context.tuning.copies))
        new = [place for place in self._taken if configuration.find(place.replica) is None][:need]
        self._taken.clear()
        if new:
            self._leading.propose_configuration(Configuration(configuration.voters, (*configuration.learners, *new)))

    def on_refused(self, node: NodeId, answer: ReplicaRefused) -> None:
        """It takes no copy: another candidate is asked, and this one not for a while."""
        context, question = self._data.context, self._asked.get(node)
        if question is not None and question.number == answer.number:
            context.event("journal_copy_refused", node=node.hex(), reason=answer.reason)
            del self._asked[node]
            self._not_before[node] = context.now + context.tuning.take_again_s
            self.look()
