"""The table: one row for each member, and how deltas and claims are merged into them.

Owns: the rows, the limits, and every change of a row: no other part writes one. Must never know: how a delta came here
or is sent on, which member is probed, what a service is.

Only the member whose id a row has writes that row, so to merge two copies of it is to compare their versions. A change
of a row has three steps:

    1. `_to_change` gives the row
    2. the row is changed; `shadow.py` does so for a page of a row
    3. `_changed` updates all that follows from the row: its own entry (`own_entry.py`), its state, the time at which it
       is forgotten (`forgetting.py`), its hash (`fingerprint.py`), its size, and the list of changes (`changes.py`),
       which the membership index reads

The cost of a change does not depend on the size of the row or of the table.
"""

from collections import Counter
from collections.abc import Iterable

from gossipreg.config import Config
from gossipreg.core.table.changes import TableChanges
from gossipreg.core.table.facts import Merged, MergeOutcome
from gossipreg.core.table.fingerprint import TableFingerprint
from gossipreg.core.table.forgetting import Forgetting
from gossipreg.core.table.layout import ENTRY_BYTES, KIND_SERVICE, key_of
from gossipreg.core.table.own_content import OwnContent
from gossipreg.core.table.own_entry import read_own_entry
from gossipreg.core.table.row import Row, rises
from gossipreg.core.table.shadow import take_delta
from gossipreg.errors import TooLarge
from gossipreg.generation import started_ms
from gossipreg.model import (
    MAX_ROW_BYTES,
    MAX_ROWS,
    MAX_SERVICES_A_ROW,
    MAX_TABLE_BYTES,
    NOTHING,
    Liveness,
    NodeId,
    Rank,
    Version,
)
from gossipreg.wire.messages import MAX_INCARNATION, Claim, Delta

ROW_BYTES = 512
"""The bytes that a row counts in addition to its entries."""
_SLACK = 2
"""A copy of a row that is between two states may hold entries of both, so it may have twice the owner's limits."""
_AHEAD_MS = 366 * 86_400_000
"""A start of a known member that is this far ahead of our clock is not believed unless the member says so itself. Else
one wrong claim could name the highest generation there is, and silence the member for good."""


