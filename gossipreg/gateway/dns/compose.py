"""Records to a message: shuffled, cut to size, with the id and the question of the client.

Owns what happens if not all fits (RFC 2181 section 9). Addresses of SRV targets are left out silently, since the client
can ask for them. If not all answers fit, the message is marked as truncated (TC) and has a subset of them. Rendezvous
hashing of (this sidecar, client, record) chooses the subset: a client keeps its subset while the records stay, clients
have different ones, and so have equal client addresses at other sidecars, where most are 127.0.0.1.
"""

import random

from gossipreg.blake2 import blake2b
from gossipreg.gateway.dns import wire
from gossipreg.gateway.dns.directory import ServiceEntry

SUBSETS_MAX = 64
"""Subsets that are kept with an answer, one per client; when there are more, all are dropped. Most sidecars have one
client address."""
_MASK = (1 << 64) - 1
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Multipliers of the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""


def mark_of(data: bytes) -> int:
    """The hash of a record or a client that chooses subsets."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class DnsRecord:
    """One answer, and for an SRV its target's address."""

    __slots__ = ("address", "answer", "mark", "target")

    def __init__(self, answer: bytes, identity: bytes, target: bytes = b"", address: bytes = b"") -> None:
        """`address` is the record of the target's address without its owner; both are empty if there is none."""
        self.answer = answer
        self.target = target
        self.address = address
        self.mark = mark_of(identity)

    @property
    def full_bytes(self) -> int:
        return len(self.answer) + (2 + len(self.address) if self.address else 0)


class DnsAnswer:
    """All that is answered to one question, but for what differs each time. Not changed once it is made."""

    __slots__ = (
        "_subsets", "answers_bytes", "authoritative", "authority", "counted_as", "entry", "one_of", "rcode", "records",
        "revision", "with_addresses",
    )  # fmt: skip

    def __init__(
        self,
        records: tuple[DnsRecord, ...] = (),
        *,
        rcode: int = wire.NOERROR,
        authority: bytes = b"",
        authoritative: bool = True,
        one_of: bool = False,
        entry: ServiceEntry | None = None,
    ) -> None:
        """`authority` is one record or none; `one_of`: one of the records is the whole answer; `entry` is the service
        that it was made of."""
        self.records = records
        self.rcode = rcode
        self.authority = authority
        self.authoritative = authoritative
        self.one_of = one_of
        self.entry = entry
        self.revision = 0 if entry is None else entry.revision
        self.answers_bytes = sum(len(record.answer) for record in records)
        self.with_addresses = any(record.address for record in records)
        outcome = "nodata" if rcode == wire.NOERROR and not records else wire.RCODES[rcode]
        self.counted_as = f"dns.answers.{outcome}"
        self._subsets: dict[tuple[int, int], tuple[DnsRecord, ...]] = {}

    def subset(self, client_mark: int, room_bytes: int) -> tuple[DnsRecord, ...]:
        """As many as fit with their addresses, the same for the same client."""
        key = (client_mark, room_bytes)
        kept = self._subsets.get(key)
        if kept is None:
            chosen = []
            for record in sorted(self.records, key=lambda record: _rank(record.mark, client_mark)):
                room_bytes -= record.full_bytes
                if room_bytes < 0:
                    break
                chosen.append(record)
            if len(self._subsets) >= SUBSETS_MAX:
                self._subsets.clear()
            kept = self._subsets[key] = tuple(chosen)
        return kept


def _rank(record_mark: int, client_mark: int) -> int:
    value = record_mark ^ client_mark
    value = (value ^ value >> 30) * _MIX_1 & _MASK
    value = (value ^ value >> 27) * _MIX_2 & _MASK
    return value ^ value >> 31


def compose(
    answer: DnsAnswer, id: int, desired: int, question: bytes, opt: bytes, limit_bytes: int, client_mark: int,
    rng: random.Random,
) -> tuple[bytes, bool]:  # fmt: skip
    """A message of at most `limit_bytes`, and whether it is truncated. `desired` is RD as it was asked."""
    flags = desired | wire.AA if answer.authoritative else desired
    room = limit_bytes - wire.HEADER.size - len(question) - len(opt) - len(answer.authority)
    records: list[DnsRecord] | tuple[DnsRecord, ...] = answer.records
    cut = False
    if answer.one_of:
        records = (records[int(rng.random() * len(records))],)
    elif answer.answers_bytes > room:
        records, cut = answer.subset(client_mark, room), True
        flags |= wire.TC
    if len(records) > 1:
        records = list(records)
        _shuffle(records, rng)
    parts = [b"", question]
    parts += [record.answer for record in records]
    parts.append(answer.authority)
    additional = _addresses(records, room, wire.HEADER.size + len(question)) if answer.with_addresses else []
    parts += additional
    parts.append(opt)
    parts[0] = wire.HEADER.pack(
        id, flags | wire.QR | answer.rcode & 15, 1 if question else 0, len(records), 1 if answer.authority else 0,
        len(additional) + (1 if opt else 0),
    )  # fmt: skip
    return b"".join(parts), cut


def _shuffle(records: list[DnsRecord], rng: random.Random) -> None:
    """Fisher and Yates's; with random() it takes a third of the time of rng.shuffle, and its bias is below 2^-40."""
    draw = rng.random
    for last in range(len(records) - 1, 0, -1):
        other = int(draw() * (last + 1))
        records[last], records[other] = records[other], records[last]


def _addresses(records: list[DnsRecord] | tuple[DnsRecord, ...], room: int, at: int) -> list[bytes]:
    """The addresses of the targets, as many as fit. Their owners are pointers into the records, which begin at `at`."""
    for record in records:
        room -= len(record.answer)
    found = []
    for record in records:
        if record.address:
            target_at = at + wire.SRV_TARGET_AT
            owner = wire.pointer(target_at) if target_at < wire.POINTER_REACH else record.target
            room -= len(owner) + len(record.address)
            if room < 0:
                break
            found.append(owner + record.address)
        at += len(record.answer)
    return found
