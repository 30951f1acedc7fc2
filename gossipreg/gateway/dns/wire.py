"""DNS messages: bytes to one question, and the parts of an answer to bytes.

Owns the formats of RFC 1035 section 4 and RFC 6891. Never knows what names mean. Bytes that cannot be read raise
BadDatagram with the reason that it is counted under; what can be read and breaks a rule is a Query whose `rcode` says
what its sender is to be told.

Names are read without compression: the only name that matters is the question's, and nothing is in front of it that it
could point to.
"""

import struct
from dataclasses import dataclass

from gossipreg.errors import BadDatagram

HEADER = struct.Struct(">HHHHHH")
"""id, flags, and how many questions, answers, authorities and additionals there are."""
_QUESTION_END = struct.Struct(">HH")
_RECORD = struct.Struct(">HHIH")
"""type, class, TTL, length of the data."""
_SRV = struct.Struct(">HHH")
_SOA = struct.Struct(">IIIII")

NAME_MAX_BYTES = 255
LABEL_MAX_BYTES = 63
POINTER = 0xC000
POINTER_REACH = 0x4000
"""Names that begin behind this cannot be pointed to."""
TO_QUESTION = b"\xc0\x0c"
"""A pointer to the name in the question, so that records echo it as it was written."""
SRV_TARGET_AT = len(TO_QUESTION) + _RECORD.size + _SRV.size
"""The place of the target in an SRV record."""
OPT_BYTES = 11
UDP_BYTES = 512
"""The size that every client accepts (RFC 1035 section 4.2.1); EDNS may allow more."""

QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100
DO = 0x8000
QUERY, UPDATE = 0, 5
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
RCODES = {
    NOERROR: "noerror", FORMERR: "formerr", SERVFAIL: "servfail", NXDOMAIN: "nxdomain", NOTIMP: "notimp",
    REFUSED: "refused", BADVERS: "badvers",
}  # fmt: skip
IN = 1
A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, HTTPS, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 41, 65, 255
META_TYPES = range(249, 255)
"""TKEY, TSIG, IXFR, AXFR, MAILB, MAILA: no types of records, and nothing that is done here."""


@dataclass(frozen=True, slots=True)
class Edns:
    udp_bytes: int
    """The largest datagram that the client says it accepts."""
    dnssec_ok: bool
    """To be echoed (RFC 3225)."""


@dataclass(frozen=True, slots=True)
class Query:
    id: int
    opcode: int
    recursion_desired: bool
    rcode: int = NOERROR
    """Another one: it breaks a rule, and this is the answer to it."""
    question: bytes = b""
    """Name, type and class as they were sent."""
    labels: tuple[bytes, ...] = ()
    """The labels of its name in lower case (ASCII letters only: RFC 4343)."""
    type: int = 0
    class_: int = 0
    edns: Edns | None = None


def parse_query_untrusted(data: bytes) -> Query:
    """Raises BadDatagram for what is no query, or none that can be read to its end."""
    if len(data) < HEADER.size:
        raise BadDatagram("dns_short", f"{len(data)} bytes")
    id, flags, questions, answers, authorities, additionals = HEADER.unpack_from(data)
    if flags & QR:
        raise BadDatagram("dns_response")  # never answered: two servers would talk for ever
    opcode, desired = flags >> 11 & 15, bool(flags & RD)
    if opcode != QUERY:
        # RFC 2136 section 2.2 has REFUSED for updates that a server will not do, RFC 1035 NOTIMP for unknown kinds.
        return Query(id, opcode, desired, REFUSED if opcode == UPDATE else NOTIMP)
    if questions != 1:
        return Query(id, opcode, desired, FORMERR)  # RFC 9619
    labels, at = _name_untrusted(data, HEADER.size)
    if at + _QUESTION_END.size > len(data):
        raise BadDatagram("dns_cut_question")
    type, class_ = _QUESTION_END.unpack_from(data, at)
    at += _QUESTION_END.size
    question = data[HEADER.size : at]
    rcode, edns, at = _records_untrusted(data, at, answers + authorities, additionals)
    if at != len(data):
        raise BadDatagram("dns_trailing")
    return Query(id, opcode, desired, rcode, question, labels, type, class_, edns)


