"""Recovery by hand: one replica becomes the only voter of its journal, because the others are gone for good.

It is unsafe by design. Owns: when it is refused, which other replicas are known to be lost, and what an operator is
told. Never knows: how the replica leads then.

What the other voters have acknowledged and this replica does not have is missing afterwards; what it has counts as
committed, acknowledged or not. If the others are not gone but out of reach, and a majority of them goes on, there are
two journals with one id.

Its ballots are of a new era, above those of all elections that it has not heard of. So whoever remembers that the
journal has ended sees that it was recovered after that.
"""

from dataclasses import dataclass

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.messages import AskLeader
from gossipreg.journal.model import (
    ROUNDS_OF_ERA,
    START,
    Ballot,
    Configuration,
    EntryKind,
    JournalId,
    LogEntry,
    Position,
    ReplicaId,
    ReplicaPlace,
)
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.standing import NO_QUESTION
from gossipreg.journal.tuning import JournalTuning
from gossipreg.journal.values import encode_configuration
from gossipreg.model import NodeId


@dataclass(frozen=True, slots=True)
class RecoveredJournal:
    """What a recovery did, or would do, for the operator."""

    journal: JournalId
    replaced: Configuration
    """The voters of before."""
    end: Position
    """Where this replica's log ended. What others have acknowledged behind it is missing."""
    committed: int
    """The index up to which this replica knew the log to be committed. What it has behind that counts now."""

    @property
    def uncertain(self) -> int:
        """The number of entries that count now, and may never have been acknowledged."""
        return self.end.index - self.committed


class LedByMember(ProposalRefused):
    """Another member leads the journal."""

    def __init__(self, leader: NodeId) -> None:
        super().__init__("led", f"member {leader.hex()} leads this journal: there is nothing to recover")
        self.leader = leader


class VotersLive(ProposalRefused):
    """A majority of the voters lives, and has not said to have lost its disk, so one of them will lead."""

    def __init__(self, living: tuple[ReplicaPlace, ...], voters: int, within_s: float) -> None:
        self.voters, self.within_s = voters, within_s
        self.nodes = tuple(place.node for place in living)
        """The members of those that live, ours among them."""
        super().__init__(
            "majority",
            f"{len(living)} of {voters} voters live and have not lost their disk: one of them will lead within"
            f" {within_s:.0f} s if they reach each other; wait",
        )


def leads_within_s(tuning: JournalTuning) -> float:
    """How long it takes at most until one of a living majority leads: each of them may have given up its claim just
    now, and an attempt may fail once more."""
    return tuning.abdicated_s + 2 * tuning.attempt_s + tuning.again_living_s


class RecoveryByHand:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._lost: set[ReplicaId] = set()
        """Voters and learners that said to be lost, while we led or not."""

    def on_lost(self, replica: ReplicaId) -> None:
        """This replica is not on the disk of its member any more, and never will be."""
        data = self._data
        self._lost = {one for one in (*self._lost, replica) if data.place_of(one) is not None}

    def ask(self) -> None:
        """Ask each other voter that lives whether it leads: one that has lost its disk answers `ReplicaLost`, and may
        not have been asked anything since."""
        data = self._data
        for place in self._living():
            if place.replica != data.replica:
                asked = AskLeader(
                    journal=data.journal, sender=data.replica, receiver=place.replica, number=NO_QUESTION
                )  # fmt: skip
                data.send(place.node, asked)

    def recover(self, host: bytes, highest: Ballot, *, leads: bool, sure: bool) -> RecoveredJournal:
        """Make this replica the only voter; if not `sure`, change nothing, and say what would be done. `host` is our
        machine, `highest` the highest ballot that a voter has said to have promised, `leads`: this replica leads.
        Raises ProposalRefused."""
        data = self._data
        if leads:
            raise ProposalRefused("led", "this sidecar leads that journal: there is nothing to recover")
        self._refuse_if_it_can_be_led()
        configuration, end = data.configuration, data.log.last
        place = data.place_of(data.replica) or ReplicaPlace(data.replica, data.context.node, host)
        ballot = Ballot((max(data.promised, highest).era + 1) * ROUNDS_OF_ERA, data.replica)
        done = RecoveredJournal(data.journal, configuration, end, data.committed)
        if not sure:
            return done
        data.promise(ballot)
        alone = encode_configuration(Configuration((place,)))
        data.append(LogEntry(end.index + 1, ballot, data.log.last_led_ms, EntryKind.CONFIGURATION, alone))
        data.context.event(
            "journal_recovered", journal=data.journal.hex(), index=end.index, committed=done.committed,
            voters=len(configuration.voters),
        )  # fmt: skip
        return done

    def _refuse_if_it_can_be_led(self) -> None:
        data = self._data
        if data.out is not None:
            raise ProposalRefused("unavailable", f"this replica takes no part: {data.out.value}")
        if data.log.last == START:
            raise ProposalRefused("empty", "this replica holds nothing yet: recover another one")
        if data.context.membership.synced_at is None:
            why = "this sidecar is not in sync yet, so it does not know which voters live: see `gossipreg info`"
            raise ProposalRefused("not_synced", why)
        leader = leader_of(data)
        if leader is not None:
            raise LedByMember(leader.node)
        living = self._living()
        if data.configuration.has_majority({place.replica for place in living}):
            raise VotersLive(living, len(data.configuration.all_voters), leads_within_s(data.context.tuning))

    def _living(self) -> tuple[ReplicaPlace, ...]:
        """The voters that live and have not said to be lost; ours is one. Another one of our own member is lost: it has
        one replica of a journal."""
        data = self._data
        members = data.context.membership

        def lives(place: ReplicaPlace) -> bool:
            if place.node == data.context.node:
                return place.replica == data.replica
            return members.member(place.node).runs and place.replica not in self._lost

        return tuple(filter(lives, data.configuration.all_voters))
