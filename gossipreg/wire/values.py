"""Member, service and health as bytes: the values that an owner encodes once and everybody else stores as they came.

Owns: the layout and the bounds of the three values, and of an address. Never knows: keys, versions, or who wrote a
value. Each is one msgpack array, with room at the end: elements behind the known ones are ignored.

    member   [name, boot id, [address ...], public key, zone, [[label, text] ...], [oldest, newest protocol],
              [], durable, status, hold in ms, reason, key ids, software]
    service  [id, name, address, port, [tag ...], [[key, text] ...], weight, [long tag ...], order]
    health   [health, reason]
    address  [packed IP, 4 or 16 bytes; port]

The empty array of a member is kept for the releases that read an array there; whatever is in it is ignored. Elements
for people come last: a reason (why an operator put the member or the service in maintenance), the key ids, 4 bytes each
(of the keys that the member opens: they show how far a change of keys has come), and the software (the release that the
member runs). Such an element is left out if there is nothing to say, or nil if another one follows it. One that cannot
be read counts as left out, so that it never makes the rest unreadable.

A tag of more than 255 bytes is a long tag. Earlier releases refuse a service with such a tag in `tag`; so they show the
service without its long tags. Tags and long tags are sorted. If the owner gave them in another order, `order` has a
byte for each tag: its place in the list of the tags followed by the long tags. Both are left out if they say nothing.

One check serves both directions. So what all others would refuse is refused where it is written, with an error to
whoever wrote it, and what was written can be read.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from sys import intern
from typing import Any, TypeVar

import msgpack

from gossipreg.errors import BadDatagram, BadParams, TooLarge
from gossipreg.model import (
    BOOT_ID_BYTES,
    MAX_NAME_BYTES,
    MAX_TAG_BYTES,
    MAX_VALUE_BYTES,
    Address,
    Health,
    Member,
    ProtocolRange,
    RegisteredService,
    Status,
)
from gossipreg.wire.sharing import REMEMBERED, remembering

MAX_ADDRESSES = 16
"""Of a member. All of them may be called, so a row must not be able to point at many."""
MAX_ITEMS = 256
"""Tags, labels or meta of one value. Headers nested to msgpack's depth of 1,024 then cost at most 2 MiB and 2 ms."""
MAX_HOLD_S = 60.0
MAX_REASON_BYTES = 255
"""Of UTF-8. A longer reason is cut for other members; its own sidecar keeps it whole."""
MAX_KEYS_SHOWN = 16
"""The number of key ids that a member announces. A cluster that changes its key has two."""
MAX_WEIGHT = 65_535
"""As in a DNS SRV record."""
MAX_PROTOCOL = 65_535
PUBLIC_KEY_BYTES = 32
MAX_SOFTWARE_CHARS = 64
KEY_ID_BYTES = 4
"""As in a datagram's header (`seal.py`)."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""Names are printed on lines and given to shells: a line break in one would forge an answer."""

_pack: Callable[[object], bytes] = msgpack.Packer().pack  # one for all: it resets itself, also after an error

T = TypeVar("T")


# -- address ---------------------------------------------------------------------------------------------------------


def address_fields(address: Address) -> tuple[bytes, int]:
    """The array of an address. An IPv4-mapped one is IPv4; a scope (%eth0) means nothing elsewhere and is left out.

    ValueError where the host is no IP literal or the port is out of range.
    """
    ip = ip_address(address.host)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    _check_int("address port", address.port, 1, 65_535)
    return ip.packed, address.port


def address_untrusted(fields: object) -> Address:
    """The address in a decoded array; ValueError where it is none (for the decoders here and in `codec.py`)."""
    packed, port = known(fields, 2)
    _check_int("address port", port, 1, 65_535)
    if type(packed) is not bytes or len(packed) not in (4, 16):
        raise ValueError("an address is 4 or 16 bytes")
    if len(packed) == 16:
        ip = IPv6Address(packed)
        if ip.ipv4_mapped is None:
            return Address(str(ip), port)
        packed = packed[12:]
    return Address(".".join(map(str, packed)), port)


