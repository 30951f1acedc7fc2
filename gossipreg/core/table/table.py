"""The table: one row for each member, their merge, and the fingerprint that says whether two tables are equal.

Owns: the rows, how deltas and claims are merged into them, the fingerprints, the limits, and forgetting. Must never
know: how a delta came here or is sent on, which member is probed, what a service is.

Only the member whose id a row has writes that row, so to merge two copies of it is to compare their versions. Each
change of a row ends in `_settle`, which updates everything that is derived from the row: its hash in the table's
fingerprint and buckets, its size, the time at which it is forgotten, and the lists of rows that changed. The cost does
not depend on the size of the row or of the table.

The fingerprint covers what healthy members agree on: every row that is neither dead, left nor quarantined, by its id,
version and digest (0 instead of the digest while the row is not complete). A row that was never complete here is not in
the fingerprint, and comparisons do not bring it to others. Otherwise the fragment of a row whose owner died while it
joined would be passed around for ever.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from math import inf
from sys import float_info

from gossipreg.config import Config
from gossipreg.core.table.content import ENTRY_BYTES, KIND_MEMBER, KIND_SERVICE, Content, key_of
from gossipreg.core.table.facts import Merged, MergeOutcome
from gossipreg.core.table.row import Row, State, rises
from gossipreg.core.timers import Timers
from gossipreg.errors import BadDatagram, TooLarge
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
    Status,
    Version,
)
from gossipreg.wire.messages import MAX_INCARNATION, Claim, Delta
from gossipreg.wire.values import MAX_HOLD_S, decode_member_untrusted

__all__ = ["Row", "State", "Table", "rises", "row_hash"]

BUCKETS = 256
ROW_BYTES = 512
"""The bytes that a row counts in addition to its entries."""
_SLACK = 2
"""A copy of a row that is between two states may hold entries of both, so it may have twice the owner's limits."""
_AHEAD_MS = 366 * 86_400_000
"""A start of a known member that is this far ahead of our clock is not believed unless the member says so itself. Else
one wrong claim could name the highest generation there is, and silence the member for good."""
_MEMBER_KEY = key_of(KIND_MEMBER, 0)


@cache
def _hasher(cluster: str) -> "blake2b":
    return blake2b(digest_size=8, person=blake2b(cluster.encode(), digest_size=16).digest())


def row_hash(cluster: str, id: NodeId, version: Version, digest_or_0: int) -> int:
    """64 bits of a row, different in each cluster."""
    hasher = _hasher(cluster).copy()
    hasher.update(b"%s%d,%d,%d" % (id, *version, digest_or_0))
    return int.from_bytes(hasher.digest(), "big")


