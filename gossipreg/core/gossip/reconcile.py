"""Anti-entropy: compare two tables and find the rows that differ.

Owns: comparisons begun and answered. Never knows: how a row is pulled (`pulls.py`) or what is in it. A member that is
not synced begins no comparison (`join.py`).

Every ping and ack carries the table's fingerprint. If the fingerprints differ, the member P that pinged begins a
comparison with the member Q that acked:

    P -> Q   Buckets    the table in up to 256 buckets, 4 salted bytes each
    Q -> P   Hashes     for the buckets that differ: 4 salted bytes a row (none if nothing differs any more)
    P -> Q   Want       the hashes that P does not have;  Versions of the rows whose hashes Q does not have
    Q -> P   Versions   of the rows in Want; then each side pulls the rows in which it is behind

A receiver of Versions that is ahead answers with its own versions, so that the other member pulls. If it knows that a
listed member is dead, it answers with that claim; if the member has left, with the last page of its row.

- A bucket that changed within `settle_s` is left out, and compared later: while members change their rows, tables are
  never equal, and an update that is being gossiped needs no comparison.
- If a comparison with a member changed neither of the two fingerprints, the interval to the next one is doubled.
- A member that lacked many rows compares with two others soon, so a healed partition spreads in log n rounds. If it
  lacked a few, they are gossiped on, because other members probably missed them too.
- A member that has joined compares with its neighbours soon. Members that join at the same moment have no sessions with
  each other yet, so each drops some of what the others gossip.
"""

from collections.abc import Iterator

from gossipreg.core.context import Context
from gossipreg.core.gossip.dissemination import Dissemination, Topic
from gossipreg.core.gossip.join import Joining
from gossipreg.core.gossip.pulls import Pulls
from gossipreg.core.session.channel import Channel
from gossipreg.core.session.outbox import Class
from gossipreg.core.table.ring import Ring
from gossipreg.core.table.table import Table
from gossipreg.model import NOTHING, NodeId, Version
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire import sizes
from gossipreg.wire.messages import ROW_HASH_BYTES, Buckets, Claim, Hashes, Versions, Want

_MASK = (1 << 64) - 1  # 64 bits
_ODD = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: Knuth's multiplicative hashing

_BITS_MIN, _BITS_MAX = 4, 8
"""A table is compared in 2**bits buckets. These are bounds of the message Buckets, so they are the same for all."""
_HASHES_MAX_BYTES = 16 * 1024
"""The largest answer to Buckets: one small datagram must not make us send more. The next comparison finds the rows that
the answer leaves out."""
_KEPT_MAX = 8
"""The comparisons that are kept: of those that we began, to recognise the Hashes that answer them, and of those that
other members began, to look up the hashes in their Want. Beyond it the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Timer: begin a comparison with this member. Buckets that changed shortly before are compared now too."""

    peer: NodeId
    again: bool = False
    """Whether this is the second comparison, for the buckets that the first one left out. It sets no timer for a third
    one: in a busy cluster some bucket has always just changed, and the next ack leads to another comparison."""


def salted(value: int, salt: int) -> int:
    """32 bits of a 64-bit hash, with a salt: two rows that collide with one salt do not collide with the next."""
    return (((value ^ salt) * _ODD) & _MASK) >> 32


def _split(hashes: bytes) -> Iterator[bytes]:
    return (hashes[at : at + ROW_HASH_BYTES] for at in range(0, len(hashes), ROW_HASH_BYTES))


@dataclass(slots=True)
class _Begun:
    """The last comparison that we began with a member."""

    at: float
    """When it began."""
    fingerprints: tuple[int, int]
    """Of our table and of the peer's."""
    fruitless: int = 0
    """Comparisons in a row that were answered while no fingerprint changed."""
    answered: bool = False
    """Whether the member has answered with Hashes."""


@dataclass(slots=True)
class _Answer:
    """What we answered to the Buckets of a member."""

    peer: NodeId
    at: float
    """When the answer was sent."""
    rows: dict[int, NodeId]
    """The rows that were sent, by salted hash."""