class Table:
    def __init__(self, config: Config, own_id: NodeId, generation: int, now: float, wall_ms: int) -> None:
        """`wall_ms` is the wall clock at `now`. Generations are compared with it, because they contain a start time."""
        self.config = config
        self.size_bytes = 0
        self.counts: Counter[str] = Counter()
        """row_too_large, too_many_services, table_full, evicted, digest_mismatch, digest_mismatch_again, bad_member,
        incarnation_exhausted"""
        self.wall_at_0_ms = wall_ms - now * 1000
        """The wall clock when the core's clock was 0. It is read once, at the start, and never corrected."""
        self.own = Row(own_id, Liveness(generation, 0, Rank.ALIVE), now)
        self.own.content = OwnContent(generation)
        self.rows: dict[NodeId, Row] = {own_id: self.own}
        self.hashes = TableFingerprint(config.cluster, self.rows)
        self.changes = TableChanges()
        self._forgetting = Forgetting(config)
        self._refused: tuple[int, int] | None = None
        """The rows and bytes for which the table had no room, the last time that it refused any; None: it has room."""
        self._refused_id = own_id
        """The row that it refused then: it never makes room for itself."""
        self._changed(self.own, answered=True, now=now)

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def fingerprint(self) -> int:
        """Equal tables have equal fingerprints."""
        return self.hashes.value

    @property
    def generation(self) -> int:
        """The generation of our own row. We raise it while we run if another process uses our id."""
        return self.own.liveness.generation

    def name(self, id: NodeId) -> str:
        """The name of a member, for people; its id in hex if its name is not known here."""
        row = self.rows.get(id)
        return id.hex() if row is None or row.member is None else row.member.name

    def zone(self, id: NodeId) -> str:
        """The zone of a member; empty if it is not known here."""
        row = self.rows.get(id)
        return "" if row is None or row.member is None else row.member.zone

    def page(self, id: NodeId, since: Version, limit_bytes: int) -> Delta | None:
        """The next page of a row for a member that holds it at `since`, at most `limit_bytes` when encoded. None if we
        hold nothing newer, and for rows of dead and of quarantined members: those are not sent to others."""
        row = self.rows.get(id)
        if row is None or (row.dead and not row.left) or row.quarantined:
            return None
        for content in (row.shadow if row.lags else None, row.content):
            if content is None or content.head < 0 or content.generation < since.generation:
                continue
            base = since.counter if content.generation == since.generation else 0
            if since < (content.generation, content.counter):
                return content.cut(id, base, limit_bytes)
        return None

    # -- our own row -------------------------------------------------------------------------------------------------

    def write(self, kind: int, slot: int, value: bytes | None, now: float) -> Version:
        """Put a value into a slot of our own row; None removes it. If it raises TooLarge, nothing has changed."""
        content = self._own_content()
        if value is None:
            wrote = content.remove(kind, slot, now)
        else:
            full = kind == KIND_SERVICE and content.services >= MAX_SERVICES_A_ROW
            if full and content.view(kind, slot) is None:
                raise TooLarge(
                    f"this sidecar has {content.services} services, the limit: deregister one, or use another sidecar"
                )
            wrote = content.put(kind, slot, value)
        content.expire_tombstones(now, self.config.tombstone_s, self.config.tombstones_max)
        slots = (key_of(kind, slot),) if wrote else ()
        self._changed(self.own, slots, answered=self.own.answers, now=now)
        return self.own.version

    def check_room(self, kind: int, slot: int, value: bytes) -> None:
        """Raise TooLarge if our own row has no room for this value in this slot."""
        self._own_content().check_room(kind, slot, value)

    def next_generation(self, generation: int, now: float) -> None:
        """Begin a new generation of our row, because another process has used our id."""
        self.own.content = self._own_content().renewed(generation)
        self.own.liveness = Liveness(generation, 0, Rank.ALIVE)
        self._changed(self.own, answered=True, now=now)

    def refute(self, claim_generation: int, claim_incarnation: int, now: float) -> Liveness | None:
        """Refute a claim about us by a higher incarnation. None if our incarnation is higher already, if the claim is
        of another generation, or if we have left.

        None too if the claim has the largest incarnation that exists: then only a new generation helps. It is counted.
        """
        generation, incarnation, _ = self.own.liveness
        if claim_generation != generation or claim_incarnation < incarnation or self.own.left:
            return None
        if claim_incarnation >= MAX_INCARNATION:
            self.counts["incarnation_exhausted"] += 1
            return None
        self.own.liveness = Liveness(generation, claim_incarnation + 1, Rank.ALIVE)
        self._changed(self.own, answered=self.own.answers, now=now)
        return self.own.liveness

    def _own_content(self) -> OwnContent:
        content = self.own.content
        assert isinstance(content, OwnContent), "our own row is written here"
        return content

    # -- rows of others ----------------------------------------------------------------------------------------------

    def merge_delta(self, delta: Delta, *, from_owner: bool, synced: bool, now: float) -> Merged:
        """Merge a page of another member's row: take what is new in it. A page of our own row changes nothing."""
        row = self.rows.get(delta.id)
        if row is None:
            return self._add_row(delta, from_owner=from_owner, synced=synced, now=now)
        held, before = row.liveness, row.content_version
        if row is self.own or delta.generation < held.generation or _is_known(row, before, delta):
            return Merged(MergeOutcome.NOTHING, before, before)
        refused = self._refused_as(row, delta, now)
        if refused is not None:
            return Merged(refused, before, before)
        answered = row.answers
        row = self._to_change(row)
        if delta.generation > held.generation:
            row.liveness, row.reporter, row.shadow = Liveness(delta.generation, 0, Rank.ALIVE), None, None
        row.quarantined = row.quarantined and not from_owner
        outcome, slots = take_delta(row, delta, self.counts)
        self._changed(row, slots, answered=answered, now=now)
        return Merged(outcome, before, row.content_version, claim=row.liveness if row.liveness != held else None)

    def merge_claim(self, claim: Claim, now: float) -> Merged:
        """Merge a claim about another member if it takes precedence (see `rises`). One about us changes nothing."""
        row = self.rows.get(claim.id)
        said = Liveness(claim.generation, claim.incarnation, claim.rank)
        if row is None or row is self.own or not rises(row.liveness, row.left, said):
            version = NOTHING if row is None else row.content_version
            return Merged(MergeOutcome.NOTHING, version, version)
        answered, version = row.answers, row.content_version
        row = self._to_change(row)
        if said.generation > row.liveness.generation:
            row.shadow = None
        row.liveness = said
        row.reporter = None if said.rank is Rank.ALIVE else claim.by
        self._changed(row, answered=answered, now=now)
        return Merged(MergeOutcome.APPLIED, version, version, claim=said)

    def hide(self, id: NodeId, hidden: bool) -> Row | None:
        """Take a member out of our own answers, or let it come back. Returns the row if that changes it. This is no
        change that the membership index follows: it is the index that asks for it."""
        row = self.rows.get(id)
        if row is None or row.hidden == hidden:
            return None
        row = self._to_change(row)
        row.hidden = hidden
        row.seen_standing = row.standing
        return row

    def admit(self, id: NodeId, now: float) -> None:
        """End the quarantine of this row: its owner has answered."""
        row = self.rows.get(id)
        if row is not None and row.quarantined:
            row = self._to_change(row)
            row.quarantined = False
            self._changed(row, answered=False, now=now)

    def quarantine(self, id: NodeId, now: float) -> None:
        """Quarantine this row if it was never complete: no member gives us the rest of it, so its owner has to answer
        before we count it as a member."""
        row = self.rows.get(id)
        if row is not None and row.active and row.content is None:
            row = self._to_change(row)
            row.quarantined = True
            self._changed(row, answered=False, now=now)

    def too_far_ahead(self, generation: int, now: float) -> bool:
        """Whether this generation, which is new, of a known member began so far in the future, by our clock, that we
        believe it only if the member itself sends it."""
        return started_ms(generation) - self.wall_at_0_ms - now * 1000 > _AHEAD_MS

    def _add_row(self, delta: Delta, *, from_owner: bool, synced: bool, now: float) -> Merged:
        """Add the row of a member that is not known yet, from a page of it."""
        if delta.base > 0:
            return Merged(MergeOutcome.GAP, NOTHING, NOTHING)
        refused = self._refused_as(None, delta, now)
        if refused is not None:
            return Merged(refused, NOTHING, NOTHING)
        row = self.rows[delta.id] = Row(delta.id, Liveness(delta.generation, 0, Rank.ALIVE), now)
        outcome, slots = take_delta(row, delta, self.counts)
        read_own_entry(row, now, self.counts)
        row.quarantined = synced and not from_owner and not self._plausible(row, now)
        self._changed(row, slots, answered=False, now=now)
        return Merged(outcome, NOTHING, row.content_version, claim=row.liveness)

    def _plausible(self, row: Row, now: float) -> bool:
        """Whether to believe the generation of an unknown row without an answer of its owner. A synced table has all
        rows, so the owner must have started lately: not in the future, and not longer ago than the row of a dead member
        is kept."""
        oldest_s = self._forgetting.kept_s(durable=row.member is None or row.member.durable)
        age_ms = self.wall_at_0_ms + now * 1000 - started_ms(row.liveness.generation)
        return -self.config.future_s * 1000 <= age_ms <= oldest_s * 1000

    # -- limits and forgetting ---------------------------------------------------------------------------------------

    def expire(self, now: float) -> list[NodeId]:
        """Forget the rows that are due, and our own old tombstones. Returns the ids of those rows. Cheap if nothing is
        due."""
        if self._own_content().expire_tombstones(now, self.config.tombstone_s, self.config.tombstones_max):
            self._changed(self.own, answered=self.own.answers, now=now)
        due = self._forgetting.due(now)
        for id in due:
            self._remove(self.rows[id], now)
        return due

    def _refused_as(self, row: Row | None, delta: Delta, now: float) -> MergeOutcome | None:
        """The outcome of this delta if a limit forbids it, else None. If the table is full, forget dead and left rows,
        those due first."""
        more = ENTRY_BYTES * len(delta.entries)
        for _, _, value in delta.entries:
            more += len(value or b"")
        content = None if row is None else row.shadow or row.content
        if content is not None and content.size_bytes + more > _SLACK * MAX_ROW_BYTES:
            self.counts["row_too_large"] += 1
            return MergeOutcome.REFUSED
        if content is not None and content.services + len(delta.entries) > _SLACK * MAX_SERVICES_A_ROW:
            self.counts["too_many_services"] += 1
            return MergeOutcome.REFUSED
        rows, more = (1, more + ROW_BYTES) if row is None else (0, more)
        while self._would_be_full(rows, more):
            gone = self._forgetting.first_gone(but=delta.id)
            if gone is None:
                self.counts["table_full"] += 1
                self._refused, self._refused_id = (rows, more), delta.id
                return MergeOutcome.FULL
            self.counts["evicted"] += 1
            self._remove(self.rows[gone], now)
        return None

    def has_room_again(self) -> bool:
        """Whether the table was full, and has room now for what it refused last, also by forgetting a dead row. From
        then on it is not full."""
        some_gone = self._forgetting.some_gone(but=self._refused_id)
        if self._refused is None or (self._would_be_full(*self._refused) and not some_gone):
            return False
        self._refused = None
        return True

    def _would_be_full(self, rows: int, more_bytes: int) -> bool:
        """Whether this number of further rows and bytes exceeds the limits."""
        return len(self.rows) + rows > MAX_ROWS or self.size_bytes + more_bytes > MAX_TABLE_BYTES

    def _remove(self, row: Row, now: float) -> None:
        row = self._to_change(row)
        self.hashes.remove(row, now)
        self.size_bytes -= row.size_bytes
        self._forgetting.cancel(row.id)
        del self.rows[row.id]
        self.changes.note(row.id, shown_differently=row.seen_standing is not None)

    # -- every change of a row ---------------------------------------------------------------------------------------

    def _to_change(self, row: Row) -> Row:
        """The row, in order to change it. The laboratory has tables that share rows, because ten thousand whole tables
        do not fit into memory: there this method copies the row first, so every change in this file begins here."""
        return row

    def _changed(self, row: Row, slots: Iterable[int] = (), *, answered: bool, now: float) -> None:
        """This row has changed: update all that follows from it. `slots` are those of its content that may read
        differently; `answered` is what `row.answers` was before the change."""
        read_own_entry(row, now, self.counts)
        row.silenced = row.lags and not answered
        shown_differently = _see(row, now)
        if row is not self.own:
            self._forgetting.update(row, now)
        self.hashes.update(row, now)
        content, shadow = row.content, row.shadow
        size_bytes = ROW_BYTES + (content.size_bytes if content else 0) + (shadow.size_bytes if shadow else 0)
        self.size_bytes += size_bytes - row.size_bytes
        row.size_bytes = size_bytes
        self.changes.note(row.id, slots, shown_differently=shown_differently)


def _is_known(row: Row, version: Version, delta: Delta) -> bool:
    """Whether this page brings nothing new to a row whose content is at `version`. It may, if other members are known
    to hold more of the row than is here, or if only an answer of the owner ends its quarantine."""
    content = row.content
    if (delta.generation, delta.reached) > version or row.quarantined or row.shadow is not None:
        return False
    return content is not None and not row.lags and content.counter >= content.head


def _see(row: Row, now: float) -> bool:
    """Note how this row is shown now. Return whether its member is shown differently than before: another state,
    standing or own entry."""
    state, standing, member, before = row.state, row.standing, row.member, row.seen_standing
    changed = state is not row.seen_state
    if changed:
        row.seen_state, row.changed_at = state, now
    elif standing is before and member is row.seen_member:
        return False
    row.seen_standing, row.seen_member = standing, member
    return standing is not None or before is not None
