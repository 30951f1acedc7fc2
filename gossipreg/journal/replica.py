"""One replica of one journal: composes the parts. Messages, completed writes, changes of the members, and timers come
in; effects are added to the context.

Owns: which part gets an input, and the change of roles. Never knows: streams, files, the registry. After every input
`settle` begins the next write and hands on what is on the disk.
"""

from collections.abc import Hashable, Sequence

from gossipreg.journal.caring import Caring
from gossipreg.journal.context import JournalContext
from gossipreg.journal.departure import JournalDeparture, LeaveTimer
from gossipreg.journal.disk import Held, OwnVote
from gossipreg.journal.effects import RecordsFound
from gossipreg.journal.empty_copy import EmptyTimer
from gossipreg.journal.follower_timers import FollowerTimer, TellTimer
from gossipreg.journal.following import Following
from gossipreg.journal.greeting import Greeting, GreetTimer
from gossipreg.journal.handover import HandOverTimer
from gossipreg.journal.leaderless import highest_claim
from gossipreg.journal.leading import Leading, ProposalRefused, StuckTimer
from gossipreg.journal.messages import (
    Append,
    AppendAnswer,
    AskLeader,
    ConfirmLeader,
    HandOver,
    InstallState,
    LeaderAnswer,
    LeaderConfirmed,
    PreVote,
    PreVoteAnswer,
    ReplicaHello,
    ReplicaLeaving,
    ReplicaLost,
    ReplicaMessage,
    ReplicaRefused,
    ReplicaTaken,
    RequestVote,
    StateInstalled,
    Vote,
)
from gossipreg.journal.model import Ballot, JournalId, LogEntry
from gossipreg.journal.orphan import OrphanTimer
from gossipreg.journal.reading import FoundForFollower
from gossipreg.journal.recovery import RecoveredJournal, RecoveryByHand
from gossipreg.journal.replacing import ReplaceTimer
from gossipreg.journal.replays import ReplayTimer
from gossipreg.journal.replica_data import OutOfService, ReplicaData, StoredReplica
from gossipreg.journal.standing import AttemptTimer, Candidacy, LookTimer, StandTimer
from gossipreg.journal.state import StateMachine
from gossipreg.journal.voting import QuestionTimer, Voting
from gossipreg.model import NodeId


