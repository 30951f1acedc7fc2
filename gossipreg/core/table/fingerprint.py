"""The fingerprint of the table, and one hash for each bucket of it: 64 bits that two members share if their tables are
equal, and with a chance of 1 in 2**64 if they are not.

Owns: the XOR of the hashes of all rows, the same for each bucket (the rows whose ids begin with the same byte), and
which rows are in it, in order of id. Must never know: how a row came to change, or who compares.

The fingerprint covers what healthy members agree on: every row that is neither dead, left nor quarantined, by its id,
version and digest (0 instead of the digest while the row is not complete). A row that was never complete here is not in
the fingerprint, and comparisons do not bring it to others. Otherwise the fragment of a row whose owner died while it
joined would be passed around for ever.

A change of a row changes the fingerprint by the old and the new hash of that row, so its cost does not depend on the
size of the row or of the table.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from functools import cache
from math import inf

from gossipreg.blake2 import blake2b
from gossipreg.core.table.row import Row
from gossipreg.model import NodeId, Version

BUCKETS = 256


@cache
def _hasher(cluster: str) -> "blake2b":
    return blake2b(digest_size=8, person=blake2b(cluster.encode(), digest_size=16).digest())


def row_hash(cluster: str, id: NodeId, version: Version, digest_or_0: int) -> int:
    """64 bits of a row, different in each cluster."""
    hasher = _hasher(cluster).copy()
    hasher.update(b"%s%d,%d,%d" % (id, *version, digest_or_0))
    return int.from_bytes(hasher.digest(), "big")


class TableFingerprint:
    def __init__(self, cluster: str, rows: dict[NodeId, Row]) -> None:
        """`rows` is the table."""
        self._cluster = cluster
        self._rows = rows
        self.value = 0
        self.bucket_hash = [0] * BUCKETS
        """The XOR of the hashes of the rows in each bucket."""
        self.bucket_changed_at = [-inf] * BUCKETS
        self._ids: list[NodeId] = []
        """The rows that are in the fingerprint, in order of id, and so by bucket."""

    def rows_in(self, bucket: int) -> Iterator[tuple[NodeId, int]]:
        """(id, hash) of the rows in one of the buckets."""
        for at in range(bisect_left(self._ids, bytes((bucket,))), len(self._ids)):
            id = self._ids[at]
            if id[0] != bucket:
                return
            yield id, self._rows[id].hash

    def update(self, row: Row, now: float) -> None:
        """This row has changed, or is new."""
        content = row.content
        if content is None or not row.active:
            self._put(row, 0, now)
            return
        digest = content.digest if content.whole and not row.lags else 0
        version = Version(content.generation, content.counter)
        self._put(row, row_hash(self._cluster, row.id, version, digest), now)

    def remove(self, row: Row, now: float) -> None:
        self._put(row, 0, now)

    def _put(self, row: Row, value: int, now: float) -> None:
        """Replace the hash of this row; 0: it is not in the fingerprint."""
        change = row.hash ^ value
        if not change:
            return
        if not row.hash:
            insort(self._ids, row.id)
        elif not value:
            del self._ids[bisect_left(self._ids, row.id)]
        row.hash = value
        self.value ^= change
        bucket = row.id[0]
        self.bucket_hash[bucket] ^= change
        self.bucket_changed_at[bucket] = max(now, self.bucket_changed_at[bucket])
