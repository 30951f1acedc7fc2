"""What a member's row says of journals: which it leads, of which it has a copy that nobody leads, and whether it takes
copies. Announcements as bytes.

    claim        [journal id, round, replica id]     one for each journal that the member leads
    leaderless   [journal id]                        one for each that nobody leads, with a copy here or a lost one
    host         [host, takes copies (0 or 1)]       one, at slot 0

Each is one msgpack array; elements behind the known ones are ignored.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgpack

from gossipreg.errors import BadDatagram
from gossipreg.journal.model import JOURNAL_ID_BYTES, REPLICA_ID_BYTES, Ballot, JournalId, ReplicaId
from gossipreg.journal.values import MAX_HOST_BYTES

MAX_ROUND = (1 << 63) - 1
MAX_ELEMENTS = 32
"""Of one array: headers that promise more would cost memory before they are found wrong."""

_pack: Callable[[object], bytes] = msgpack.Packer().pack


class AnnouncedClaim(NamedTuple):
    journal: JournalId
    ballot: Ballot


class AnnouncedHost(NamedTuple):
    host: bytes
    """Which machine the member runs on."""
    takes_copies: bool
    """Whether it keeps copies of other members' journals."""


def encode_claim(claim: AnnouncedClaim) -> bytes:
    return _pack((claim.journal, claim.ballot.round, claim.ballot.replica))


def decode_claim_untrusted(value: bytes) -> AnnouncedClaim:
    """BadDatagram("bad_value") where it is none."""
    journal, round, replica = _known(value, 3)
    id = _journal_untrusted(journal)
    if type(replica) is not bytes or len(replica) != REPLICA_ID_BYTES:
        raise BadDatagram("bad_value")
    if type(round) is not int or not 1 <= round <= MAX_ROUND:
        raise BadDatagram("bad_value")
    return AnnouncedClaim(id, Ballot(round, ReplicaId(replica)))


def encode_leaderless(journal: JournalId) -> bytes:
    return _pack((journal,))


def decode_leaderless_untrusted(value: bytes) -> JournalId:
    """BadDatagram("bad_value") where it is none."""
    (journal,) = _known(value, 1)
    return _journal_untrusted(journal)


def encode_host(host: AnnouncedHost) -> bytes:
    return _pack((host.host, int(host.takes_copies)))


def decode_host_untrusted(value: bytes) -> AnnouncedHost:
    """BadDatagram("bad_value") where it is none."""
    host, takes = _known(value, 2)
    if type(host) is not bytes or not 1 <= len(host) <= MAX_HOST_BYTES or takes not in (0, 1):
        raise BadDatagram("bad_value")
    return AnnouncedHost(host, bool(takes))


def _journal_untrusted(value: object) -> JournalId:
    if type(value) is not bytes or len(value) != JOURNAL_ID_BYTES:
        raise BadDatagram("bad_value")
    return JournalId(value)


def _known(value: bytes, count: int) -> tuple[object, ...]:
    try:
        fields = msgpack.unpackb(value, use_list=False, max_array_len=MAX_ELEMENTS, max_map_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadDatagram("bad_value") from error
    if type(fields) is not tuple or len(fields) < count:
        raise BadDatagram("bad_value")
    return fields[:count]