def check_protocol(range: ProtocolRange) -> None:
    """Raises ValueError if it is no range of protocol versions."""
    _check_int("oldest protocol", range.oldest, 1, MAX_PROTOCOL)
    _check_int("newest protocol", range.newest, range.oldest, MAX_PROTOCOL)


# -- member ----------------------------------------------------------------------------------------------------------


def encode_member(member: Member) -> bytes:
    """The value of a member's own entry. Labels are sorted here; `hold_s` is kept to the millisecond.

    BadParams names what is out of bounds, TooLarge the size: the caller is at fault, nothing changed.
    """
    return _encoded(_member_fields, member)


def decode_member_untrusted(value: bytes) -> Member:
    """BadDatagram("bad_value") where it is none."""
    return _decoded(_member_of, value)


def _member_fields(member: Member) -> tuple[object, ...]:
    labels = tuple(sorted(member.labels))
    hold_ms = round(member.hold_s * 1000)
    _check_member(member, labels, hold_ms)
    return (
        member.name, member.boot_id, tuple(address_fields(address) for address in member.addresses),
        member.public_key, member.zone, labels, member.protocol, (), member.durable, member.status, hold_ms,
        *_last_fields(member),
    )  # fmt: skip


def _last_fields(member: Member) -> tuple[object, ...]:
    """The elements for people: reason, key ids, software."""
    keys = None if member.keys is None else b"".join(member.keys[:MAX_KEYS_SHOWN])
    fields = [*(_reason_fields(member.reason) or ("",)), keys, member.software[:MAX_SOFTWARE_CHARS]]
    while fields and fields[-1] in ("", None):
        fields.pop()
    return tuple(fields)


def _member_of(raw: object) -> Member:
    (name, boot_id, addresses, public_key, zone, labels, protocol, _, durable, status, hold_ms) = known(raw, 11)
    _check_int("hold in ms", hold_ms, 0, int(MAX_HOLD_S * 1000))
    member = Member(
        name=name,
        boot_id=boot_id,
        addresses=tuple(address_untrusted(address) for address in _array(addresses, MAX_ADDRESSES, "addresses")),
        public_key=public_key,
        zone=zone,
        labels=_pairs(labels, "labels"),
        protocol=ProtocolRange(*known(protocol, 2)),
        durable=durable,
        status=Status(_check_int("status", status, 0, max(Status))),
        hold_s=hold_ms / 1000,
        reason=_words_of(raw, 11),
        keys=_keys_of(raw, 12),
        software=_words_of(raw, 13),
    )
    _check_member(member, member.labels, hold_ms)
    return member


def _check_member(member: Member, labels: tuple[tuple[str, str], ...], hold_ms: int) -> None:
    _check_name("member name", member.name)
    _check_bytes("boot id", member.boot_id, BOOT_ID_BYTES)
    _check_count("addresses", member.addresses, MAX_ADDRESSES)
    if member.public_key != b"":
        _check_bytes("public key", member.public_key, PUBLIC_KEY_BYTES)
    _check_name("zone", member.zone, least=0)
    _check_pairs("label", labels)
    check_protocol(member.protocol)
    if type(member.durable) is not bool:
        raise ValueError(f"durable is {member.durable!r:.40}: a flag is needed")
    _check_int("hold in ms", hold_ms, 0, int(MAX_HOLD_S * 1000))


# -- service ---------------------------------------------------------------------------------------------------------


def encode_service(service: RegisteredService) -> bytes:
    """The value of a service's entry. Meta is sorted here, and double tags are dropped.

    BadParams names what is out of bounds, TooLarge the size: the caller is at fault, nothing changed.
    """
    return _encoded(_service_fields, service)


def decode_service_untrusted(value: bytes) -> RegisteredService:
    """BadDatagram("bad_value") where it is none."""
    return _decoded(_service_of, value)