def _name_untrusted(data: bytes, at: int) -> tuple[tuple[bytes, ...], int]:
    """The labels of the name at this place, and where it ends."""
    labels, start = [], at
    while True:
        if at >= len(data):
            raise BadDatagram("dns_cut_name")
        length = data[at]
        at += 1
        if length == 0:
            break
        if length > LABEL_MAX_BYTES:
            raise BadDatagram("dns_bad_label")
        if at + length > len(data):
            raise BadDatagram("dns_cut_name")
        labels.append(data[at : at + length].lower())
        at += length
        if at - start >= NAME_MAX_BYTES:
            raise BadDatagram("dns_long_name")
    return tuple(labels), at


def _records_untrusted(data: bytes, at: int, before: int, additionals: int) -> tuple[int, Edns | None, int]:
    """Step over all records, and read the OPT among the additional ones. The rcode that they call for, what EDNS says,
    and where they end."""
    rcode, edns = NOERROR, None
    for number in range(before + additionals):
        start = at
        at = _skip_name_untrusted(data, at)
        if at + _RECORD.size > len(data):
            raise BadDatagram("dns_cut_record")
        type, class_, ttl, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            raise BadDatagram("dns_cut_record")
        if type == OPT and number >= before:
            if edns is not None or data[start] != 0 or not _options_fit(data[at : at + length]):
                rcode = rcode or FORMERR  # RFC 6891 sections 6.1.1 and 6.1.2
            elif ttl >> 16 & 0xFF:
                rcode = rcode or BADVERS
            edns = Edns(class_, bool(ttl & DO))
        at += length
    return rcode, edns, at


def _skip_name_untrusted(data: bytes, at: int) -> int:
    while at < len(data):
        length = data[at]
        if length == 0:
            return at + 1
        if length >= POINTER >> 8:
            return at + 2
        if length > LABEL_MAX_BYTES:
            raise BadDatagram("dns_bad_label")
        at += 1 + length
    raise BadDatagram("dns_cut_record")


def _options_fit(data: bytes) -> bool:
    at = 0
    while at + 4 <= len(data):
        at += 4 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at == len(data)


# -- answers -----------------------------------------------------------------------------------------------------------


def header(id: int, flags: int, rcode: int, questions: int, answers: int, authorities: int, additionals: int) -> bytes:
    return HEADER.pack(id, flags | QR | rcode & 15, questions, answers, authorities, additionals)


def opt(edns: Edns | None, udp_bytes: int, rcode: int) -> bytes:
    """The OPT record of an answer; nothing where the question had none. `udp_bytes` is what we take ourselves."""
    if edns is None:
        return b""
    return b"\0" + _RECORD.pack(OPT, udp_bytes, rcode >> 4 << 24 | (DO if edns.dnssec_ok else 0), 0)


def record(type: int, ttl_s: int, data: bytes, owner: bytes = TO_QUESTION) -> bytes:
    return b"".join((owner, _RECORD.pack(type, IN, ttl_s, len(data)), data))


def srv(ttl_s: int, weight: int, port: int, target: bytes) -> bytes:
    """Its target is not compressed (RFC 2782). All have the priority 1."""
    return record(SRV, ttl_s, _SRV.pack(1, weight, port) + target)


def soa(ttl_s: int, negative_ttl_s: int, serial: int, zone_at: int) -> bytes:
    """The SOA of the zone whose name begins at this place of the message, as the end of the question's name. A resolver
    keeps a negative answer for the smaller one of `ttl_s` and `negative_ttl_s` (RFC 2308 section 5)."""
    zone = pointer(zone_at)
    names = b"\x02ns" + zone + b"\x0ahostmaster" + zone
    return record(SOA, ttl_s, names + _SOA.pack(serial & 0xFFFFFFFF, 3600, 600, 86400, negative_ttl_s), zone)


def txt(ttl_s: int, text: bytes) -> bytes:
    """One text, in pieces of 255 bytes if it is longer."""
    pieces = [text[at : at + 255] for at in range(0, len(text), 255)] or [b""]
    return record(TXT, ttl_s, b"".join(bytes((len(piece),)) + piece for piece in pieces))


def pointer(at: int) -> bytes:
    return (POINTER | at).to_bytes(2, "big")


def encode_name(labels: tuple[bytes, ...]) -> bytes | None:
    """The name in the form of messages; None if a label is empty or too long, or the name is too long."""
    if not all(0 < len(label) <= LABEL_MAX_BYTES for label in labels):
        return None
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return name if len(name) <= NAME_MAX_BYTES else None
