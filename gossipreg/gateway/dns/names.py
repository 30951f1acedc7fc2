"""The meaning of a name: the words of Consul's DNS interface, read from the right.

    [TAG.]NAME.service[.DC].ZONE         the passing instances of a service, those with the tag
    _NAME._TAG.service[.DC].ZONE         the same after RFC 2782; the tag `tcp` stands for any
    NAME.node[.DC].ZONE                  a member
    [INSTANCE.]HEXIP.addr[.DC].ZONE      the address that it spells: the targets of SRV records
    D.C.B.A.in-addr.arpa, ...ip6.arpa    who has this address
    ZONE, ns.ZONE                        the zone itself

DC is the cluster's name, since what Consul calls a datacenter, one pool of gossip with one catalog, is a cluster here;
a zone's name takes its place to ask for what stands in that zone alone. Zone here means both: of DNS, and of members.

Never knows which services exist. Therefore it cannot tell which labels of `a.b.service` are the name and which are the
tag: `gateway/readings.py` gives all possibilities, the longest name first.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from gossipreg.errors import BadConfig
from gossipreg.gateway.dns.wire import encode_name

CONSUL = "consul"
DOMAIN_MAX_BYTES = 128
"""The longest `--dns-domain`: there must be room for names in front of it."""
_ARPA = ((b"in-addr", b"arpa"), (b"ip6", b"arpa"))
_DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII | re.IGNORECASE)
INSTANCE_BYTES = 6
_INSTANCE = re.compile(rb"[0-9a-f]{%d}" % (2 * INSTANCE_BYTES))
"""The label that tells the instances at one address apart."""
_HEX = re.compile(rb"(?:[0-9a-f]{8}|[0-9a-f]{32})")


class Kind(Enum):
    SERVICE = auto()
    NODE = auto()
    ADDRESS = auto()
    REVERSE = auto()
    APEX = auto()
    NAME_SERVER = auto()
    OTHER = auto()
    """In the zone, and none of these; it may be on the way to one of them."""


_KINDS = {b"service": Kind.SERVICE, b"node": Kind.NODE, b"addr": Kind.ADDRESS}


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the name space that we answer for."""

    labels: tuple[bytes, ...]
    """In lower case."""
    name: bytes
    """As it goes into messages."""


@dataclass(frozen=True, slots=True)
class Asked:
    kind: Kind
    zone: Zone
    parts: tuple[bytes, ...] = ()
    """The labels before the one that says the kind."""
    place: bytes = b""
    """The labels between that word and the zone: the DC."""


def make_zone(text: str) -> Zone:
    """Raises BadConfig for what is no domain name."""
    plain = text.removesuffix(".")
    labels = tuple(label.encode() for label in plain.split(".")) if _DOMAIN.fullmatch(plain) else ()
    name = encode_name(labels)
    if not labels or name is None or len(name) > DOMAIN_MAX_BYTES:
        raise BadConfig(f"--dns-domain {text!r}: write a domain name such as services.example.org")
    return Zone(tuple(label.lower() for label in labels), name)


def make_zones(domain: str | None) -> tuple[Zone, ...]:
    """`consul.`, and the user's. Raises BadConfig."""
    consul = make_zone(CONSUL)
    if domain is None:
        return (consul,)
    other = make_zone(domain)
    if _ends_with(other.labels, consul.labels) or other.labels[-1] == b"arpa":
        raise BadConfig(f"--dns-domain {domain!r}: names below consul and arpa are answered already, take another")
    return (consul, other)


def read_name(labels: tuple[bytes, ...], zones: tuple[Zone, ...]) -> Asked | None:
    """Parse this name; None if it is in none of the zones. `labels` are in lower case."""
    for zone in zones:
        if _ends_with(labels, zone.labels):
            return _read_inside(labels[: len(labels) - len(zone.labels)], zone)
    for arpa in _ARPA:
        if _ends_with(labels, arpa):
            name = encode_name(arpa)
            assert name is not None
            return Asked(Kind.REVERSE, Zone(arpa, name), labels[:-2])
    return None


def _read_inside(rest: tuple[bytes, ...], zone: Zone) -> Asked:
    if not rest:
        return Asked(Kind.APEX, zone)
    if rest == (b"ns",):
        return Asked(Kind.NAME_SERVER, zone)
    for at in reversed(range(len(rest))):
        if kind := _KINDS.get(rest[at]):
            return Asked(kind, zone, rest[:at], b".".join(rest[at + 1 :]))
    return Asked(Kind.OTHER, zone, rest)


def spelled_address(parts: tuple[bytes, ...]) -> bytes | None:
    """The packed address before `addr`; None if they spell none."""
    if len(parts) == 2 and _INSTANCE.fullmatch(parts[0]):
        parts = parts[1:]
    return bytes.fromhex(parts[0].decode()) if len(parts) == 1 and _HEX.fullmatch(parts[0]) else None


def instance_target(instance: bytes, address: bytes, zone: Zone) -> bytes:
    """The name, as it goes into messages, that `spelled_address` reads again. `instance` are INSTANCE_BYTES, `address`
    is packed."""
    name = encode_name((instance.hex().encode(), address.hex().encode(), b"addr"))
    assert name is not None
    return name[:-1] + zone.name


def reverse_address(parts: tuple[bytes, ...], zone: Zone) -> bytes | None:
    """The packed address that these labels before in-addr.arpa or ip6.arpa spell (RFC 1035 section 3.5, RFC 3596
    section 2.5); None if they spell no whole address."""
    if zone.labels == _ARPA[0]:
        plain = len(parts) == 4 and all(map(_is_octet, parts))
        return bytes(int(part) for part in reversed(parts)) if plain else None
    plain = len(parts) == 32 and all(map(_is_nibble, parts))
    return bytes.fromhex(b"".join(reversed(parts)).decode()) if plain else None


def may_be_reverse(parts: tuple[bytes, ...], zone: Zone) -> bool:
    """Whether they are the upper part of such a name: a client that asks label by label must not get NXDOMAIN for it
    (RFC 8020)."""
    if zone.labels == _ARPA[0]:
        return len(parts) < 4 and all(map(_is_octet, parts))
    return len(parts) < 32 and all(map(_is_nibble, parts))


def _is_octet(label: bytes) -> bool:
    return label.isdigit() and len(label) <= 3 and int(label) < 256


def _is_nibble(label: bytes) -> bool:
    return len(label) == 1 and label in b"0123456789abcdef"


def _ends_with(labels: tuple[bytes, ...], end: tuple[bytes, ...]) -> bool:
    return labels[-len(end) :] == end