def _service_fields(service: RegisteredService) -> tuple[object, ...]:
    meta = tuple(sorted(service.meta))
    _check_service(service.id, service.name, service.address, service.port, service.weight)
    _check_pairs("meta", meta)
    short, *more = _tag_fields(tuple(dict.fromkeys(service.tags)))
    return (service.id, service.name, service.address, service.port, short, meta, service.weight, *more)


def _service_of(raw: Any) -> RegisteredService:
    known(raw, 7)
    fields: tuple[Any, ...] = (*raw[:9], *((), b"")[len(raw) - 7 :])
    id, name, address, port, short, meta, weight, *more = fields
    _check_service(id, name, address, port, weight)
    return RegisteredService(id, intern(name), intern(address), port, _tags_of((short, *more)), _meta_of(meta), weight)


def _check_service(id: object, name: object, address: object, port: object, weight: object) -> None:
    _check_name("service id", id)
    _check_name("service name", name)
    _check_name("service address", address)
    _check_int("service port", port, 0, 65_535)  # the first release does not show a service with port 0
    _check_int("weight", weight, 0, MAX_WEIGHT)


@remembering
def _meta_of(raw: object) -> tuple[tuple[str, str], ...]:
    meta = _pairs(raw, "meta")
    _check_pairs("meta", meta)
    return tuple((intern(key), intern(text)) for key, text in meta)


def _tag_fields(tags: tuple[str, ...]) -> tuple[Any, ...]:
    """The short tags, followed by the long tags and the order if they are needed."""
    _check_count("tags", tags, MAX_ITEMS)
    for tag in tags:
        _check_name("tag", tag, most=MAX_TAG_BYTES)
    short = tuple(sorted(tag for tag in tags if not _is_long(tag)))
    long = tuple(sorted(tag for tag in tags if _is_long(tag)))
    place = {tag: number for number, tag in enumerate((*short, *long))}
    if tags != tuple(place):
        return short, long, bytes(place[tag] for tag in tags)
    return (short, long) if long else (short,)


@remembering
def _tags_of(fields: tuple[object, ...]) -> tuple[str, ...]:
    short, long, order = fields
    tags = _array(short, MAX_ITEMS, "tags")
    longer = _array(long, MAX_ITEMS, "long tags")
    for tag in tags:
        _check_name("tag", tag)
    for tag in longer:
        _check_name("long tag", tag, least=MAX_NAME_BYTES + 1, most=MAX_TAG_BYTES)
    _check_rising("tags", tags)
    _check_rising("long tags", longer)
    both = tuple(map(intern, (*tags, *longer)))
    _check_count("tags", both, MAX_ITEMS)
    if order == b"":
        return both
    if type(order) is not bytes or sorted(order) != list(range(len(both))):
        raise ValueError(f"the order of {len(both)} tags is {order!r:.40}: each has one place")
    return tuple(both[at] for at in order)


def _is_long(tag: str) -> bool:
    return len(tag.encode()) > MAX_NAME_BYTES


# -- health ----------------------------------------------------------------------------------------------------------


def encode_health(health: Health, reason: str = "") -> bytes:
    """The value of a health entry: two bytes, then the reason."""
    return _pack((health, *_reason_fields(reason)))


@lru_cache(REMEMBERED)
def decode_health_untrusted(value: bytes) -> Health:
    """BadDatagram("bad_value") where it is none."""
    return _decoded(lambda raw: Health(_check_int("health", known(raw, 1)[0], 0, max(Health))), value)


def decode_reason_untrusted(value: bytes) -> str:
    """The reason in a health entry that `decode_health_untrusted` has accepted; "" if there is none."""
    return _words_of(msgpack.unpackb(value, use_list=False, max_array_len=MAX_ITEMS, max_map_len=0, max_ext_len=0), 1)


def _reason_fields(reason: str) -> tuple[str, ...]:
    """A reason as the last element of a value: cut to its bound, without control characters."""
    cut = _CONTROL.sub(" ", reason).encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
    return (cut,) if cut else ()


