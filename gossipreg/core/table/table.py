"""The table: one row for each member, their merge, and the fingerprint that says whether two tables are equal.

Owns: the rows, how deltas and claims are merged into them, the fingerprints, the limits, and forgetting. Must never
know: how anything came here or is sent on, who is to be probed, what a service is.

A row belongs to the member whose id it has; only that member's own words are in it, so merging is comparing versions.
Whatever changes a row goes through `_settle`, which brings everything derived from it up to date, at a cost that does
not depend on the size of row or table: its hash in the table's fingerprint and buckets, its size, when it is to be
forgotten, and that it was touched.

The fingerprint holds what healthy members agree on: rows that are neither dead nor left nor unproven, each by (id,
version, digest; 0 in place of the digest while the row is not whole). A row of which no snapshot was ever whole here is
not in it, nor relayed by comparing: else the remains of a member that died while it joined would go round for ever.
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
"""What a row counts beside its entries."""
_SLACK = 2
"""A row on its way from one state to another may hold some of both, so others grant it twice what its owner has."""
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
        """`wall_ms` is the wall clock at `now`: how far generations are believed."""
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
        """What the wall clock showed when the core's clock was 0, as far as it was right at the start."""
        self._hashed: list[NodeId] = []
        """The rows that are in the fingerprint, in order of id, and so by bucket."""
        self._gone = Timers()
        """When each dead or left row is to be forgotten, by id."""
        self._unfinished = Timers()
        """The same for rows of which no snapshot was ever whole, and unproven ones."""
        self._dropped: list[NodeId] = []
        self._touched: dict[NodeId, None] = {}
        self._shown_anew: dict[NodeId, None] = {}
        """Members of which an observer would tell something else than before."""
        self.own = Row(own_id, Liveness(generation, 0, Rank.ALIVE), now)
        self.own.content = Content(generation).own()
        self.rows: dict[NodeId, Row] = {own_id: self.own}
        self._settle(self.own, answered=True, now=now)

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Of our own row. It rises when another process uses our id."""
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
        """Put a value into our own row, or take the slot out (None). Raises TooLarge; then nothing changed."""
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
        """Our row starts anew: somebody else has used our generation."""
        self.own.content = self._own_content().renewed(generation)
        self.own.liveness = Liveness(generation, 0, Rank.ALIVE)
        self._settle(self.own, answered=True, now=now)

    def refute(self, claim_generation: int, claim_incarnation: int, now: float) -> Liveness | None:
        """Rise above a claim about us; None where we stand above it already, or have left.

        Above the largest incarnation there is nothing: only a new generation helps (counted).
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

    def merge_delta(self, delta: Delta, *, from_owner: bool, in_step: bool, now: float) -> Merged:
        """Take what is new of a page of somebody's row. Pages of our own row never change anything."""
        row = self.rows.get(delta.id)
        if row is None:
            return self._meet(delta, from_owner=from_owner, in_step=in_step, now=now)
        held, before, answered = row.liveness, row.told, row.answers
        known = (delta.generation, delta.reached) <= before and not (row.behind or row.unproven)
        if row is self.own or known or delta.generation < held.generation:
            return Merged(MergeOutcome.NOTHING, before, before)
        if not self._has_room(row, delta, now):
            return Merged(MergeOutcome.REFUSED, before, before)
        row = self.writable(row.id) or row
        if delta.generation > held.generation:
            row.liveness, row.reporter, row.shadow = Liveness(delta.generation, 0, Rank.ALIVE), None, None
        row.unproven = row.unproven and not from_owner
        outcome = self._take(row, delta)
        self._settle(row, answered=answered, now=now)
        after = row.told
        return Merged(outcome, before, after, news=after > before, claim=row.liveness if row.liveness != held else None)

    def merge_claim(self, claim: Claim, now: float) -> Merged:
        """Take what is said of somebody's life, where it rises. Nobody but us changes what is said of us."""
        row = self.rows.get(claim.id)
        said = Liveness(claim.generation, claim.incarnation, claim.rank)
        if row is None or row is self.own or not rises(row.liveness, row.left, said):
            version = NOTHING if row is None else row.told
            return Merged(MergeOutcome.NOTHING, version, version)
        answered, version = row.answers, row.told
        row = self.writable(row.id) or row
        if said.generation > row.liveness.generation:
            row.shadow = None
        row.liveness = said
        row.reporter = None if said.rank is Rank.ALIVE else claim.by
        self._settle(row, answered=answered, now=now)
        return Merged(MergeOutcome.APPLIED, version, version, claim=said)

    def too_far_ahead(self, id: NodeId, generation: int, now: float) -> bool:
        """Whether this generation of a member that we know is so far ahead of our clock that only the member itself is
        believed."""
        row = self.rows.get(id)
        if row is None or generation <= row.liveness.generation:
            return False
        return started_ms(generation) - self.wall_at_0_ms - now * 1000 > _AHEAD_MS

    def _meet(self, delta: Delta, *, from_owner: bool, in_step: bool, now: float) -> Merged:
        """A page of a row that is not here."""
        if delta.base > 0:
            return Merged(MergeOutcome.GAP, NOTHING, NOTHING)
        if not self._has_room(None, delta, now):
            return Merged(MergeOutcome.REFUSED, NOTHING, NOTHING)
        row = self.rows[delta.id] = Row(delta.id, Liveness(delta.generation, 0, Rank.ALIVE), now)
        outcome = self._take(row, delta)
        self._read_member(row, now)
        row.unproven = in_step and not from_owner and not self._plausible(row, now)
        self._settle(row, answered=False, now=now)
        return Merged(outcome, NOTHING, row.told, row.content is not None, row.liveness)

    def _plausible(self, row: Row, now: float) -> bool:
        """Whether a member unknown to a table in step can have started then: neither in the future, nor so long ago
        that its row, had it died since, would be forgotten by now."""
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
                row.shadow = Content(delta.generation)  # below the owner's floor
        elif row.shadow is None:
            row.shadow = Content(delta.generation)
        shadow = row.shadow
        if shadow is None:
            return outcome
        if delta.base <= shadow.counter < delta.reached and not shadow.floor_fits(delta):
            shadow = row.shadow = Content(delta.generation)  # pages of two floors do not mix: from the start
        took = self._extend(row, shadow, delta)
        if shadow.whole and (content is None or shadow.counter >= content.counter):
            row.content, row.shadow = shadow, None
        if row.shadow is not None and row.shadow.head < 0:
            return MergeOutcome.GAP  # a snapshot is needed, and nothing of it is here
        return took if content is None or took is MergeOutcome.APPLIED else outcome

    def _extend(self, row: Row, content: Content, delta: Delta) -> MergeOutcome:
        """Apply a delta where it fits. What comes to its head with another digest than the owner's is fetched again,
        once for each head."""
        if delta.reached <= content.counter and content.head >= 0:
            return MergeOutcome.NOTHING
        if not content.accepts(delta):
            return MergeOutcome.GAP
        content.apply(delta)
        if content.whole and content is row.content and row.shadow is not None and content.head >= row.shadow.head:
            row.shadow = None  # right again without it
        if not content.mismatched:
            return MergeOutcome.APPLIED
        head = Version(content.generation, content.head)
        if row.refetched == head:
            self.counts["digest_mismatch_again"] += 1
            if content is row.shadow and not row.lags:
                row.shadow = None  # what is here is no worse
            return MergeOutcome.APPLIED
        self.counts["digest_mismatch"] += 1
        row.refetched = head
        if row.shadow is None or content is row.shadow:
            row.shadow = Content(content.generation)
        return MergeOutcome.GAP

    # -- telling -----------------------------------------------------------------------------------------------------

    def page(self, id: NodeId, since: Version, limit_bytes: int) -> Delta | None:
        """The next page of a row for somebody who has it up to `since`, at most `limit_bytes` when encoded. None where
        we have nothing beyond, and of the dead and the unproven: their rows are not handed on."""
        row = self.rows.get(id)
        if row is None or (row.dead and not row.left) or row.unproven:
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
        """The row, to be changed: one that other tables hold too is copied first."""
        row = self.rows.get(id)
        if row is not None and row.shared:
            row = self.rows[id] = row.copy()
        return row

    def drain_touched(self) -> list[NodeId]:
        """The rows whose content, liveness or state changed since last asked, and those that are gone, in order."""
        if not self._touched:
            return []
        touched, self._touched = self._touched, {}
        return list(touched)

    def drain_shown_anew(self) -> list[NodeId]:
        """The members whose own entry, state or standing changed since last asked, and those that are gone, in
        order."""
        shown_anew, self._shown_anew = self._shown_anew, {}
        return list(shown_anew)

    def hide(self, id: NodeId, hidden: bool) -> Row | None:
        """Take a member out of our own answers, or back. The row if that is a change."""
        row = self.rows.get(id)
        if row is None or row.hidden == hidden:
            return None
        row = self.writable(id) or row
        row.hidden = hidden
        self._note_shown(row, changed=False)
        return row

    # -- keeping and forgetting --------------------------------------------------------------------------------------

    def admit(self, id: NodeId, now: float) -> None:
        """An unproven row's owner has answered."""
        row = self.writable(id)
        if row is not None and row.unproven:
            row.unproven = False
            self._settle(row, answered=False, now=now)

    def doubt(self, id: NodeId, now: float) -> None:
        """Nobody gives the rest of this row: where it was never whole, its owner is to answer for it."""
        row = self.writable(id)
        if row is not None and row.active and row.content is None:
            row.unproven = True
            self._settle(row, answered=False, now=now)

    def expire(self, now: float) -> list[NodeId]:
        """Forget what is due, our own old tombstones too. The ids of rows gone since last asked, for lack of room
        as well. Cheap where nothing is due."""
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
        """Whether the limits allow this delta; the dead who are nearest to being forgotten make room."""
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
        """Forget the dead or left row that is nearest to it, `but` this one; False where there is none."""
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

    # -- what follows from a change ----------------------------------------------------------------------------------

    def _settle(self, row: Row, *, answered: bool, now: float) -> None:
        """The row was changed; `answered` is what `row.answers` was before. All that is derived from it follows."""
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
        """Note the member if an observer would tell something else of it than before; `changed`: its state did."""
        standing, before, member = row.standing, row.settled_standing, row.member
        if changed or standing is not before or member is not row.settled_member:
            row.settled_standing, row.settled_member = standing, member
            if standing is not None or before is not None:
                self._shown_anew[row.id] = None

    def _read_member(self, row: Row, now: float) -> None:
        """Decode the member's own entry where it is another than before."""
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
        """Dead and left rows are kept for a while; one that never became whole, or is in doubt, while it changes."""
        if row is self.own:
            return
        forget_at = inf
        if row.settled_state in (State.DEAD, State.LEFT):
            durable = row.member is not None and row.member.durable
            forget_at = row.changed_at + (self.config.dead_row_s if durable else self.config.dead_row_brief_s)
        if forget_at == inf and (row.content is None or row.unproven):
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
