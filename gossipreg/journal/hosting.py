"""Whether this sidecar takes a copy of a journal that it is asked for, and whether it lets one go: pure decisions.

Owns: the reasons against. Never knows: how a copy begins.
"""

from gossipreg.journal.effects import LogBase
from gossipreg.journal.leaderless import highest_claim
from gossipreg.journal.messages import ReplicaRefused, TakeReplica
from gossipreg.journal.model import NO_BALLOT, START, Ballot, Configuration, ReplicaId
from gossipreg.journal.replica import Replica
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.model import NodeId

NOBODY = LogBase(START, 0, Configuration(()))
"""With this a new copy begins: it does not know yet who votes."""


def why_not(present: ReplicaData | None, *, leaves: bool, is_ours: bool, used_bytes: int, space_bytes: int) -> str:
    """Why not; empty: it does. `present` is the copy that is here already, `is_ours`: the journal is our own,
    `used_bytes` what copies of others take here, `space_bytes` what they may take."""
    if leaves:
        return "this sidecar is about to leave"
    if not space_bytes:
        return "this sidecar takes no copies of other journals"
    if present is not None:
        return "" if present.holds_nothing else "this sidecar has a copy of that journal already"
    if used_bytes >= space_bytes and not is_ours:
        return f"full: copies take {used_bytes} of {space_bytes} bytes here"
    return ""


def refusal(asked: TakeReplica, reason: str) -> ReplicaRefused:
    """The answer to a question for a copy that is not taken."""
    return ReplicaRefused(
        journal=asked.journal, sender=ReplicaId(b""), receiver=asked.sender, number=asked.number, reason=reason
    )  # fmt: skip


def may_be_dismissed(replica: Replica, by: NodeId, ballot: Ballot) -> bool:
    """Whether this copy may be removed, as that member says. `ballot`: with which it leads; none: the journal ended.

    A copy with entries of a later leader may not be removed: that leader may count on it. An earlier one that stood
    still says so when it wakes and finds a greeting. An only voter may not be removed either: without it nobody has
    ended the journal, or replaced it. Where another replica leads, or was promised a ballot, ours is no only voter: its
    disk went back to a time when it was.

    A member without a copy may say that the journal has ended: it did, and was recovered by hand from a copy that had
    not heard of it. Then the copy of a leader may not be removed if a majority follows that leader, or if the journal
    holds something: its voters may all be away for a moment.
    """
    data, leading = replica.data, replica.leading
    if NO_BALLOT < ballot < data.log.last.ballot:
        return False
    stranger = all(place.node != by for place in data.configuration.places)
    wrong = ballot == NO_BALLOT and stranger and leading is not None and (leading.is_followed or not leading.is_empty)
    alone = data.configuration.has_majority({data.replica}) and data.promised.replica == data.replica
    only_voter = alone and highest_claim(data) <= data.promised
    if not wrong and not only_voter:
        return True
    data.context.event("journal_not_dismissed", journal=data.journal.hex(), by=by.hex())
    return False
