"""Whether a journal is leaderless, seen from one voter, and how long the voter waits before it stands.

Owns: the rule. Never knows: elections. It is looked at on every change of members, rows and promises, not when an edge
is seen: a state that was reached unseen counts as well.

A voter is leaderless while no running process claims, in its row, a ballot at or above what the voter has promised.
"""

from gossipreg.journal.membership import JournalMembership, LeaderClaim, ProcessStanding
from gossipreg.journal.model import NO_BALLOT, Ballot, Configuration
from gossipreg.journal.replica_data import HeardLeader, ReplicaData
from gossipreg.journal.tuning import JournalTuning
from gossipreg.model import BootId, NodeId


def leader_of(data: ReplicaData) -> LeaderClaim | None:
    """The claim in force with the highest ballot; None if this voter is leaderless."""
    membership, promised = data.context.membership, data.promised
    claims = [claim for claim in membership.claims(data.journal) if claim.ballot >= promised]
    heard = heard_in_force(data.heard, promised, data.context.now)
    if heard is not None:
        claims.append(heard)
    running = [claim for claim in claims if claim.node != data.context.node and _runs(membership, claim)]
    return max(running, default=None, key=lambda claim: claim.ballot)


def highest_claim(data: ReplicaData) -> Ballot:
    """The ballot of the claim in force; NO_BALLOT if there is none."""
    leader = leader_of(data)
    return NO_BALLOT if leader is None else leader.ballot


def heard_in_force(heard: HeardLeader | None, promised: Ballot, now: float) -> LeaderClaim | None:
    if heard is None or now >= heard.until or heard.claim.ballot < promised:
        return None
    return heard.claim


def _runs(membership: JournalMembership, claim: LeaderClaim) -> bool:
    seen = membership.member(claim.node)
    return seen.runs and seen.boot_id == claim.boot_id


def grace_s(data: ReplicaData, last: LeaderClaim | None, refused: BootId | None) -> float | None:
    """How long a leaderless voter waits before it stands, seconds from now; None: it does not stand yet. `last` is the
    last leader that it knew, `refused` the process whose port was refused when this voter asked it."""
    context = data.context
    tuning = context.tuning
    if context.membership.synced_at is None:
        return None  # our disk may be an older one, also where it says that there is no other voter
    if data.configuration.has_majority({data.replica}):
        return 0.0  # nobody else can lead it
    if last is None:
        return _without_leader(data, tuning)
    seen = context.membership.member(last.node)
    if seen.standing is ProcessStanding.ABSENT:
        return _absent(context.membership.synced_at, context.now, tuning)
    if seen.standing is ProcessStanding.REFUSED:
        return tuning.refused_grace_s
    if seen.standing is ProcessStanding.SILENT and refused == seen.boot_id:
        return tuning.refused_grace_s
    if seen.standing is ProcessStanding.SILENT:
        return tuning.silent_grace_s
    return 0.0  # it left, has another process, or withdrew its claim


def restarted_at(last: LeaderClaim | None, membership: JournalMembership) -> float:
    """When another process of the last leader appeared, if it runs: the waits of the other voters begin anew then. Else
    they would be over already, and one of them would stand before that process is in sync."""
    if last is None:
        return 0.0
    seen = membership.member(last.node)
    return seen.since if seen.runs and seen.boot_id != last.boot_id else 0.0


def _without_leader(data: ReplicaData, tuning: JournalTuning) -> float:
    """No leader was seen by this process: at once if our own last process was it."""
    if data.promised.replica == data.replica:
        return 0.0
    synced_at = data.context.membership.synced_at
    assert synced_at is not None, "asked only when in sync"
    return _absent(synced_at, data.context.now, tuning)


def _absent(synced_at: float, now: float, tuning: JournalTuning) -> float:
    return max(0.0, synced_at + tuning.absent_grace_s - now)


def rank_of(configuration: Configuration, node: NodeId, membership: JournalMembership) -> int:
    """Which place this member has among the living voters, in the order of the configuration."""
    rank = 0
    for place in configuration.voters:
        if place.node == node:
            return rank
        rank += membership.member(place.node).standing is ProcessStanding.LIVES
    return rank