class AntiEntropy:
    def __init__(
        self,
        context: Context,
        table: Table,
        ring: Ring,
        channel: Channel,
        dissemination: Dissemination,
        pulls: Pulls,
        joining: Joining,
    ) -> None:
        self._context = context
        self._table = table
        self._ring = ring
        self._channel = channel
        self._dissemination = dissemination
        self._pulls = pulls
        self._joining = joining
        self._tuning = context.config.gossip
        self._begun: dict[NodeId, _Begun] = {}
        """By member, the last comparison that we began with it."""
        self._open: dict[int, tuple[NodeId, int]] = {}
        """Comparisons that we began, by salt: (peer, bits)."""
        self._answered: dict[int, _Answer] = {}
        """Comparisons of other members that we answered, by salt."""

    # -- when to compare ---------------------------------------------------------------------------------------------

    def on_fingerprint(self, peer: NodeId, fingerprint: int, *, may_compare: bool) -> None:
        """A ping or ack of this member carried its fingerprint. Only the member that pinged begins a comparison, so it
        sets `may_compare`."""
        if fingerprint == self._table.fingerprint:
            self._dissemination.tables_equal(peer)
            return
        if may_compare and self._joining.synced and self._may_begin(peer, fingerprint):
            self._begin(peer, fingerprint)

    def _may_begin(self, peer: NodeId, fingerprint: int) -> bool:
        """Whether we have waited long enough since the last comparison with this member: half of `compare_s`, because
        its acks do not come at exact intervals; and longer, the more comparisons in a row changed nothing."""
        context = self._context
        begun = self._begun.get(peer)
        if begun is None:
            return True
        fruitless = begun.fruitless
        if begun.fingerprints != (self._table.fingerprint, fingerprint):
            fruitless = 0
        elif begun.answered:
            fruitless += 1
        wait_s = context.config.compare_s * (2.0 ** min(fruitless, self._tuning.compare_doublings) - 0.5)
        return context.now - begun.at >= wait_s

    def compare_soon(self, peer: NodeId) -> None:
        """Begin a comparison with this member after a short time, in which updates that are being gossiped arrive."""
        context = self._context
        context.timers.set_earlier(Compare(peer), context.now + 2 * context.config.settle_s)

    def on_synced(self) -> None:
        """Compare with the neighbours soon: this member is synced now."""
        for peer in self._ring.neighbours(self._context.config.fanout_ring):
            self.compare_soon(peer)

    def on_compare(self, timer: Compare) -> None:
        """Begin the comparison that this timer was set for, if its member is still on the ring."""
        if timer.peer in self._ring:
            self._begin(timer.peer, 0, again=timer.again)

    def _begin(self, peer: NodeId, fingerprint: int, *, again: bool = False) -> None:
        """Send Buckets to this member, whose table has this fingerprint (0: not known)."""
        context = self._context
        if not self._channel.room(Class.DELTA):
            return
        context.count("comparisons")
        self._note_begun(peer, (self._table.fingerprint, fingerprint))
        rows = len(self._ring)
        bits = min(max(rows.bit_length(), _BITS_MIN), _BITS_MAX)
        while 4 << bits > self._channel.limit(peer) - 64:
            bits -= 1
        salt = context.rng.getrandbits(64) | 1
        self._open[salt] = (peer, bits)
        if len(self._open) > _KEPT_MAX:
            del self._open[next(iter(self._open))]
        hashes, settled = self._bucket_hashes(bits)
        digests = b"".join(
            (salted(value, salt) or 1).to_bytes(4, "big") if is_settled else bytes(4)
            for value, is_settled in zip(hashes, settled, strict=True)
        )
        self._channel.to(peer, Buckets(salt, bits, digests))
        if not all(settled) and not again:
            settled_at = context.now + context.config.settle_s + context.config.gather_s
            context.timers.set_earlier(Compare(peer, again=True), settled_at)

    def _note_begun(self, peer: NodeId, fingerprints: tuple[int, int]) -> None:
        """Note a comparison with this member. One that was answered while no fingerprint changed was fruitless."""
        before = self._begun.get(peer)
        begun = self._begun[peer] = _Begun(self._context.now, fingerprints)
        if before is not None and before.fingerprints == fingerprints:
            begun.fruitless = before.fruitless + before.answered

    def _bucket_hashes(self, bits: int) -> tuple[list[int], list[bool]]:
        """The XOR of the row hashes in each of 2**bits buckets, and whether each was unchanged for `settle_s`."""
        ours = self._table.hashes
        settled_before = self._context.now - self._context.config.settle_s
        hashes, settled = [0] * (1 << bits), [True] * (1 << bits)
        shift = _BITS_MAX - bits
        for at in range(1 << _BITS_MAX):
            hashes[at >> shift] ^= ours.bucket_hash[at]
            if ours.bucket_changed_at[at] > settled_before:
                settled[at >> shift] = False
        return hashes, settled

    def _rows_of(self, bucket: int, bits: int, salt: int) -> dict[int, NodeId]:
        """The rows in this bucket of 2**bits, by their salted hashes."""
        shift = _BITS_MAX - bits
        rows: dict[int, NodeId] = {}
        for fine in range(bucket << shift, (bucket + 1) << shift):
            for id, value in self._table.hashes.rows_in(fine):
                rows[salted(value, salt)] = id
        return rows

    # -- the steps of a comparison -----------------------------------------------------------------------------------

    def on_buckets(self, peer: NodeId, message: Buckets) -> None:
        """Answer a comparison that this member begins with the hashes of our rows in the buckets that differ."""
        context = self._context
        if not self._channel.room(Class.PAGE):
            return
        bits, salt = message.bits, message.salt
        if not _BITS_MIN <= bits <= _BITS_MAX:
            context.count("drop.buckets_size")
            return
        if any(
            one.peer == peer and context.now - one.at < self._tuning.buckets_answer_s for one in self._answered.values()
        ):
            context.count("drop.buckets_too_often")
            return
        hashes, settled = self._bucket_hashes(bits)
        answered: dict[int, NodeId] = {}
        groups: list[tuple[int, int, int, bytes]] = []
        size = 0
        start = context.rng.randrange(1 << bits)  # an answer that is full leaves out other buckets each time
        for step in range(1 << bits):
            at = (start + step) % (1 << bits)
            theirs = message.digests[4 * at : 4 * at + 4]
            ours = (salted(hashes[at], salt) or 1).to_bytes(4, "big")
            if ours == theirs or theirs == bytes(4) or not settled[at]:
                continue
            rows = self._rows_of(at, bits, salt)
            size += len(rows) * ROW_HASH_BYTES
            if groups and size > _HASHES_MAX_BYTES:
                break
            answered.update(rows)
            groups += self._groups(peer, at, sorted(rows))
        self._answered[salt] = _Answer(peer, context.now, answered)
        if len(self._answered) > _KEPT_MAX:
            del self._answered[next(iter(self._answered))]
        self._send_groups(peer, salt, bits, groups)

    def _groups(self, peer: NodeId, bucket: int, hashes: list[int]) -> list[tuple[int, int, int, bytes]]:
        """The hashes of a bucket as (bucket, low, high, hashes), each small enough for a datagram, with all our hashes
        from `low` to `high`. The last ones of a very large bucket are left out."""
        most = sizes.row_hashes_in_bucket(self._channel.limit(peer))
        groups = []
        low = 0
        for at in range(0, max(len(hashes), 1), most):
            piece = hashes[at : at + most]
            high = piece[-1] if at + most < len(hashes) else (1 << 8 * ROW_HASH_BYTES) - 1
            groups.append((bucket, low, high, b"".join(value.to_bytes(ROW_HASH_BYTES, "big") for value in piece)))
            low = high + 1
        return groups[: _HASHES_MAX_BYTES // (most * ROW_HASH_BYTES) + 1]

    def _send_groups(self, peer: NodeId, salt: int, bits: int, groups: list[tuple[int, int, int, bytes]]) -> None:
        """Send these groups of hashes in as few Hashes as possible; an empty one if there are none."""
        room = sizes.room_for(Hashes, self._channel.limit(peer))
        batch: list[tuple[int, int, int, bytes]] = []
        size = 0
        for group in groups:
            cost = sizes.BUCKET_BYTES + len(group[3])
            if batch and size + cost > room:
                self._channel.to(peer, Hashes(salt, bits, tuple(batch)))
                batch, size = [], 0
            batch.append(group)
            size += cost
        self._channel.to(peer, Hashes(salt, bits, tuple(batch)))

    def on_hashes(self, peer: NodeId, message: Hashes) -> None:
        """Take an answer to our Buckets: request the rows that we lack, and offer those that the member lacks."""
        context = self._context
        if self._open.get(message.salt) != (peer, message.bits):
            context.count("hashes_unasked")
            return
        if peer in self._begun:
            self._begun[peer].answered = True
        rows_of: dict[int, dict[int, NodeId]] = {}
        wanted: list[bytes] = []
        lacking: dict[NodeId, None] = {}
        for bucket, low, high, hashes in message.buckets:
            if bucket not in rows_of:
                rows_of[bucket] = self._rows_of(bucket, message.bits, message.salt)
            rows = rows_of[bucket]
            theirs = dict.fromkeys(_split(hashes))
            wanted += [value for value in theirs if int.from_bytes(value, "big") not in rows]
            for value, id in rows.items():
                if low <= value <= high and value.to_bytes(ROW_HASH_BYTES, "big") not in theirs:
                    lacking[id] = None
        most = sizes.row_hashes_in_want(self._channel.limit(peer))
        for at in range(0, len(wanted), most):
            self._channel.to(peer, Want(message.salt, b"".join(wanted[at : at + most])))
        self._send_versions(peer, list(lacking))
        if len(wanted) >= self._tuning.many_rows:
            for other in self._ring.sample(context.rng, 2, [peer]):
                self.compare_soon(other)

    def on_want(self, peer: NodeId, message: Want) -> None:
        """Answer with the versions of the rows that the member lacks."""
        answer = self._answered.get(message.salt)
        rows = {} if answer is None or answer.peer != peer else answer.rows
        wanted = (int.from_bytes(value, "big") for value in _split(message.hashes))
        self._send_versions(peer, [rows[value] for value in wanted if value in rows])

    def _send_versions(self, peer: NodeId, ids: list[NodeId]) -> None:
        if not ids or not self._channel.room(Class.PAGE):
            return
        held = [(id, *self._table.rows[id].version) for id in ids if id in self._table.rows]
        most = sizes.versions_in(self._channel.limit(peer))
        for at in range(0, len(held), most):
            self._channel.to(peer, Versions(tuple(held[at : at + most])))

    # -- versions: the member that is behind pulls -------------------------------------------------------------------

    def on_versions(self, peer: NodeId, message: Versions) -> None:
        """Compare these versions with ours: pull what we lack, and answer with the rows in which the peer is behind. A
        page of a list goes to `join.py` too."""
        ahead: list[NodeId] = []
        few = message.next is None and len(message.rows) < self._tuning.many_rows
        for id, generation, counter in message.rows:
            self._compare_version(peer, id, Version(generation, counter), ahead, few)
        if message.next is None:
            self._send_versions(peer, ahead)
        else:
            self._joining.on_page(peer, message)

    def _compare_version(self, peer: NodeId, id: NodeId, theirs: Version, ahead: list[NodeId], few: bool) -> None:
        """Compare one row, which `peer` holds at `theirs`, with ours: pull it if we are behind, and add it to `ahead`
        if the peer is behind. With `few` the row is gossiped on once it is pulled."""
        context = self._context
        self._dissemination.acked_by(peer, Topic(id, False), theirs)
        row = self._table.rows.get(id)
        if row is None:
            self._pulls.pull(id, peer, theirs, NOTHING, gossip_on=few)
        elif id == context.id:
            if theirs < row.version:
                ahead.append(id)
        elif (row.dead or row.left) and theirs.generation <= row.liveness.generation:
            self.answer_gone(peer, id, theirs)
        elif row.pull_from < theirs:
            self._pulls.pull(id, peer, theirs, row.pull_from, gossip_on=few)
        elif theirs < row.version:
            ahead.append(id)

    def answer_gone(self, peer: NodeId, id: NodeId, theirs: Version) -> None:
        """Answer a peer that holds the row of a member that is dead or left: with the claim that it is dead, or with
        the last page of the row, which says that it left."""
        context = self._context
        row = self._table.rows[id]
        if row.left:
            page = self._table.page(id, theirs, self._channel.limit(peer))
            if page is not None:  # a receiver that lacks more pages pulls them
                self._channel.to(peer, page)
        else:
            self._channel.to(peer, Claim(id, *row.liveness, by=row.reporter or context.id))

    def forget(self, id: NodeId) -> None:
        self._begun.pop(id, None)
