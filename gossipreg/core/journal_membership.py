"""What the journals ask of the registry (`journal/membership.py`), answered from a node's table.

Owns: the claims, leaderless copies and hosts that rows announce, by journal, and since when each member has its
standing. Never knows: what a journal does with the answer. Call `follow` with every AnnouncementsChanged and
MembersChanged; the answers are then those of the table.
"""

from collections.abc import Collection, Iterable
from itertools import count

from gossipreg.core.commands import NodeCommands
from gossipreg.core.effects import Effect
from gossipreg.core.table.layout import KIND_JOURNAL_CLAIM, KIND_JOURNAL_HOST, KIND_JOURNAL_LEADERLESS
from gossipreg.core.table.membership import state_of
from gossipreg.core.table.row import Row, Standing
from gossipreg.errors import BadDatagram
from gossipreg.journal.announced import (
    AnnouncedClaim,
    AnnouncedHost,
    decode_claim_untrusted,
    decode_host_untrusted,
    decode_leaderless_untrusted,
    encode_claim,
    encode_host,
    encode_leaderless,
)
from gossipreg.journal.membership import JournalHost, LeaderClaim, ProcessStanding, SeenMember
from gossipreg.journal.model import Ballot, JournalId
from gossipreg.model import BootId, NodeId

ABSENT = SeenMember(ProcessStanding.ABSENT, BootId(b""), 0.0)


