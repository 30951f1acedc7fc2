"""The closed set of datagram messages: the protocol's specification. `codec.py` is its implementation.

A datagram
----------
    header  format 1 | key id 4 | boot id 8 | counter 6          (19 bytes, associated data of the seal)
    body    sealed (plus a tag of 16 bytes), or clear where the cluster has no key

The counter starts at 1 in each process and rises by one with each datagram. So (boot id, counter) identifies a datagram
for ever: it shows replays, and Receipts name datagrams by the counter. A body is one or more messages:

    kind 1 | length 1 or 2 | payload

A length below 128 takes one byte; else two, big-endian, with the top bit set (so at most 32,767). A body is at most
8,900 bytes. One bad message drops the whole datagram.

Sizes
-----
No datagram is ever fragmented, so each must fit its path. Everything that can be large is a list, which its sender cuts
to the size that the path to the receiver is known to carry (`core/session/path_mtu.py`): 1,200 bytes of UDP payload
until more is confirmed, 576 if not even that arrives. An entry of a row takes at most 400 bytes (a larger value is
stored as several entries, `core/table/content.py`), so the largest message that cannot be cut, a Delta with one entry,
takes at most 512 bytes and fits the smallest datagram. That is why there is no message for fragments.

A size probe is a datagram with a Probe and a Padding that fills it up. A receiver that does not know Padding skips it
like every unknown kind, and acks the Probe. So the path to a member of any release can be measured.

Payloads
--------
Probe and Ack are fixed (`>xIQ`: a byte that is written as 0 and not read, number, fingerprint), to keep an idle probe
at 50 bytes of UDP payload, 92 with all headers on IPv4. Behind that an Ack may carry one msgpack value: nil, or the
observed address.

Every other payload is one msgpack array of the dataclass's fields, in their order. A field that is a list (entries of
a Delta, counters of a Receipt, buckets of Hashes, rows of Versions, peers of Peers) is left out of that array; its
items follow the array, each a msgpack value of its own, to the end of the payload. So an array never has more than 16
elements, and nested headers that promise much cannot take memory that the bytes do not cover (as one array, a list of
2,048 nested in itself cost 100 ms a datagram).

    Hello     [cluster, id, generation, nonce, echo, synced, up_ms, oldest, newest, before, held]
    Mismatch  [cluster, echo, oldest, newest, nonce]
    Nack      [number, refused]
    PingReq   [number, target]
    Claim     [id, generation, incarnation, rank, by]
    Delta     [id, generation, base, reached, head, digest, floor] and [key, counter, value or nil] ...
    Announce  [id, generation, head]
    Pull      [id, generation, counter]
    Receipt   [] and counter ...
    Buckets   [salt, bits, digests]
    Hashes    [salt, bits] and [bucket, low, high, hashes] ...
    Want      [salt, hashes]            hashes of 4 bytes, as in Hashes
    Versions  [next or nil, synced] and [id, generation, counter] ...
    List      [after]
    Peers     [] and [id, address] ...
    Padding   any bytes, which mean nothing

    address   [packed IP, 4 or 16 bytes; port, 1 to 65,535]; an IPv4-mapped IPv6 address is IPv4; scopes are left out

Names are str, ids and hashes bin, flags bool, all else integers. Bounds, beside those of the types below:

    cluster                     1 to 255 bytes of UTF-8
    id, target, by              16 bytes
    number of Probe to PingReq  32 bits; nonces, echoes, salts, digests, fingerprints 64
    generation, counters        63 bits: one above still fits its field; of a datagram (Receipt) 48, from 1
    incarnation                 32 bits
    oldest, newest              1 to 65,535, oldest <= newest. Hello leaves out a `held` of 0, then a `before` of 0, and
                                then a range of 1 alone. Mismatch leaves out a nonce of 0, and then a range of 1 alone
    Delta                       base <= reached <= head, floor <= head; the entries' counters lie in (base, reached] and
                                rise; key 45 bits (slot 32, part 8, kind 5); value at most 394 bytes (with the key, 400)
    bits                        0 to 11; digests are 4 << bits bytes; bucket is below 1 << bits. Buckets with fewer than
                                4 or more than 8 bits are read, and not answered (`core/gossip/reconcile.py`)
    low, high                   32 bits, low <= high; hashes are sorted, 4 bytes each, big-endian within [low, high]
    next, after                 0 or 16 bytes
    Peers                       at most 32

Growing: a receiver skips and counts kinds that it does not know, and ignores what stands behind the fields that it
knows, in a payload's array and in an item's. A field may be added at the end of an array (up to the 16; no maps, no
extension types), never taken away or given another meaning. Kinds 32 to 63 are reserved: coordinates 32, signatures
33, events 34, queries 35, replies 36.

Who may speak
-------------
A boot id is *bound* to (id, generation) by the entry of the member's own row that carries it, or by a Hello that
echoes our nonce. From an unbound boot id only Hello, Mismatch are read; everything else is answered with a Hello that
carries a nonce. A *source address* is proven when it has echoed a nonce of ours, or when a fresh datagram comes
from an address in the row bound to its boot id; others get at most three times the bytes that they sent.

A member whose range of protocol versions does not meet ours is never bound, neither by a Hello nor by its row.
"""

