"""A leader: appends entries, sends them to all replicas, and commits what a majority's disks hold.

Owns: the followers, the entries that wait, and the tickets of who waits for them. Never knows: what an entry means, or
how it came to lead.

Its first entry is its ballot. Only an entry of its own ballot is committed by counting, and everything before it with
it (Raft 5.4.2); before that the leader is not established: it answers and acts on nothing. There is no timer and no
message while everything is committed, and acknowledged by all replicas that live.
"""

from collections import deque
from dataclasses import dataclass, replace

from gossipreg.journal.confirmations import Confirmations
from gossipreg.journal.effects import (
    COPIES_TO_COME,
    ClaimLeadership,
    Deposed,
    Established,
    ProposalOutcome,
    Settled,
    WithdrawClaim,
)
from gossipreg.journal.follower_timers import FollowerTimer, TellTimer
from gossipreg.journal.log import entry_bytes
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.model import (
    MAX_ENTRY_BYTES,
    NO_BALLOT,
    Ballot,
    Configuration,
    EntryKind,
    JournalId,
    LogEntry,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.journal.progress import FollowerProgress, Mode
from gossipreg.journal.replays import ReplayTimer
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.values import encode_configuration
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True)
class StuckTimer:
    """The oldest entry that waits is to be committed by then."""

    journal: JournalId
    ballot: Ballot
    proofs: bool = False
    """The oldest proof of leadership that was asked for is to be there by then, in place of an entry."""


@dataclass(slots=True)
class _Waiting:
    index: int
    size_bytes: int
    since: float
    ticket: int | None


ENDING_SHARE = 8
"""One of so many parts of a journal is for entries that end something."""


