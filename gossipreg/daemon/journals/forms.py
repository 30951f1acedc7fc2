"""What lies in the rows of the journals' database, as bytes: entries of a log, records of a state, and the summary of a
replica.

Each row begins with a checksum over its content and over the place where it belongs, so that a row that was changed, or
that turns up in another place, is noticed. The summary of a replica has the sum of the checksums of its entries and of
its records, so that a row that is missing, or an old version of a row, is noticed too. The checksums are against
accidents: who can write the file can make them. They are BLAKE2b (RFC 7693) of 16 bytes.

entry       checksum, then MessagePack of [round, replica of the ballot, led time in ms, kind, data]
record      checksum, then the value
summary     checksum, then MessagePack of the fields of ReplicaSummary
"""

from dataclasses import dataclass, replace

import msgpack

from gossipreg.blake2 import blake2b
from gossipreg.errors import BadDatagram
from gossipreg.journal.effects import LogBase
from gossipreg.journal.model import Ballot, Configuration, JournalId, LogEntry, Position, ReplicaId
from gossipreg.journal.values import decode_configuration, encode_configuration
from gossipreg.model import NodeId

CHECKSUM_BYTES = 16
SUMS = 1 << 8 * CHECKSUM_BYTES
"""Sums of checksums are taken modulo this."""
ROW_BYTES = 24
"""What a row takes on the disk beside its content, about: for the space of a journal."""
SUMMARY_BYTES = 512
"""What a replica takes that has nothing, about."""

_pack = msgpack.Packer().pack


class DamagedRow(Exception):
    """A row is not what was written. The text says which, for the operator."""


@dataclass(slots=True)
class ReplicaSummary:
    """A replica without its entries and records. The writer changes a copy, and keeps it once it is on the disk."""

    replica: ReplicaId
    journal: JournalId
    owner: NodeId
    promised: Ballot
    base: LogBase
    last: int
    """The index of the last entry; that of the base if there is none."""
    applied: int
    entries_bytes: int = 0
    entries_sum: int = 0
    """Of the checksums of the entries above the base, modulo `SUMS`."""
    records: int = 0
    records_bytes: int = 0
    records_sum: int = 0
    writes: int = 0
    """How many writes this replica had. The file of acknowledged writes must not have a higher number."""

    def copy(self) -> "ReplicaSummary":
        return replace(self)

    @property
    def space_bytes(self) -> int:
        return SUMMARY_BYTES + self.entries_bytes + self.records_bytes


def checksum_of(row: bytes) -> int:
    return int.from_bytes(row[:CHECKSUM_BYTES])


def _checksum(person: bytes, place: bytes, content: bytes) -> bytes:
    """`place` has a fixed length for each `person`, so that two places never make the same bytes."""
    digest = blake2b(place, digest_size=CHECKSUM_BYTES, person=person)
    digest.update(content)
    return digest.digest()


# -- entries -----------------------------------------------------------------------------------------------------------


def encode_entry(replica: ReplicaId, entry: LogEntry) -> bytes:
    content: bytes = _pack((entry.ballot.round, entry.ballot.replica, entry.led_ms, entry.kind, entry.data))
    return _checksum(b"entry", replica + entry.index.to_bytes(8), content) + content


def decode_entry(replica: ReplicaId, index: int, row: bytes) -> LogEntry:
    """Raises DamagedRow."""
    content = row[CHECKSUM_BYTES:]
    if _checksum(b"entry", replica + index.to_bytes(8), content) != row[:CHECKSUM_BYTES]:
        raise DamagedRow(f"entry {index} is not what was written")
    round, voter, led_ms, kind, data = msgpack.unpackb(content)
    return LogEntry(index, Ballot(round, ReplicaId(voter)), led_ms, kind, data)


# -- records -----------------------------------------------------------------------------------------------------------


def encode_record(replica: ReplicaId, key: bytes, value: bytes) -> bytes:
    return _checksum(b"record", replica + len(key).to_bytes(8), key + value) + value


def decode_record(replica: ReplicaId, key: bytes, row: bytes) -> bytes:
    """The value. Raises DamagedRow."""
    if encode_record(replica, key, row[CHECKSUM_BYTES:]) != row:
        raise DamagedRow(f"the record {key[:32].hex()} is not what was written")
    return row[CHECKSUM_BYTES:]


# -- summaries ---------------------------------------------------------------------------------------------------------


def encode_summary(summary: ReplicaSummary) -> bytes:
    one, base = summary, summary.base
    content: bytes = _pack(
        (
            one.owner, one.promised, (base.position.ballot, base.position.index), base.led_ms,
            _configuration(base.configuration),
            one.last, one.applied, one.entries_bytes, one.entries_sum.to_bytes(CHECKSUM_BYTES),
            one.records, one.records_bytes, one.records_sum.to_bytes(CHECKSUM_BYTES), one.writes,
        )
    )  # fmt: skip
    return _checksum(b"replica", one.replica + one.journal, content) + content


def decode_summary(replica: bytes, journal: bytes, row: bytes) -> ReplicaSummary:
    """Raises DamagedRow."""
    content = row[CHECKSUM_BYTES:]
    if _checksum(b"replica", replica + journal, content) != row[:CHECKSUM_BYTES]:
        raise DamagedRow("its summary is not what was written")
    try:
        (
            owner, promised, (ballot, index), led_ms, configuration,
            last, applied, entries_bytes, entries_sum, records, records_bytes, records_sum, writes,
        ) = msgpack.unpackb(content)  # fmt: skip
        voters = decode_configuration(configuration) if configuration else Configuration(())
    except (ValueError, BadDatagram) as error:
        raise DamagedRow(f"its summary cannot be read: {error}") from None
    return ReplicaSummary(
        ReplicaId(replica), JournalId(journal), NodeId(owner), _ballot(promised),
        LogBase(Position(_ballot(ballot), index), led_ms, voters), last, applied,
        entries_bytes, int.from_bytes(entries_sum), records, records_bytes, int.from_bytes(records_sum), writes,
    )  # fmt: skip


def _configuration(configuration: Configuration) -> bytes:
    """Empty where nobody votes: a new copy does not know yet who does."""
    return encode_configuration(configuration) if configuration.voters else b""


def _ballot(raw: list[object]) -> Ballot:
    round, replica = raw
    return Ballot(round, ReplicaId(replica))  # type: ignore[arg-type]  # the checksum says that we wrote it