from gossipreg.model import FIRST_PROTOCOL, Address, NodeId, ProtocolRange, Rank
from gossipreg.quick_dataclass import dataclass

HELLO, MISMATCH, PROBE, ACK, NACK, PING_REQ, PADDING = 1, 2, 3, 4, 5, 6, 7
CLAIM, DELTA, ANNOUNCE, PULL, RECEIPT = 8, 9, 10, 11, 12
BUCKETS, HASHES, WANT, VERSIONS, LIST, PEERS = 16, 17, 18, 19, 20, 21

MAX_BODY_BYTES = 8900
"""No datagram is configured larger (`Config.datagram_bytes`)."""
MAX_PAYLOAD_BYTES = 0x7FFF
MAX_NUMBER = 2**32 - 1
"""Of Probe, Ack, Nack and PingReq."""
MAX_HASH = 2**64 - 1
"""Of fingerprints, digests, salts, nonces and echoes."""
MAX_VERSION = 2**63 - 1
"""Of generations and of a row's counters."""
MAX_INCARNATION = 2**32 - 1
MAX_DATAGRAM_COUNTER = 2**48 - 1
MAX_KEY = 2**45 - 1
MAX_ENTRY_VALUE_BYTES = 394
"""A key counts as 6 bytes; with its value, 400."""
MAX_BITS = 11
"""The digests of 2,048 buckets fit the largest body."""
ROW_HASH_BYTES = 4
"""Of 10,000 rows some pair in one bucket collides in one comparison of 50,000; the next one has another salt."""
MAX_PEERS = 32


@dataclass(frozen=True, slots=True)
class Hello:
    """The sender's identity. With `nonce` it asks for the receiver's; with `echo` it proves that it received a nonce.

    Binds the sender's boot id once `echo` is the receiver's own nonce for this boot id and source. A Hello with a
    nonce that is not 0 is answered with a Hello that echoes it.
    """

    cluster: str
    id: NodeId
    generation: int
    nonce: int
    """64 bits, unpredictable; 0: nothing is asked."""
    echo: int
    """The nonce being answered; 0: none."""
    synced: bool = False
    up_ms: int = 0
    """For how long the sender has run. If two processes have one id, the one that is not synced ends; if both are or
    neither is, the one that has run for the shorter time."""
    protocol: ProtocolRange = FIRST_PROTOCOL
    """The versions of the protocol that the sender speaks. If they do not meet the receiver's, the answer is a
    Mismatch."""
    before: int = 0
    """The last generation before this one whose process is known to have met a member, by the sender's data directory;
    0: none is. Below it other members may hold the sender's row, and at it. Between it and `generation` only at one
    that the directory knows, too, unless that is a restored backup: the sender compares."""
    held: int = 0
    """In an answer: the generation at which the receiver's row is held here, if it is between those two; else 0."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Answer to a Hello of another cluster, or of a member that speaks no version of the protocol that we speak:
    `cluster` and `protocol` are ours. The member that greeted tells its user; nothing else changes.

    A Mismatch about versions carries a nonce. It is answered with a Mismatch that echoes it, so that both members know
    why the other refuses, each from an address that is proven.
    """

    cluster: str
    echo: int
    """The nonce of the message that it answers."""
    protocol: ProtocolRange = FIRST_PROTOCOL
    nonce: int = 0
    """64 bits, unpredictable; 0: nothing is asked."""


@dataclass(frozen=True, slots=True)
class Probe:
    """SWIM's ping. It also carries the fingerprint of the sender's table, which is the cheapest comparison."""

    number: int
    """32 bits, unpredictable."""
    fingerprint: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Answer to a Probe, sent at once to its source. A helper also sends it, with the number of the PingReq, if the
    target acked."""

    number: int
    fingerprint: int
    observed: Address | None = None
    """The source of the Probe, if it is not an address in its sender's row; else None (`core/local/own_address.py`)."""