class Table:
    def __init__(self, config: Config, own_id: NodeId, generation: int, now: float, wall_ms: int) -> None:
        """`wall_ms` is the wall clock at `now`. Generations are compared with it, because they contain a start time."""
        self.config = config
        self.fingerprint = 0
        self.bucket_hash = [0] * BUCKETS
        """The XOR of the hashes of the rows in each, by the first byte of the id."""
        self.bucket_changed_at = [-inf] * BUCKETS
        self.size_bytes = 0
        self.counts: Counter[str] = Counter()
        """row_too_large, too_many_services, table_full, evicted, digest_mismatch, digest_mismatch_again, bad_member,
        incarnation_exhausted"""
        self.wall_at_0_ms = wall_ms - now * 1000
        """The wall clock when the core's clock was 0. It is read once, at the start, and never corrected."""
        self._hashed: list[NodeId] = []
        """The rows that are in the fingerprint, in order of id, and so by bucket."""
        self._gone = Timers()
        """The time at which each dead or left row is forgotten, by id."""
        self._unfinished = Timers()
        """The same for rows that were never complete, and for quarantined ones."""
        self._dropped: list[NodeId] = []
        self._touched: dict[NodeId, None] = {}
        self._shown_anew: dict[NodeId, None] = {}
        """Members that are shown differently than before: another state, standing or own entry."""
        self.own = Row(own_id, Liveness(generation, 0, Rank.ALIVE), now)
        self.own.content = Content(generation).own()
        self.rows: dict[NodeId, Row] = {own_id: self.own}
        self._settle(self.own, answered=True, now=now)

    # -- reading -----------------------------------------------------------------------------------------------------

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

    # -- our own row -------------------------------------------------------------------------------------------------

    def write(self, kind: int, slot: int, value: bytes | None, now: float) -> Version:
        """Put a value into a slot of our own row; None removes it. If it raises TooLarge, nothing has changed."""
        content = self._own_content()
        if value is None:
            content.remove(kind, slot, now)
        else:
            full = kind == KIND_SERVICE and content.services >= MAX_SERVICES_A_ROW
            if full and content.view(kind, slot) is None:
                raise TooLarge(
                    f"this sidecar has {content.services} services, the limit: deregister one, or use another sidecar"
                )
            content.put(kind, slot, value)
        content.expire_tombstones(now, self.config.tombstone_s, self.config.tombstones_max)
        self._settle(self.own, answered=self.own.answers, now=now)
        return self.own.version

    def next_generation(self, generation: int, now: float) -> None:
        """Begin a new generation of our row, because another process has used our id."""
        self.own.content = self._own_content().renewed(generation)
        self.own.liveness = Liveness(generation, 0, Rank.ALIVE)
        self._settle(self.own, answered=True, now=now)

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
        self._settle(self.own, answered=self.own.answers, now=now)
        return self.own.liveness

    def _own_content(self) -> Content:
        assert self.own.content is not None
        return self.own.content

    # -- merging -----------------------------------------------------------------------------------------------------

    def merge_delta(self, delta: Delta, *, from_owner: bool, synced: bool, now: float) -> Merged:
        """Merge a page of another member's row: take what is new in it. A page of our own row changes nothing."""
        row = self.rows.get(delta.id)
        if row is None:
            return self._add_row(delta, from_owner=from_owner, synced=synced, now=now)
        held, before, answered = row.liveness, row.content_version, row.answers
        known = (delta.generation, delta.reached) <= before and not (row.behind or row.quarantined)
        if row is self.own or known or delta.generation < held.generation:
            return Merged(MergeOutcome.NOTHING, before, before)
        if not self._has_room(row, delta, now):
            return Merged(MergeOutcome.REFUSED, before, before)
        row = self.writable(row.id) or row
        if delta.generation > held.generation:
            row.liveness, row.reporter, row.shadow = Liveness(delta.generation, 0, Rank.ALIVE), None, None
        row.quarantined = row.quarantined and not from_owner
        outcome = self._take(row, delta)
        self._settle(row, answered=answered, now=now)
        after = row.content_version
        return Merged(outcome, before, after, news=after > before, claim=row.liveness if row.liveness != held else None)

    def merge_claim(self, claim: Claim, now: float) -> Merged:
        """Merge a claim about another member if it takes precedence (see `rises`). One about us changes nothing."""
        row = self.rows.get(claim.id)
        said = Liveness(claim.generation, claim.incarnation, claim.rank)
        if row is None or row is self.own or not rises(row.liveness, row.left, said):
            version = NOTHING if row is None else row.content_version
            return Merged(MergeOutcome.NOTHING, version, version)
        answered, version = row.answers, row.content_version
        row = self.writable(row.id) or row
        if said.generation > row.liveness.generation:
            row.shadow = None
        row.liveness = said
        row.reporter = None if said.rank is Rank.ALIVE else claim.by
        self._settle(row, answered=answered, now=now)
        return Merged(MergeOutcome.APPLIED, version, version, claim=said)

    def too_far_ahead(self, id: NodeId, generation: int, now: float) -> bool:
        """Whether this generation of a known member began so far in the future, by our clock, that we believe it only
        if the member itself sends it."""
        row = self.rows.get(id)
        if row is None or generation <= row.liveness.generation:
            return False
        return started_ms(generation) - self.wall_at_0_ms - now * 1000 > _AHEAD_MS

    def _add_row(self, delta: Delta, *, from_owner: bool, synced: bool, now: float) -> Merged:
        """Add the row of a member that is not known yet, from a page of it."""
        if delta.base > 0:
            return Merged(MergeOutcome.GAP, NOTHING, NOTHING)
        if not self._has_room(None, delta, now):
            return Merged(MergeOutcome.REFUSED, NOTHING, NOTHING)
        row = self.rows[delta.id] = Row(delta.id, Liveness(delta.generation, 0, Rank.ALIVE), now)
        outcome = self._take(row, delta)
        self._read_member(row, now)
        row.quarantined = synced and not from_owner and not self._plausible(row, now)
        self._settle(row, answered=False, now=now)
        return Merged(outcome, NOTHING, row.content_version, row.content is not None, row.liveness)

    def _plausible(self, row: Row, now: float) -> bool:
        """Whether to believe the generation of an unknown row without an answer of its owner. A synced table has all
        rows, so the owner must have started lately: not in the future, and not longer ago than the row of a dead member
        is kept."""
        brief = row.member is not None and not row.member.durable
        oldest_s = self.config.dead_row_brief_s if brief else self.config.dead_row_s
        age_ms = self.wall_at_0_ms + now * 1000 - started_ms(row.liveness.generation)
        return -self.config.future_s * 1000 <= age_ms <= oldest_s * 1000

    def _take(self, row: Row, delta: Delta) -> MergeOutcome:
        """Apply a delta of the row's newest generation to its content, its shadow, or both."""
        content = None if row.lags else row.content
        outcome = MergeOutcome.NOTHING
        if content is not None:
            outcome = self._extend(row, content, delta)
            if outcome is MergeOutcome.GAP and delta.base <= content.counter and row.shadow is None:
                row.shadow = Content(delta.generation)  # we are below the owner's tombstone floor: pull a full row
        elif row.shadow is None:
            row.shadow = Content(delta.generation)
        shadow = row.shadow
        if shadow is None:
            return outcome
        if delta.base <= shadow.counter < delta.reached and not shadow.floor_fits(delta):
            shadow = row.shadow = Content(delta.generation)  # the floor rose between two pages: begin again
        took = self._extend(row, shadow, delta)
        if shadow.whole and (content is None or shadow.counter >= content.counter):
            row.content, row.shadow = shadow, None
        if row.shadow is not None and row.shadow.head < 0:
            return MergeOutcome.GAP  # a full row is needed, and no page of it has come yet
        return took if content is None or took is MergeOutcome.APPLIED else outcome

    def _extend(self, row: Row, content: Content, delta: Delta) -> MergeOutcome:
        """Apply a delta if it continues this content. If the content is complete then and has another digest than the
        owner's, it is damaged: pull a full row, once for each version."""
        if delta.reached <= content.counter and content.head >= 0:
            return MergeOutcome.NOTHING
        if not content.accepts(delta):
            return MergeOutcome.GAP
        content.apply(delta)
        if content.whole and content is row.content and row.shadow is not None and content.head >= row.shadow.head:
            row.shadow = None  # the content is complete at that version: the shadow is not needed
        if not content.mismatched:
            return MergeOutcome.APPLIED
        head = Version(content.generation, content.head)
        if row.refetched == head:
            self.counts["digest_mismatch_again"] += 1
            if content is row.shadow and not row.lags:
                row.shadow = None  # it is damaged too: keep the content that we have
            return MergeOutcome.APPLIED
        self.counts["digest_mismatch"] += 1
        row.refetched = head
        if row.shadow is None or content is row.shadow:
            row.shadow = Content(content.generation)
        return MergeOutcome.GAP

    # -- pages for others --------------------------------------------------------------------------------------------

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

    def rows_in(self, bucket: int) -> Iterator[tuple[NodeId, int]]:
        """(id, hash) of the rows in one of the buckets."""
        for at in range(bisect_left(self._hashed, bytes((bucket,))), len(self._hashed)):
            id = self._hashed[at]
            if id[0] != bucket:
                return
            yield id, self.rows[id].hash

    def writable(self, id: NodeId) -> Row | None:
        """The row, in order to change it. If other tables of this process hold it too, it is copied first."""
        row = self.rows.get(id)
        if row is not None and row.shared:
            row = self.rows[id] = row.copy()
        return row

    def drain_touched(self) -> list[NodeId]:
        """The ids of rows whose content, liveness or state changed since the last call, and of rows that were
        forgotten, in the order of their first change."""
        if not self._touched:
            return []
        touched, self._touched = self._touched, {}
        return list(touched)

    def drain_shown_anew(self) -> list[NodeId]:
        """The ids of members whose own entry, state or standing changed since the last call, and of members that were
        forgotten, in the order of their first change."""
        shown_anew, self._shown_anew = self._shown_anew, {}
        return list(shown_anew)

    def hide(self, id: NodeId, hidden: bool) -> Row | None:
        """Take a member out of our own answers, or let it come back. Returns the row if that changes it."""
        row = self.rows.get(id)
        if row is None or row.hidden == hidden:
            return None
        row = self.writable(id) or row
        row.hidden = hidden
        self._note_shown(row, changed=False)
        return row

    # -- keeping and forgetting --------------------------------------------------------------------------------------

    def admit(self, id: NodeId, now: float) -> None:
        """End the quarantine of this row: its owner has answered."""
        row = self.writable(id)
        if row is not None and row.quarantined:
            row.quarantined = False
            self._settle(row, answered=False, now=now)

    def quarantine(self, id: NodeId, now: float) -> None:
        """Quarantine this row if it was never complete: no member gives us the rest of it, so its owner has to answer
        before we count it as a member."""
        row = self.writable(id)
        if row is not None and row.active and row.content is None:
            row.quarantined = True
            self._settle(row, answered=False, now=now)

    def expire(self, now: float) -> list[NodeId]:
        """Forget the rows that are due, and our own old tombstones. Returns the ids of the rows that were forgotten
        since the last call, also of those that had to make room. Cheap if nothing is due."""
        if self._own_content().expire_tombstones(now, self.config.tombstone_s, self.config.tombstones_max):
            self._settle(self.own, answered=self.own.answers, now=now)
        for timers in (self._gone, self._unfinished):
            for id in [id for id, _ in timers.pop_due(now)]:
                assert isinstance(id, bytes)
                self._remove(self.rows[NodeId(id)], now)
                self._dropped.append(NodeId(id))
        dropped, self._dropped = self._dropped, []
        return dropped

    def _has_room(self, row: Row | None, delta: Delta, now: float) -> bool:
        """Whether the limits allow this delta. If the table is full, forget dead and left rows, those due first."""
        more = sum(ENTRY_BYTES + len(value or b"") for _, _, value in delta.entries)
        content = None if row is None else row.shadow or row.content
        if content is not None and content.size_bytes + more > _SLACK * MAX_ROW_BYTES:
            self.counts["row_too_large"] += 1
            return False
        if content is not None and content.services + len(delta.entries) > _SLACK * MAX_SERVICES_A_ROW:
            self.counts["too_many_services"] += 1
            return False
        rows, more = (1, more + ROW_BYTES) if row is None else (0, more)
        while len(self.rows) + rows > MAX_ROWS or self.size_bytes + more > MAX_TABLE_BYTES:
            if not self._evict(delta.id, now):
                self.counts["table_full"] += 1
                return False
        return True

    def _evict(self, but: NodeId, now: float) -> bool:
        """Forget the dead or left row that is due first, `but` this one. False if there is none."""
        spared: float | None = None
        evicted = False
        for id, due in self._gone.pop_due(float_info.max):
            assert isinstance(id, bytes)
            if id == but:
                spared = due
                continue
            self.counts["evicted"] += 1
            self._dropped.append(NodeId(id))
            self._remove(self.rows[NodeId(id)], now)
            evicted = True
            break
        if spared is not None:
            self._gone.set(but, spared)
        return evicted

    def _remove(self, row: Row, now: float) -> None:
        row = self.writable(row.id) or row
        self._put_hash(row, 0, now)
        self.size_bytes -= row.size_bytes
        self._gone.cancel(row.id)
        self._unfinished.cancel(row.id)
        del self.rows[row.id]
        self._touched[row.id] = None
        if row.settled_standing is not None:
            self._shown_anew[row.id] = None

    # -- after a change ----------------------------------------------------------------------------------------------

    def _settle(self, row: Row, *, answered: bool, now: float) -> None:
        """Update all that is derived from this row, which has changed. `answered`: `row.answers` before the change."""
        self._read_member(row, now)
        row.silenced = row.lags and not answered
        state = row.state
        changed = state is not row.settled_state
        if changed:
            row.settled_state, row.changed_at = state, now
        self._note_shown(row, changed)
        self._time_forgetting(row, now)
        content = row.content
        if content is None or not row.active:
            self._put_hash(row, 0, now)
        else:
            digest = content.digest if content.whole and not row.lags else 0
            version = Version(content.generation, content.counter)
            self._put_hash(row, row_hash(self.config.cluster, row.id, version, digest), now)
        size_bytes = ROW_BYTES + (content.size_bytes if content else 0) + (row.shadow.size_bytes if row.shadow else 0)
        self.size_bytes += size_bytes - row.size_bytes
        row.size_bytes = size_bytes
        self._touched[row.id] = None

    def _note_shown(self, row: Row, changed: bool) -> None:
        """Note the member if it is shown differently than before. `changed`: its state is another one."""
        standing, before, member = row.standing, row.settled_standing, row.member
        if changed or standing is not before or member is not row.settled_member:
            row.settled_standing, row.settled_member = standing, member
            if standing is not None or before is not None:
                self._shown_anew[row.id] = None

    def _read_member(self, row: Row, now: float) -> None:
        """Decode the member's own entry if it has changed."""
        source = row.member_source
        entry = None if source is None else source.entries.get(_MEMBER_KEY)
        if source is None or entry is None:
            return
        if entry == row.member_entry and source.generation == row.member_generation:
            return
        row.member_entry, row.member_generation = entry, source.generation
        value = source.view(KIND_MEMBER, 0)
        if value is None:
            return
        try:
            row.member = decode_member_untrusted(value)
        except BadDatagram:
            self.counts["bad_member"] += 1
            return
        restarting = row.member.status is Status.RESTARTING
        row.hold_until = now + min(row.member.hold_s, MAX_HOLD_S) if restarting else -inf

    def _time_forgetting(self, row: Row, now: float) -> None:
        """Set the time at which this row is forgotten. A dead or left row is kept for a while after its state changed;
        a row that was never complete or is quarantined, for a while after its last change."""
        if row is self.own:
            return
        forget_at = inf
        if row.settled_state in (State.DEAD, State.LEFT):
            durable = row.member is not None and row.member.durable
            forget_at = row.changed_at + (self.config.dead_row_s if durable else self.config.dead_row_brief_s)
        if forget_at == inf and (row.content is None or row.quarantined):
            self._unfinished.set(row.id, now + self.config.dead_row_brief_s)
        else:
            self._unfinished.cancel(row.id)
        if forget_at == row.forget_at:
            return
        row.forget_at = forget_at
        if forget_at < inf:
            self._gone.set(row.id, forget_at)
        else:
            self._gone.cancel(row.id)

    def _put_hash(self, row: Row, value: int, now: float) -> None:
        change = row.hash ^ value
        if not change:
            return
        if not row.hash:
            insort(self._hashed, row.id)
        elif not value:
            del self._hashed[bisect_left(self._hashed, row.id)]
        row.hash = value
        self.fingerprint ^= change
        bucket = row.id[0]
        self.bucket_hash[bucket] ^= change
        self.bucket_changed_at[bucket] = max(now, self.bucket_changed_at[bucket])