class ProposalRefused(Exception):
    """A proposal that was not accepted: nothing changed. `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TooFewVoters(ProposalRefused):
    """The journal has `voters` of the copies that a proposal needs, which are at least `least`."""

    def __init__(self, voters: int, least: int) -> None:
        self._has, self.least = f"the journal has {voters} of at least {least} copies", least
        more = "1 more host" if least - voters == 1 else f"{least - voters} more hosts"
        super().__init__(
            "too_few_copies", f"{self._has}: let sidecars on {more} take copies (--host-id), or ask for fewer"
        )

    def for_now(self) -> ProposalRefused:
        """The same, where the missing copies are being made."""
        return ProposalRefused(COPIES_TO_COME, f"{self._has}, and the others are being made: send it again in a moment")


class Leading:
    def __init__(self, data: ReplicaData, ballot: Ballot) -> None:
        self._data = data
        self.ballot = ballot
        self.established = False
        """Its first entry is committed."""
        self.accepts = True
        """False while it hands over."""
        self.accepts_ends = True
        """What ends something is taken while the acts for the journal end; false once the owner was asked to stand."""
        self._ends = False
        """It has appended the end of the journal: nothing may follow."""
        self.acting = 0
        """How many acts for the journal (deliveries, commands) are under way here."""
        self._led_ms = data.log.last_led_ms
        self._since = data.context.now
        self.followers: dict[ReplicaId, FollowerProgress] = {}
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self.confirmations = Confirmations(data, ballot, StuckTimer(data.journal, ballot, proofs=True))
        self._seen: dict[ReplicaId, object] = {}
        self._far: dict[ReplicaId, tuple[int, int]] = {}
        """How far each replica had come when the timer of what waits was set."""

    def begin(self) -> None:
        """Claim, and append the first entry."""
        data = self._data
        data.context.effects.append(ClaimLeadership(data.journal, self.ballot))
        self._follow_configuration()
        self._append(EntryKind.BALLOT, b"", None)

    # -- led time ----------------------------------------------------------------------------------------------------

    @property
    def led_ms(self) -> int:
        return self._led_ms + int((self._data.context.now - self._since) * 1000)

    # -- proposals ---------------------------------------------------------------------------------------------------

    def propose(self, data: bytes, ticket: int, kind: int = EntryKind.DATA, *, ends: bool = False) -> int:
        """Append an entry; `Settled` with this ticket says what became of it. Returns its index. Raises
        ProposalRefused. The kind is one that the state machine understands: else all replicas would go out of
        service. `ends`: the entry ends something, so it is taken with fewer copies than others need."""
        machine = self._data.state.machine
        assert kind in machine.kinds, f"no entry of kind {kind} means anything to {type(machine).__name__}"
        self._check(len(data), ends)
        return self._append(kind, data, ticket)

    def propose_configuration(self, configuration: Configuration) -> None:
        """Change who votes or learns. One change at a time, and only by an established leader. Raises
        ProposalRefused."""
        data = self._data
        if not self.may_change:
            raise ProposalRefused("busy", "another change of the voters is under way: wait until it is committed")
        if configuration.voters != data.configuration.voters:
            configuration = replace(configuration, before=data.configuration.voters)
        self._append(EntryKind.CONFIGURATION, encode_configuration(configuration), None)

    def end_journal(self) -> None:
        """Append the end of the journal."""
        self._append(EntryKind.END, b"", None)
        self._ends = True

    @property
    def may_change(self) -> bool:
        """Whether a change of the configuration may begin."""
        data = self._data
        pending = data.configuration.joint or data.log.configuration_index > data.committed
        return self.established and not pending and not self._ends

    def _end_joint(self) -> None:
        """The voters of before and those of now have both decided on the change: from here on the new ones count."""
        data = self._data
        if data.configuration.joint and data.log.configuration_index <= data.committed:
            final = replace(data.configuration, before=())
            self._append(EntryKind.CONFIGURATION, encode_configuration(final), None)

    def _check(self, size: int, ends: bool) -> None:
        tuning = self._data.context.tuning
        if size > MAX_ENTRY_BYTES:
            raise ProposalRefused("too_large", f"the entry has {size} bytes: at most {MAX_ENTRY_BYTES} fit")
        if not self.established or self._ends or not (self.accepts_ends if ends else self.accepts):
            raise ProposalRefused("unavailable", "this journal changes its leader: send it again in a moment")
        if not ends:
            self._check_copies(tuning.min_copies)
        self._check_room(size, ends)
        if len(self._waiting) >= tuning.waiting_entries or self._waiting_bytes + size > tuning.waiting_bytes:
            raise ProposalRefused(
                "busy", f"{len(self._waiting)} entries wait for their disks: send it again in a moment"
            )

    def _check_copies(self, least: int) -> None:
        """Both electorates count while the voters change: either may be what survives."""
        configuration = self._data.configuration
        voters = min(len(voters) for voters in (configuration.voters, configuration.before) if voters)
        if voters < least:
            raise TooFewVoters(voters, least)

    def _check_room(self, size: int, ends: bool) -> None:
        """The last eighth of a journal is for entries that end something: else a full one could not be emptied."""
        most, used = self._data.context.tuning.journal_bytes, self._data.size_bytes
        if used + size > (most if ends else most - most // ENDING_SHARE):
            raise ProposalRefused(
                "journal_full",
                f"the journal takes {used} of {most} bytes, and keeps an eighth for what ends something: let what it"
                " holds be acknowledged, or drop it",
            )

    def _append(self, kind: int, payload: bytes, ticket: int | None) -> int:
        data = self._data
        entry = LogEntry(data.log.last.index + 1, self.ballot, self.led_ms, kind, payload)
        data.append(entry)
        if kind == EntryKind.CONFIGURATION:
            self._follow_configuration()
        self._waiting.append(_Waiting(entry.index, entry_bytes(entry), data.context.now, ticket))
        self._waiting_bytes += entry_bytes(entry)
        if len(self._waiting) == 1:
            self._set_stuck_timer()
        self.pump()
        return entry.index

    @property
    def is_followed(self) -> bool:
        """Whether a majority has committed an entry of ours, and answers, as far as is known here."""
        able = {id for id, one in self.followers.items() if one.mode is Mode.FOLLOWING and not one.lost}
        return self.established and self._data.configuration.has_majority(able | {self._data.replica})

    @property
    def is_empty(self) -> bool:
        """Whether the journal holds nothing, and nothing waits to be committed."""
        state = self._data.state
        return self.idle and state.machine.is_empty(state.records)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be committed."""
        return not self._waiting

    # -- followers ---------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        for follower in self.followers.values():
            follower.pump()

    def _follow_configuration(self) -> None:
        """Send to all replicas of the configuration. Those that it has not any more get entries until that is
        committed."""
        data = self._data
        for place in data.others():
            if place.replica not in self.followers:
                self.followers[place.replica] = FollowerProgress(data, self.ballot, place)

    def _dismiss(self) -> None:
        """Let go of the replicas that the committed configuration does not have any more."""
        data = self._data
        if data.log.configuration_index > data.committed:
            return
        for replica, follower in [*self.followers.items()]:
            if data.place_of(replica) is None:
                self.dismiss(follower.place)
                del self.followers[replica]
                follower.end()

    def dismiss(self, place: ReplicaPlace) -> None:
        self._data.send(place.node, self._data.dismissal(place.replica, self.ballot))

    @property
    def installing_from(self) -> int | None:
        """The index of the oldest state that is being sent to a follower."""
        indexes = [follower.installing_from for follower in self.followers.values()]
        return min((index for index in indexes if index is not None), default=None)

    def closed(self, node: NodeId) -> None:
        """The stream to this member closed."""
        for follower in self.followers.values():
            if follower.place.node == node:
                follower.on_closed()

    def on_follower_timer(self, timer: FollowerTimer | ReplayTimer | TellTimer) -> None:
        follower = self.followers.get(timer.replica)
        if follower is None:
            return
        match timer:
            case ReplayTimer():
                follower.on_turn()
            case TellTimer():
                follower.tell()
            case FollowerTimer():
                follower.on_timer()

    def members_changed(self) -> None:
        """Try those again that live, or live again."""
        membership = self._data.context.membership
        for replica, follower in self.followers.items():
            seen = membership.member(follower.place.node)
            was, self._seen[replica] = self._seen.get(replica), (seen.standing, seen.boot_id)
            if was != self._seen[replica] and seen.standing is ProcessStanding.LIVES:
                follower.retry()
        for replica in [*self._seen]:
            if replica not in self.followers:
                del self._seen[replica]

    # -- commitment --------------------------------------------------------------------------------------------------

    def _held_by(self, replica: ReplicaId) -> int:
        if replica == self._data.replica:
            return self._data.disk.durable
        follower = self.followers.get(replica)
        return follower.match if follower is not None else 0

    def advance(self) -> None:
        """Commit what a majority's disks hold now. The end of a joint configuration may commit more."""
        data = self._data
        while True:
            index = data.configuration.held_by_majority(self._held_by)
            position = data.log.position_at(index)
            if index <= data.committed or position is None or position.ballot != self.ballot:
                return
            data.commit(index)
            self._committed()

    def _committed(self) -> None:
        """Entries were committed: tell who waits for them."""
        data = self._data
        if not self.established:
            self.established = True
            data.context.effects.append(Established(data.journal, self.ballot))
        self._dismiss()
        while self._waiting and self._waiting[0].index <= data.committed:
            done = self._waiting.popleft()
            self._waiting_bytes -= done.size_bytes
            if done.ticket is not None:
                copies = self.copies(done.index)
                settled = Settled(data.journal, done.ticket, ProposalOutcome.COMMITTED, done.index, copies)
                data.context.effects.append(settled)
        self._set_stuck_timer()
        self._end_joint()
        self.pump()

    def part(self) -> None:
        """The journal has ended: say so, and let go of the replicas that may not hear of it otherwise."""
        for follower in self.followers.values():
            follower.tell()
            if not follower.current or not follower.knows_commit:
                self._data.send(follower.place.node, self._data.dismissal(follower.place.replica, NO_BALLOT))

    def copies(self, index: int) -> int:
        """How many voters' disks hold the log up to this index, as far as is known here."""
        return sum(self._held_by(place.replica) >= index for place in self._data.configuration.voters)

    def _set_stuck_timer(self) -> None:
        data, timer = self._data, StuckTimer(self._data.journal, self.ballot)
        if self._waiting:
            self._far = self._how_far()
            data.context.timers.set(timer, self._waiting[0].since + data.context.tuning.stuck_s)
        else:
            data.context.timers.cancel(timer)

    def why_stuck(self, timer: StuckTimer) -> str:
        """Why we lead no longer, now that this timer is due; empty: we do."""
        context = self._data.context
        seconds = f"{context.tuning.stuck_s:g} s"
        if timer.ballot != self.ballot or (timer.proofs and not self.confirmations.stuck()):
            return ""
        if not timer.proofs and self._catch_up():
            context.timers.set(timer, context.now + context.tuning.stuck_s)
            return ""
        return (
            f"no majority of the voters answered for {seconds}"
            if timer.proofs
            else f"nothing could be committed for {seconds}"
        )

    def _how_far(self) -> dict[ReplicaId, tuple[int, int]]:
        far = {replica: follower.how_far for replica, follower in self.followers.items()}
        return {**far, self._data.replica: (self._data.disk.durable, 0)}

    def _catch_up(self) -> bool:
        """Whether what waits for longest will be committed: a majority has it, or has come further since the timer was
        set, or waits for its turn. The next leader would have to begin anew with those that catch up."""
        index, before, far = self._waiting[0].index, self._far, self._how_far()
        self._far = far
        able = {replica for replica, one in far.items() if one[0] >= index or one > before.get(replica, one)}
        able.update(replica for replica, follower in self.followers.items() if follower.waits_for_turn)
        return self._data.configuration.has_majority(able)

    # -- the end -----------------------------------------------------------------------------------------------------

    def end(self, reason: str) -> None:
        """Lead no longer. What waits has an unknown outcome: the next leader may commit it."""
        data = self._data
        context, timers = data.context, data.context.timers
        context.effects.append(WithdrawClaim(data.journal))
        for waiting in self._waiting:
            if waiting.ticket is not None:
                context.effects.append(Settled(data.journal, waiting.ticket, ProposalOutcome.UNKNOWN, waiting.index, 0))
        self._waiting.clear()
        self.confirmations.clear()
        timers.cancel(StuckTimer(data.journal, self.ballot))
        for follower in self.followers.values():
            follower.end()
        context.effects.append(Deposed(data.journal, self.ballot, reason))
