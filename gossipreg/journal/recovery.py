"""Recovery by hand: one replica becomes the only voter of its journal, because the others are gone for good.

It is unsafe by design. Owns: when it is refused, and what an operator is told. Never knows: how the replica leads then.

What the other voters have acknowledged and this replica does not have is missing afterwards; what it has counts as
committed, acknowledged or not. If the others are not gone but out of reach, and a majority of them goes on, there are
two journals with one id.
"""

from collections.abc import Collection
from dataclasses import dataclass

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.leading import ProposalRefused
from gossipreg.journal.model import (
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


def recover(
    data: ReplicaData, host: bytes, lost: Collection[ReplicaId], highest: Ballot, *, leads: bool, sure: bool
) -> RecoveredJournal:
    """Make this replica the only voter; if not `sure`, change nothing, and say what would be done. `host` is our
    machine, `lost` the replicas that are known to be gone, `highest` the highest ballot that a voter has said to have
    promised, `leads`: this replica leads. Raises ProposalRefused."""
    if leads:
        raise ProposalRefused("led", "this sidecar leads that journal: there is nothing to recover")
    _refuse_if_it_can_be_led(data, lost)
    configuration, end = data.configuration, data.log.last
    place = data.place_of(data.replica) or ReplicaPlace(data.replica, data.context.node, host)
    ballot = Ballot(max(data.promised.round, highest.round) + 1, data.replica)
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


def _refuse_if_it_can_be_led(data: ReplicaData, lost: Collection[ReplicaId]) -> None:
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
    members, ours = data.context.membership, data.replica
    living = {
        place.replica
        for place in data.configuration.all_voters
        if place.replica == ours or (members.member(place.node).runs and place.replica not in lost)
    }
    if data.configuration.has_majority(living):
        raise ProposalRefused(
            "majority",
            f"{len(living)} of {len(data.configuration.all_voters)} voters live and have not lost their disk: one of"
            " them will lead; wait",
        )