class RegistryMembership:
    def __init__(self, node: NodeCommands, now: float) -> None:
        self._node = node
        self._claims: dict[JournalId, dict[NodeId, Ballot]] = {}
        self._claimed: dict[NodeId, tuple[JournalId, ...]] = {}
        """The journals that each member claims."""
        self._leaderless: dict[JournalId, dict[NodeId, None]] = {}
        """The members that have a copy of it which nobody leads, as they say."""
        self._leaderless_of: dict[NodeId, tuple[JournalId, ...]] = {}
        self._hosts: dict[NodeId, AnnouncedHost] = {}
        self._seen: dict[NodeId, SeenMember] = {}
        self._decisive: dict[NodeId, tuple[object, ...]] = {}
        """What copies decide by, of each member that claims a journal or takes copies."""
        self._slots: dict[JournalId, int] = {}
        """Where our own claims stand in our row."""
        self._leaderless_slots: dict[JournalId, int] = {}
        """The same for our own leaderless copies."""
        self._synced_at: float | None = None
        self.undecodable = 0
        """Announcements that could not be decoded."""
        self.follow((*node.row_ids(), *node.announcements.members()), now)

    # -- following the table -----------------------------------------------------------------------------------------

    def follow(self, ids: Iterable[NodeId], now: float) -> bool:
        """These members changed: their standing, their process, or what they announce. Returns whether a copy may
        decide otherwise now: it does by claims and hosts of others, and not by their other announcements, or ours."""
        if self._synced_at is None and self._node.synced:
            self._synced_at = now
        decisive = False
        for id in ids:
            self._see(id, now)
            self._read_claims(id)
            self._read_leaderless(id)
            self._read_host(id)
            decisive = self._note_decisive(id) or decisive
        return decisive

    def _note_decisive(self, id: NodeId) -> bool:
        """Whether what copies decide by has changed since the last time."""
        if id == self._node.id:
            return False
        before = self._decisive.pop(id, None)
        claims, host = self._claimed.get(id, ()), self._hosts.get(id)
        if not claims and host is None:
            return before is not None
        ballots = tuple((journal, self._claims[journal][id]) for journal in claims)
        self._decisive[id] = self._is_of_its_process(id), self._seen.get(id), host, ballots
        return self._decisive[id] != before

    def _is_of_its_process(self, id: NodeId) -> bool:
        """Whether what this member announces is of its present process."""
        row = self._node.table.rows.get(id)
        return row is not None and row.member is not None and row.member_generation == row.content_version.generation

    def _see(self, id: NodeId, now: float) -> None:
        row = self._node.table.rows.get(id)
        standing = self._standing(id, row)
        if row is None or row.member is None or standing is ProcessStanding.ABSENT:
            self._seen.pop(id, None)
            return
        before = self._seen.get(id)
        if before is None or (before.standing, before.boot_id) != (standing, row.member.boot_id):
            self._seen[id] = SeenMember(standing, row.member.boot_id, now)

    def _standing(self, id: NodeId, row: Row | None) -> ProcessStanding:
        if row is None or row.member is None or row.quarantined:
            return ProcessStanding.ABSENT
        if row.left or self._node.standing(id) is Standing.LEFT:
            return ProcessStanding.LEFT
        if row.dead or self._node.standing(id) is Standing.DEAD:
            refused = "refused" in self._node.why_dead(id)
            return ProcessStanding.REFUSED if refused else ProcessStanding.SILENT
        return ProcessStanding.RESTARTING if state_of(row) == "restarting" else ProcessStanding.LIVES

    def _read_claims(self, id: NodeId) -> None:
        for journal in self._claimed.pop(id, ()):
            claims = self._claims[journal]
            del claims[id]
            if not claims:
                del self._claims[journal]
        if self.member(id).standing is ProcessStanding.LEFT:
            return
        found: dict[JournalId, Ballot] = {}
        for _, value in self._node.announcements.of(id, KIND_JOURNAL_CLAIM):
            try:
                claim = decode_claim_untrusted(value)
            except BadDatagram:
                self.undecodable += 1
                continue
            found[claim.journal] = max(claim.ballot, found.get(claim.journal, claim.ballot))
        for journal, ballot in found.items():
            self._claims.setdefault(journal, {})[id] = ballot
        if found:
            self._claimed[id] = tuple(found)

    def _read_leaderless(self, id: NodeId) -> None:
        for journal in self._leaderless_of.pop(id, ()):
            holders = self._leaderless[journal]
            del holders[id]
            if not holders:
                del self._leaderless[journal]
        if self.member(id).standing in (ProcessStanding.ABSENT, ProcessStanding.LEFT):
            return
        found: dict[JournalId, None] = {}
        for _, value in self._node.announcements.of(id, KIND_JOURNAL_LEADERLESS):
            try:
                found[decode_leaderless_untrusted(value)] = None
            except BadDatagram:
                self.undecodable += 1
        for journal in found:
            self._leaderless.setdefault(journal, {})[id] = None
        if found:
            self._leaderless_of[id] = tuple(found)

    def _read_host(self, id: NodeId) -> None:
        self._hosts.pop(id, None)
        for _, value in self._node.announcements.of(id, KIND_JOURNAL_HOST):
            try:
                self._hosts[id] = decode_host_untrusted(value)
            except BadDatagram:
                self.undecodable += 1

    # -- the answers -------------------------------------------------------------------------------------------------

    @property
    def synced_at(self) -> float | None:
        return self._synced_at

    @property
    def incarnation(self) -> tuple[int, int]:
        """Generation and incarnation of our own row."""
        own = self._node.table.own.liveness
        return own.generation, own.incarnation

    def member(self, node: NodeId) -> SeenMember:
        return self._seen.get(node, ABSENT)

    def claims(self, journal: JournalId) -> Iterable[LeaderClaim]:
        rows = self._node.table.rows
        for id, ballot in self._claims.get(journal, {}).items():
            row = rows.get(id)
            if row is not None and row.member is not None and self._is_of_its_process(id):
                yield LeaderClaim(ballot, id, row.member.boot_id)

    def is_there(self, journal: JournalId) -> bool:
        """Whether a member that runs says so: it leads the journal, or has a copy that nobody leads, or lost one."""
        return bool(self.is_led(journal)) or any(self.member(node).runs for node in self.leaderless_at(journal))

    def is_led(self, journal: JournalId) -> bool | None:
        """Whether a member that runs says that it leads the journal. None: nobody is known to, and this member is not
        synced yet."""
        seen = ((self.member(claim.node), claim.boot_id) for claim in self.claims(journal))
        if any(member.runs and member.boot_id == boot_id for member, boot_id in seen):
            return True
        return None if self._synced_at is None else False

    def was_recovered(self, journal: JournalId, end: Ballot) -> bool:
        """Whether a member that is remembered has led it after it was recovered by hand, and so after its end with this
        ballot: also one that is dead, since other voters may go on."""
        return any(claim.ballot.era > end.era for claim in self.claims(journal))

    def leaders(self) -> list[NodeId]:
        """The members whose row claims any journal."""
        return sorted(self._claimed)

    def claimed(self) -> Collection[JournalId]:
        """The journals that any row claims: also that of a member that is dead, as long as it is remembered."""
        return self._claims.keys()

    def is_dead(self, node: NodeId) -> bool:
        return self.member(node).standing in (ProcessStanding.REFUSED, ProcessStanding.SILENT)

    def leaderless(self) -> Collection[JournalId]:
        """The journals that nobody led when a member with a copy, or with a lost one, said so last; it has not left."""
        return self._leaderless.keys()

    def leaderless_at(self, journal: JournalId) -> Collection[NodeId]:
        """The members that have, or have lost, such a copy of this journal."""
        return self._leaderless.get(journal, {}).keys()

    def hosts(self) -> Collection[JournalHost]:
        """The members that live and take copies, ourselves included."""
        found = []
        for id, announced in self._hosts.items():
            row = self._node.table.rows.get(id)
            if not announced.takes_copies or row is None or row.member is None:
                continue
            if self.member(id).standing is ProcessStanding.LIVES:
                found.append(JournalHost(id, announced.host, row.member.zone))
        return found

    # -- our own row -------------------------------------------------------------------------------------------------

    def announce_host(self, host: AnnouncedHost, now: float) -> list[Effect]:
        return self._node.announce(KIND_JOURNAL_HOST, 0, encode_host(host), now)

    def claim(self, journal: JournalId, ballot: Ballot, now: float) -> list[Effect]:
        """Say in our row that we lead this journal."""
        slot = _slot_for(journal, self._slots)
        return self._node.announce(KIND_JOURNAL_CLAIM, slot, encode_claim(AnnouncedClaim(journal, ballot)), now)

    def withdraw(self, journal: JournalId, now: float) -> list[Effect]:
        """Take our claim of this journal out of our row."""
        slot = self._slots.pop(journal, None)
        return [] if slot is None else self._node.announce(KIND_JOURNAL_CLAIM, slot, None, now)

    def announce_leaderless(
        self, journals: Collection[JournalId], now: float
    ) -> tuple[Collection[JournalId], list[Effect]]:
        """Say in our row that these are the journals with a copy here that nobody leads. Returns also those that our
        row says now: not all of them where it has no room."""
        slots = self._leaderless_slots
        values: dict[int, bytes | None] = {slots.pop(one): None for one in [*slots] if one not in journals}
        used = {*slots.values()}
        free = (slot for slot in count() if slot not in used)
        new = dict(zip((one for one in journals if one not in slots), free, strict=False))
        values |= {slot: encode_leaderless(one) for one, slot in new.items()}
        if not values:
            return [*slots], []
        slots |= new
        no_room, effects = self._node.announce_all(KIND_JOURNAL_LEADERLESS, values, now)
        for journal in [one for one, slot in new.items() if slot in no_room]:
            del slots[journal]
        return [*slots], effects


def _slot_for(journal: JournalId, slots: dict[JournalId, int]) -> int:
    """That of this journal; the first one that is free where it has none yet."""
    if journal not in slots:
        used = {*slots.values()}
        slots[journal] = next(slot for slot in count() if slot not in used)
    return slots[journal]