class Replica:
    def __init__(
        self, context: JournalContext, stored: StoredReplica, machine: StateMachine, at_work: set[JournalId]
    ) -> None:
        """`at_work` are the journals for which this sidecar makes copies, of all its replicas."""
        self.data = ReplicaData(context, stored, machine)
        self._candidacy = Candidacy(self.data)
        self._voting = Voting(self.data)
        self._following = Following(self.data)
        self.leading: Leading | None = None
        self.caring: Caring | None = None
        self._at_work = at_work
        self.greeting = Greeting(self.data)
        self._departure = JournalDeparture(self.data)
        self.by_hand = RecoveryByHand(self.data)

    # -- inputs ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Members, rows or our own promise changed: see who leads."""
        self._give_way(highest_claim(self.data))  # an idle leader that was replaced as a voter hears it nowhere else
        self._candidacy.look(self.leading is not None)
        self._departure.look(self.leading is not None)
        if self.leading is not None:
            self.leading.members_changed()
            self._look_after()
            return
        self.greeting.look()

    def receive(self, node: NodeId, message: ReplicaMessage) -> None:
        """A message to this replica, from the process of this member. Nothing is answered before this sidecar is in
        sync: its disk may be an older one, which has forgotten promises. `greeting.py` tells the leader then."""
        if self.data.out is not None or self.data.context.membership.synced_at is None:
            return
        match message:
            case Append() | InstallState():
                self._on_leader(node, message)
            case AppendAnswer() | StateInstalled() | LeaderConfirmed() | ReplicaHello():
                self._on_follower(node, message)
            case PreVote():
                self._give_way(message.promised)
                if self._voting.on_pre_vote(node, message, leads=self.leading is not None):
                    self._candidacy.on_older_candidate()
            case PreVoteAnswer():
                self._candidacy.on_pre_vote_answer(message)
            case RequestVote():
                self._on_request_vote(node, message)
            case Vote():
                if self._candidacy.on_vote(message):
                    self._lead()
            case AskLeader():
                self._voting.on_ask_leader(node, message, leads=self.leading is not None)
            case LeaderAnswer():
                self._voting.on_leader_answer(message)
                self.greeting.answered(node)
            case ConfirmLeader():
                self._on_confirm(node, message)
            case HandOver():
                self._on_hand_over(message)
            case ReplicaLost():
                self._on_lost(node, message)
            case ReplicaLeaving() | ReplicaTaken() | ReplicaRefused() if self.caring is not None:
                self.caring.receive(node, message)

    def _on_leader(self, node: NodeId, message: Append | InstallState) -> None:
        data = self.data
        if message.ballot < data.promised or self._leads(message.ballot):
            if isinstance(message, Append):
                self._following.refuse(node, message)
            return
        self._step_down("another leader was elected")
        if isinstance(message, Append):
            self._following.on_append(node, message)
        else:
            self._following.on_install(node, message)
        self.greeting.reached(message.ballot)
        self._candidacy.look(False)

    def _leads(self, ballot: Ballot) -> bool:
        return self.leading is not None and self.leading.ballot == ballot

    def _on_follower(
        self, node: NodeId, message: AppendAnswer | StateInstalled | LeaderConfirmed | ReplicaHello
    ) -> None:
        if (leading := self.leading) is None:
            return
        self._give_way(message.promised)
        if self.leading is None:
            return
        follower = leading.followers.get(message.sender)
        if isinstance(message, LeaderConfirmed):
            leading.confirmations.on_confirmed(message)
        elif follower is None:
            if isinstance(message, ReplicaHello) and self.caring is not None:
                self.caring.on_stranger(node, message.sender)
            return
        elif isinstance(message, ReplicaHello):
            follower.on_hello(message)
        elif message.ballot != leading.ballot:
            return
        elif isinstance(message, AppendAnswer):
            follower.on_answer(message)
        else:
            follower.on_installed(message)
        self._advance()

    def _give_way(self, promised: Ballot) -> None:
        """Lead no more if a voter has promised a higher ballot, or leads with one. An idle leader would not notice
        otherwise, and refuse that voter for ever if its own log is newer."""
        if self.leading is not None and promised > self.leading.ballot:
            self._candidacy.heard_of(promised)
            self._step_down("a voter has promised a higher ballot")
            self.look()

    def _on_request_vote(self, node: NodeId, request: RequestVote) -> None:
        if not self._voting.may_promise(request):
            self._give_way(request.ballot)
            self._voting.refuse(node, request)
            return
        self._step_down("another voter stands")
        self._voting.promise(node, request)
        self._candidacy.look(False)

    def _on_confirm(self, node: NodeId, message: ConfirmLeader) -> None:
        data = self.data
        if message.ballot >= data.promised:
            data.promise(message.ballot)
            data.hear(message.ballot, node)
        answer = LeaderConfirmed(
            journal=data.journal, sender=data.replica, receiver=message.sender, ballot=message.ballot,
            number=message.number, promised=data.promised,
        )  # fmt: skip
        data.send_when_written(node, answer)

    def _on_hand_over(self, message: HandOver) -> None:
        if self.leading is None and message.ballot >= self.data.promised:
            self._candidacy.stand_at_once()

    def _on_lost(self, node: NodeId, message: ReplicaLost) -> None:
        if self.leading is None:
            self.greeting.answered(node)
        self.by_hand.on_lost(message.sender)
        if self.leading is not None and (follower := self.leading.followers.get(message.sender)) is not None:
            follower.lose()
            self._look_after()

    def greet(self) -> None:
        """Say once more to the leader how far we are: it does not count on us, and may let us go."""
        if self.leading is None:
            self.greeting.again()

    # -- streams and members -----------------------------------------------------------------------------------------

    def closed(self, node: NodeId, refused: bool) -> None:
        """The stream to this member broke, or could not be opened."""
        if refused:
            self._candidacy.on_refused(node)
            self._voting.on_refused(node)
        self.greeting.closed(node)
        if self.leading is not None:
            self.leading.closed(node)
        if self.caring is not None:
            self.caring.replacing.on_closed(node)

    # -- the disk ----------------------------------------------------------------------------------------------------

    def written(self, number: int) -> None:
        self._hand_on(self.data.disk.written(number))
        self._advance()
        self.data.written(None if self.leading is None else self.leading.installing_from)

    def _advance(self) -> None:
        """A disk holds more: commit what a majority holds, and look after the copies."""
        if self.leading is None:
            return
        self.leading.advance()
        if not self.data.votes:
            self._step_down("it is no voter any more")
        else:
            self._look_after()

    def _look_after(self) -> None:
        """Give the journal the copies that it should have, and back to its owner."""
        if self.caring is not None:
            self.caring.look()

    def write_failed(self) -> None:
        """Take no part until the disk was closed, opened and read."""
        self._go_out(OutOfService.DISK)

    def _go_out(self, why: OutOfService) -> None:
        self.data.disk.fail()
        self.data.out = why
        self.data.reader.end()
        self._step_down(why.value)
        self._candidacy.look(False)
        self.greeting.look()

    def read(self, entries: tuple[LogEntry, ...]) -> None:
        if self.leading is not None:
            for follower in self.leading.followers.values():
                follower.on_read(entries)

    def read_records(self, keys: Sequence[bytes], number: int) -> None:
        """Find these records: `RecordsFound` with this number follows. Raises ProposalRefused."""
        data = self.data
        if data.out is not None:
            data.context.effects.append(RecordsFound(data.journal, number, (None,) * len(keys)))
        elif data.reader.full:
            raise ProposalRefused("busy", "too many reads of this journal wait for the disk: try again in a moment")
        else:
            data.reader.read(keys, number)

    def records_read(self, number: int, values: Sequence[bytes | None]) -> None:
        """The disk has done a `ReadRecords`. If it has lost a record, the disk of another voter has it."""
        if self.data.reader.on_read(number, values) and self.leading is not None and self.data.other_voters():
            self.abdicate("the disk here has lost a record")

    def settle(self) -> None:
        """Begin the next write and the next read, and hand on what waits for none."""
        data = self.data
        if data.over:
            self._end_journal()
        if data.out is OutOfService.UNKNOWN_KIND and self.leading is not None:
            self._go_out(OutOfService.UNKNOWN_KIND)
        while held := data.disk.flush():
            self._hand_on(held)
        if data.out is None:
            data.reader.pump()
            while found := data.reader.take_found():
                self._send_found(found)
                data.reader.pump()

    def _send_found(self, found: list[FoundForFollower]) -> None:
        """Records that the state of a follower needs were read."""
        for one in found:
            if self.leading is not None and (follower := self.leading.followers.get(one.replica)) is not None:
                follower.on_records(one.number, one.values)

    def _end_journal(self) -> None:
        """The journal has ended: keep that, and nothing else."""
        if self.leading is not None:
            self.leading.part()
        self._step_down("the journal has ended")
        self._following.give_up_arriving()
        self.data.end()
        self.look()

    @property
    def orphaned(self) -> bool:
        """Whether we lead a journal whose owner has been away for so long that it would be ended if it held nothing."""
        return self.caring is not None and self.caring.owner_away.orphaned

    def _hand_on(self, held: list[Held]) -> None:
        for one in held:
            if not isinstance(one, OwnVote):
                self.data.context.effects.append(one)
            elif self._candidacy.on_own_vote(one.ballot):
                self._lead()

    # -- roles -------------------------------------------------------------------------------------------------------

    def _lead(self) -> None:
        self.leading = Leading(self.data, self._candidacy.ballot)
        self.caring = Caring(self.data, self.leading, self._at_work)
        self._candidacy.look(True)
        self.greeting.reached(self._candidacy.ballot)
        self.leading.begin()

    def _step_down(self, reason: str) -> None:
        if self.leading is not None:
            leading, self.leading = self.leading, None
            leading.end(reason)
        if self.caring is not None:
            caring, self.caring = self.caring, None
            caring.end()

    def end(self) -> None:
        """This replica is given up."""
        self._go_out(OutOfService.GIVEN_UP)

    # -- by hand ------------------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Our member leaves: hand over what we lead, and stand no more."""
        if not self._departure.begun:
            self._departure.begun = True
            self._candidacy.leave()
            if self.caring is not None and not self.caring.handover.leave():
                self._step_down("this member leaves")
        self._departure.look(self.leading is not None)

    @property
    def may_leave(self) -> bool:
        """Whether our member may leave, as far as this replica is concerned."""
        return self._departure.allows(self.leading is not None)

    def recover(self, host: bytes, *, sure: bool) -> RecoveredJournal:
        """Make this replica the only voter, since the others are gone for good; it leads then. See `recovery.py`."""
        leads, highest = self.leading is not None, self._candidacy.highest
        done = self.by_hand.recover(host, highest, leads=leads, sure=sure)
        if sure:
            self._candidacy.forgive()
            self.look()
        return done

    def acts(self, count: int) -> None:
        """Note how many acts for the journal (deliveries, commands) are under way here."""
        if self.leading is not None:
            self.leading.acting = count
            self._look_after()

    def abdicate(self, why: str) -> None:
        """Give up the claim. Another voter may lead, and is given time for it. If there is no other, we lead again as
        soon as our disk writes."""
        if not self.data.configuration.has_majority({self.data.replica}):
            self._candidacy.forbid(self.data.context.tuning.abdicated_s)
        self._step_down(why)
        self.look()

    # -- timers ------------------------------------------------------------------------------------------------------

    def on_timer(self, name: Hashable) -> None:
        match name:
            case StandTimer():
                self._candidacy.look(self.leading is not None)
                self._candidacy.stand()
            case LookTimer() | LeaveTimer() | EmptyTimer():
                self.look()
            case GreetTimer() if self.leading is None:
                self.greeting.on_timer()
            case AttemptTimer():
                self._candidacy.on_attempt_over(name.attempt)
            case QuestionTimer():
                self._voting.on_question_over(name.number)
            case StuckTimer() if self.leading is not None and (why := self.leading.why_stuck(name)):
                self.abdicate(why)
            case FollowerTimer() | ReplayTimer() | TellTimer() if self.leading is not None:
                self.leading.on_follower_timer(name)
            case HandOverTimer() | ReplaceTimer() | OrphanTimer():
                if self.caring is not None and self._leads(name.ballot) and not self.caring.on_timer(name):
                    self._step_down("this member leaves")
                    self._departure.look(leads=False)