def _keys_of(raw: object, at: int) -> tuple[bytes, ...] | None:
    """The key ids at this place; None if there are none, or not in this form."""
    if type(raw) is not tuple or len(raw) <= at:
        return None
    ids = raw[at]
    if type(ids) is not bytes or len(ids) % KEY_ID_BYTES or len(ids) > MAX_KEYS_SHOWN * KEY_ID_BYTES:
        return None
    return tuple(ids[first : first + KEY_ID_BYTES] for first in range(0, len(ids), KEY_ID_BYTES))


def _words_of(raw: object, at: int) -> str:
    """The text for people at this place; "" if there is none, or something else."""
    if type(raw) is not tuple or len(raw) <= at:
        return ""
    try:
        _check_name("reason", raw[at], least=0)
    except ValueError:
        return ""
    return str(raw[at])


# -- both directions -------------------------------------------------------------------------------------------------


def _encoded(fields_of: Callable[[T], object], thing: T) -> bytes:
    try:
        value = _pack(fields_of(thing))
    except ValueError as error:
        raise BadParams(str(error)) from None
    if len(value) > MAX_VALUE_BYTES:
        raise TooLarge(f"{type(thing).__name__.lower()} takes {len(value)} bytes: choose at most {MAX_VALUE_BYTES}")
    return value


def _decoded(value_of: Callable[[object], T], value: bytes) -> T:
    if len(value) > MAX_VALUE_BYTES:
        raise BadDatagram("bad_value", f"{len(value)} bytes")
    try:
        return value_of(msgpack.unpackb(value, use_list=False, max_array_len=MAX_ITEMS, max_map_len=0, max_ext_len=0))
    except ValueError as error:
        raise BadDatagram("bad_value", str(error)) from None


def known(raw: object, count: int) -> tuple[Any, ...]:
    """The first `count` elements of a decoded array. Those behind are of a later version, and ignored."""
    if type(raw) is not tuple or len(raw) < count:
        raise ValueError(f"an array of {count} is needed")
    return raw[:count]


def _array(raw: object, most: int, what: str) -> tuple[Any, ...]:
    if type(raw) is not tuple:
        raise ValueError(f"{what} are not an array")
    _check_count(what, raw, most)
    return raw


def _pairs(raw: object, what: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, text) for key, text in (known(pair, 2) for pair in _array(raw, MAX_ITEMS, what)))


def _check_int(what: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} is {value!r:.40}: choose {low} to {high}")
    return value


def _check_bytes(what: str, value: object, size: int) -> None:
    if type(value) is not bytes or len(value) != size:
        raise ValueError(f"{what} is {value!r:.40}: {size} bytes are needed")


def _check_count(what: str, values: tuple[object, ...], most: int) -> None:
    if len(values) > most:
        raise ValueError(f"{len(values)} {what}: choose at most {most}")


def _check_text(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is {value!r:.40}: text is needed")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is {value!r:.40}: a lone surrogate is not text") from None
    return value


def _check_name(what: str, value: object, least: int = 1, most: int = MAX_NAME_BYTES) -> None:
    if type(value) is str and value.isascii() and value.isprintable() and least <= len(value) <= most:
        return  # nearly all names, in a fifth of the time
    name = _check_text(what, value)
    if not least <= len(name.encode()) <= most:
        raise ValueError(f"{what} is {name!r:.40}: choose {least} to {most} bytes")
    if _CONTROL.search(name):
        raise ValueError(f"{what} is {name!r:.40}: leave out control characters")


def _check_pairs(what: str, pairs: tuple[tuple[str, str], ...]) -> None:
    _check_count(what, pairs, MAX_ITEMS)
    for key, text in pairs:
        _check_name(f"{what} key", key)
        _check_text(f"{what} {key}", text)
    _check_rising(f"{what} keys", tuple(key for key, _ in pairs))


def _check_rising(what: str, names: tuple[str, ...]) -> None:
    """Python orders strings by code point, which is the order of their UTF-8 as well."""
    if any(a >= b for a, b in pairwise(names)):
        raise ValueError(f"{what} are double or not in order")