@dataclass(frozen=True, slots=True)
class Nack:
    """A helper's answer to a PingReq: the target did not ack the helper within the helper's timeout, or its port was
    refused."""

    number: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class PingReq:
    """Asks a helper to probe `target` at the address that the helper has for it. The helper answers the sender with an
    Ack or a Nack with this `number`, and tells nobody else.

    If the target has announced that it left or restarts, the helper answers with the version of its row (Versions), so
    that the sender pulls the row. A helper that does not know the target does not answer.
    """

    number: int
    target: NodeId


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that a member is alive, suspect or dead; merged by precedence (`core/table/row.py`). A claim with rank
    SUSPECT is sent only to the suspect itself; a receiver drops one about another member. A living member refutes a
    claim that it is DEAD with ALIVE and a higher incarnation: at once, unless its own link keeps failing
    (`core/failure/flap_damping.py`).
    """

    id: NodeId
    generation: int
    incarnation: int
    rank: Rank
    by: NodeId
    """The accuser: shown to the operator. If the rank is DEAD and this is the member's own id, an operator has declared
    it left. Earlier releases show that member as dead, and gossip the claim."""


Entry = tuple[int, int, bytes | None]
"""(key, counter at last change, value; None for a tombstone)"""


@dataclass(frozen=True, slots=True)
class Delta:
    """A page of a row, in order of last change: every entry whose last change is in (base, reached]."""

    id: NodeId
    generation: int
    base: int
    """A receiver that holds this generation at this counter or a higher one can apply the page. 0: the first page of a
    full row, which every receiver can apply."""
    reached: int
    """The counter at which the receiver holds the row after it has applied the page."""
    head: int
    """The counter at which the sender holds the row. If it equals `reached`, this is the last page."""
    digest: int
    """The owner's set hash over its live entries at `head`, 64 bits; checked only when reached == head."""
    floor: int
    """The tombstone floor: the owner may have dropped tombstones at or below it. A receiver that holds the row below it
    needs a full row."""
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """The sender holds a row at this version, and the change does not fit one datagram: the receiver pulls it."""

    id: NodeId
    generation: int
    head: int


@dataclass(frozen=True, slots=True)
class Pull:
    """Asks for the part of a row that is newer than (generation, counter); (0, 0) asks for all of it.

    The answer is one page (Delta), or the Claim if the member is dead. There is no answer if the receiver holds nothing
    newer, or while it is busy.
    """

    id: NodeId
    generation: int
    counter: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Acks the datagrams with these counters, and so the updates in them."""

    counters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Begins a comparison: the table in 2**bits buckets by the leading bits of the id, 4 salted bytes each.

    A bucket that changed less than `settle_s` ago is sent as zeros, and not compared.
    """

    salt: int
    bits: int
    digests: bytes
    """4 bytes * 2**bits"""


@dataclass(frozen=True, slots=True)
class Hashes:
    """Answer to Buckets: for buckets that differ, a salted hash of 4 bytes of each row in them, sorted.

    Each list has all hashes in [low, high] that the sender holds in that bucket. So a row of the receiver whose hash is
    in that range, and not in the list, is missing at the sender.
    """

    salt: int
    bits: int
    buckets: tuple[tuple[int, int, int, bytes], ...]
    """(bucket, low, high, hashes)"""


@dataclass(frozen=True, slots=True)
class Want:
    """Answer to Hashes: asks for the versions of the rows with these hashes, which the sender does not hold."""

    salt: int
    hashes: bytes
    """4 bytes each"""


@dataclass(frozen=True, slots=True)
class Versions:
    """Rows that the sender holds, each with its version. For each row, a receiver that is behind pulls, and one that is
    ahead answers with its own version. A receiver that knows that the row's owner is dead, in that generation or a
    later one, answers with the Claim; if the owner has left, with the last page of the row (Delta), which says so."""

    rows: tuple[tuple[NodeId, int, int], ...]
    """(id, generation, counter)"""
    next: bytes | None = None
    """In an answer to a List: the id with which the next List continues, b"" on the last page. Else None."""
    synced: bool = True
    """In an answer to a List: whether the sender is synced, so that its list is whole. It is written only if the sender
    is not. A release before the field does not say it, and is taken for synced."""


@dataclass(frozen=True, slots=True)
class List:
    """Sent by a member that joins: asks for the versions of all living members' rows, a page at a time, in the order of
    the ids, beginning behind `after`."""

    after: bytes
    """An id, or b"" for the start."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Answer of a busy member to a List: other members that the sender can ask. Also the answer to a Hello with an old
    generation: the address of the process with the newer one. (A busy member does not answer a Pull; the member that
    pulls sends it again, later also to others.)"""

    peers: tuple[tuple[NodeId, Address], ...]


@dataclass(frozen=True, slots=True)
class Padding:
    """Makes a datagram larger and means nothing. A Probe beside it measures whether that size arrives."""

    payload_bytes: int


Message = (
    Hello | Mismatch | Probe | Ack | Nack | PingReq | Claim | Delta | Announce | Pull | Receipt
    | Buckets | Hashes | Want | Versions | List | Peers | Padding
)  # fmt: skip
