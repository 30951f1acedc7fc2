"""Member, service and health: they come back as written, and what others would refuse is not written."""

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadDatagram, BadParams, TooLarge
from gossipreg.model import Address, BootId, Health, Member, ProtocolRange, RegisteredService, Status
from gossipreg.wire.values import (
    MAX_REASON_BYTES,
    address_fields,
    decode_health_untrusted,
    decode_member_untrusted,
    decode_reason_untrusted,
    decode_service_untrusted,
    encode_health,
    encode_member,
    encode_service,
)

MEMBER = Member(
    "web-1", BootId(b"bootboot"), (Address("10.0.0.1", 7940), Address("fe80::1", 7941)), bytes(32), "eu",
    (("os", "linux"), ("rack", "")), ProtocolRange(1, 2), True, Status.RESTARTING, 1.234,
)  # fmt: skip
SERVICE = RegisteredService("web-80", "web", "10.0.0.1", 80, ("a", "b"), (("k", "line\nline"), ("z", "")), 0)

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
names = texts.filter(bool)
pairs = st.dictionaries(names, st.text(max_size=30), max_size=5).map(lambda found: tuple(sorted(found.items())))
addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).filter(lambda host: "::ffff:" not in host),
    st.integers(1, 65_535),
)
members = st.builds(
    Member,
    name=names,
    boot_id=st.binary(min_size=8, max_size=8).map(BootId),
    addresses=st.lists(addresses, max_size=4).map(tuple),
    public_key=st.just(b"") | st.binary(min_size=32, max_size=32),
    zone=texts,
    labels=pairs,
    protocol=st.builds(ProtocolRange, st.integers(1, 9), st.integers(9, 65_535)),
    durable=st.booleans(),
    status=st.sampled_from(Status),
    hold_s=st.integers(0, 60_000).map(lambda ms: ms / 1000),
    reason=texts,
    keys=st.none() | st.lists(st.binary(min_size=4, max_size=4), max_size=16).map(tuple),
    software=texts,
)
long_tags = st.builds(lambda start, more: f"{start}{'é' * more}", names, st.integers(128, 400))
services = st.builds(
    RegisteredService,
    id=names,
    name=names,
    address=names,
    port=st.integers(0, 65_535),
    tags=st.lists(names | long_tags, max_size=6, unique=True).map(tuple),
    meta=pairs,
    weight=st.integers(0, 65_535),
)


@given(members)
def test_a_member_comes_back_as_it_was_written(member: Member) -> None:
    assert decode_member_untrusted(encode_member(member)) == member


@given(services)
def test_a_service_comes_back_as_it_was_written(service: RegisteredService) -> None:
    assert decode_service_untrusted(encode_service(service)) == service


@pytest.mark.parametrize("health", Health)
def test_a_health_comes_back_as_it_was_written_in_two_bytes(health: Health) -> None:
    assert decode_health_untrusted(encode_health(health)) is health
    assert len(encode_health(health)) == 2


@given(st.permutations([("y", "1"), ("x", "2"), ("é", "3")]))
def test_the_order_in_which_meta_is_given_does_not_show(meta: list[tuple[str, str]]) -> None:
    assert encode_service(replace(SERVICE, meta=tuple(meta))) == encode_service(
        replace(SERVICE, meta=(("x", "2"), ("y", "1"), ("é", "3")))
    )
    assert encode_member(replace(MEMBER, labels=tuple(meta))) == encode_member(
        replace(MEMBER, labels=tuple(sorted(meta)))
    )


@given(st.lists(st.sampled_from(["c", "a", "b", "d" * 300, "b" * 1024]), max_size=8))
def test_tags_keep_the_order_in_which_they_were_given(tags: list[str]) -> None:
    written = encode_service(replace(SERVICE, tags=tuple(tags)))
    assert decode_service_untrusted(written).tags == tuple(dict.fromkeys(tags))


@given(services)
def test_a_release_before_long_tags_can_read_every_service(service: RegisteredService) -> None:
    """It takes seven fields, and tags of 1 to 255 bytes that rise."""
    fields = msgpack.unpackb(encode_service(service))
    short = fields[4]
    assert short == sorted({tag for tag in service.tags if len(tag.encode()) <= 255})
    assert fields[:4] == [service.id, service.name, service.address, service.port]
    assert fields[6] == service.weight
    if service.tags == tuple(short):
        assert len(fields) == 7  # nothing more is sent than such a release sends


def test_tags_up_to_1024_bytes_and_256_of_them_are_written() -> None:
    tags = tuple(f"{at:03}{'x' * 200}" for at in range(255, -1, -1))
    assert decode_service_untrusted(encode_service(replace(SERVICE, tags=tags))).tags == tags
    longest = ("t" * 1024, "é" * 512)
    assert decode_service_untrusted(encode_service(replace(SERVICE, tags=longest))).tags == longest


def test_a_hold_is_kept_to_the_millisecond() -> None:
    value = encode_member(replace(MEMBER, hold_s=29.99951))
    assert decode_member_untrusted(value).hold_s == 30.0


def test_an_address_has_no_scope_and_a_mapped_one_is_ipv4() -> None:
    assert address_fields(Address("fe80::1%eth0", 1)) == address_fields(Address("fe80::1", 1))
    assert address_fields(Address("::ffff:10.0.0.1", 1)) == (b"\x0a\0\0\1", 1)


# -- what is out of bounds is refused at both ends -------------------------------------------------------------------

LONG = "é" * 128
"""256 bytes in 128 characters."""


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("name", "", "member name is ''"),
        ("name", LONG, "member name is 'ééé"),
        ("name", "a\nb", "control characters"),
        ("name", "a\x9bb", "control characters"),
        ("name", "\ud800", "lone surrogate"),
        ("boot_id", b"short", "boot id"),
        ("addresses", (Address("10.0.0.1", 0),), "address port is 0: choose 1 to 65535"),
        ("addresses", (Address("10.0.0.1", 65_536),), "address port is 65536"),
        ("addresses", (Address("web.example", 1),), "web.example"),
        ("addresses", (Address("10.0.0.1", 1),) * 17, "17 addresses: choose at most 16"),
        ("public_key", bytes(31), "public key"),
        ("zone", LONG, "zone"),
        ("labels", (("", "x"),), "label key is ''"),
        ("labels", (("a", "x"), ("a", "y")), "label keys are double"),
        ("labels", tuple((f"{at:03}", "") for at in range(257)), "257 label"),
        ("protocol", ProtocolRange(0, 1), "oldest protocol"),
        ("protocol", ProtocolRange(2, 1), "newest protocol"),
        ("durable", 1, "durable is 1"),
        ("hold_s", -0.001, "hold in ms is -1"),
        ("hold_s", 60.001, "hold in ms is 60001: choose 0 to 60000"),
    ],
)
def test_a_member_out_of_bounds_is_not_written(field: str, wrong: Any, says: str) -> None:
    with pytest.raises(BadParams, match=says) as caught:
        encode_member(replace(MEMBER, **{field: wrong}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "wrong", "says"),
    [
        ("id", "", "service id is ''"),
        ("name", LONG, "service name"),
        ("name", "web\n10.0.0.9:80", "control characters"),
        ("address", "", "service address"),
        ("address", "10.0.0.1\x00", "control characters"),
        ("port", -1, "service port is -1: choose 0 to 65535"),
        ("port", 65_536, "service port"),
        ("port", True, "service port is True"),
        ("tags", ("",), "tag is ''"),
        ("tags", ("t" * 1025,), "tag is 't+.*: choose 1 to 1024 bytes"),
        ("tags", tuple(f"{at:03}" for at in range(257)), "257 tags: choose at most 256"),
        ("meta", (("k", "a"), ("k", "b")), "meta keys are double"),
        ("meta", (("k", "\udfff"),), "meta k is .* lone surrogate"),
        ("meta", (("k", 1),), "meta k is 1: text is needed"),
        ("weight", -1, "weight is -1"),
        ("weight", 65_536, "weight is 65536: choose 0 to 65535"),
    ],
)
def test_a_service_out_of_bounds_is_not_written(field: str, wrong: Any, says: str) -> None:
    with pytest.raises(BadParams, match=says) as caught:
        encode_service(replace(SERVICE, **{field: wrong}))
    assert "\n" not in str(caught.value)


def test_a_value_larger_than_64_kib_is_neither_written_nor_read() -> None:
    with pytest.raises(TooLarge, match="service takes 65576 bytes: choose at most 65536"):
        encode_service(replace(SERVICE, meta=(("k", "x" * 65_539),)))
    largest = encode_service(replace(SERVICE, meta=(("k", "x" * 65_501),)))
    assert len(largest) == 65_536
    assert decode_service_untrusted(largest).meta == (("k", "x" * 65_501),)
    assert refused(decode_service_untrusted, largest + b"x")


MEMBER_ARRAY: list[Any] = msgpack.unpackb(encode_member(MEMBER))
SERVICE_ARRAY: list[Any] = msgpack.unpackb(encode_service(SERVICE))
NO_TEXT = (None, 1, True, b"web", ["web"], LONG, "a\nb")
NO_INT = (None, True, 1.0, -1, "1", [1], 2**64 - 1)


def refused(decode: Any, value: bytes) -> bool:
    with pytest.raises(BadDatagram) as caught:
        decode(value)
    return caught.value.reason == "bad_value"


@pytest.mark.parametrize(
    ("place", "wrongs"),
    [
        (0, (*NO_TEXT, "")),
        (1, (None, "bootboot", b"", bytes(7), bytes(9))),
        (2, (None, 1, [None], [[b"abcd"]], [[b"abc", 1]], [["abcd", 1]], [[b"abcd", 0]], [[b"abcd", True]],
             [[b"abcd", 1]] * 17, {"a": 1}, b"abcd")),
        (3, (None, "", bytes(31), bytes(33))),
        (4, NO_TEXT),
        (5, (None, "ab", ["ab"], [["a"]], [[1, "b"]], [["a", 1]], [["b", ""], ["a", ""]], [["a", ""], ["a", ""]])),
        (6, (None, 1, [1], [0, 1], [2, 1], [1, 65_536], [True, 1], ["1", "2"])),
        (8, (None, 0, 1, "yes")),
        (9, (*NO_INT, 4)),
        (10, (*NO_INT, 60_001)),
    ],
)  # fmt: skip
def test_each_field_of_a_member_is_checked(place: int, wrongs: tuple[object, ...]) -> None:
    for wrong in wrongs:
        array = [*MEMBER_ARRAY[:place], wrong, *MEMBER_ARRAY[place + 1 :]]
        assert refused(decode_member_untrusted, msgpack.packb(array)), wrong


@pytest.mark.parametrize(
    ("place", "wrongs"),
    [
        (0, (*NO_TEXT, "")),
        (1, (*NO_TEXT, "")),
        (2, (*NO_TEXT, "")),
        (3, (*NO_INT, 65_536)),
        (4, (None, "ab", [""], [1], ["b", "a"], ["a", "a"], [f"{at:03}" for at in range(257)])),
        (5, (None, {}, {"a": "b"}, ["ab"], [["a"]], [["a", 1]], [["b", ""], ["a", ""]], [["a", ""], ["a", ""]])),
        (6, (*NO_INT, 65_536)),
        (7, (None, "ab", ["short"], ["l" * 1025], ["m" * 300, "l" * 300], ["l" * 300] * 2, ["a\nb" * 90],
             [f"{at:0300}" for at in range(255)])),
        (8, (None, [0, 1], "ab", b"\0", b"\0\0", b"\0\2", b"\0\1\2")),
    ],
)  # fmt: skip
def test_each_field_of_a_service_is_checked(place: int, wrongs: tuple[object, ...]) -> None:
    for wrong in wrongs:
        whole = [*SERVICE_ARRAY, [], b""]
        array = [*whole[:place], wrong, *whole[place + 1 :]]
        assert refused(decode_service_untrusted, msgpack.packb(array)), wrong


@pytest.mark.parametrize("wrong", [[], [4], [-1], [True], [0.0], [None], 0, None, "", {}])
def test_each_health_is_checked(wrong: object) -> None:
    assert refused(decode_health_untrusted, msgpack.packb(wrong))


def test_fields_of_a_later_version_are_ignored() -> None:
    more = ["added", [1, [2]], None]
    member = [*MEMBER_ARRAY, "", *more]
    member[2] = [[*address, "quic"] for address in member[2]]
    member[5] = [[*label, 1] for label in member[5]]
    member[6] = [*member[6], 3]
    member[7] = ["seed"]
    assert decode_member_untrusted(msgpack.packb(member)) == MEMBER
    assert decode_service_untrusted(msgpack.packb([*SERVICE_ARRAY, [], b"", *more])) == SERVICE
    assert decode_health_untrusted(msgpack.packb([2, *more])) is Health.CRITICAL


@pytest.mark.parametrize("junk", [7, None, [], "line\nbreak", "x" * 256, b"bytes", True])
def test_an_unreadable_reason_is_read_as_none(junk: object) -> None:
    assert decode_member_untrusted(msgpack.packb([*MEMBER_ARRAY, junk])) == MEMBER
    health = msgpack.packb([3, junk])
    assert decode_health_untrusted(health) is Health.MAINTENANCE
    assert decode_reason_untrusted(health) == ""


@given(st.text(max_size=400))
def test_a_reason_is_cut_and_cleaned_and_then_comes_back(reason: str) -> None:
    told = decode_reason_untrusted(encode_health(Health.MAINTENANCE, reason))
    assert len(told.encode()) <= MAX_REASON_BYTES
    assert decode_reason_untrusted(encode_health(Health.MAINTENANCE, told)) == told
    assert decode_member_untrusted(encode_member(replace(MEMBER, reason=reason))).reason == told
    if len(reason.encode(errors="replace")) <= MAX_REASON_BYTES and reason.isprintable():
        assert told == reason


DECODERS: tuple[Any, ...] = (decode_member_untrusted, decode_service_untrusted, decode_health_untrusted)
ENCODERS: tuple[Any, ...] = (encode_member, encode_service, encode_health)


def check_hostile(value: bytes) -> None:
    """Refused, or something that we could have written ourselves."""
    for decode, encode in zip(DECODERS, ENCODERS, strict=True):
        try:
            found = decode(value)
        except BadDatagram as bad:
            if bad.reason != "bad_value":
                raise
        else:
            assert decode(encode(found)) == found


@given(st.binary(max_size=200))
def test_random_bytes_do_no_harm(value: bytes) -> None:
    check_hostile(value)


@given(st.one_of(members.map(encode_member), services.map(encode_service)), st.data())
def test_mutated_values_do_no_harm(value: bytes, data: st.DataObject) -> None:
    mutated = bytearray(value)
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    check_hostile(bytes(mutated))


@pytest.mark.parametrize("decode", DECODERS)
def test_a_value_cut_off_anywhere_is_refused(decode: Any) -> None:
    for whole in (encode_member(MEMBER), encode_service(SERVICE), encode_health(Health.PASSING)):
        for size in range(len(whole)):
            assert refused(decode, whole[:size])


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize(
    "value",
    [
        b"\x91" * 60_000, b"\xdc\x01\x00" * 20_000, b"\xdc\xff\xff" * 20_000, b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\x91\xc7\x00\x01",
        b"\x9b\xa3\xed\xa0\x80", b"\xc1",
    ],
)  # fmt: skip
def test_nested_and_huge_values_are_refused(decode: Any, value: bytes) -> None:
    assert refused(decode, value)


@pytest.mark.parametrize("junk", [None, 1, "abcd", b"abc", [b"abcd"], bytes(4 * 17)])
def test_unreadable_key_ids_are_read_as_left_out(junk: object) -> None:
    fields = msgpack.unpackb(encode_member(replace(MEMBER, keys=(b"abcd",))))
    assert decode_member_untrusted(msgpack.packb(fields)).keys == (b"abcd",)
    fields[12] = junk
    assert decode_member_untrusted(msgpack.packb(fields)) == replace(MEMBER, keys=None)


def test_a_member_of_the_first_release_says_nothing_of_keys() -> None:
    fields = msgpack.unpackb(encode_member(replace(MEMBER, keys=(b"abcd",))))
    assert decode_member_untrusted(msgpack.packb(fields[:11])).keys is None


def test_software_may_be_left_out_or_unreadable() -> None:
    fields = msgpack.unpackb(encode_member(replace(MEMBER, software="1.2.3")))
    assert fields[11:] == ["", None, "1.2.3"]
    assert decode_member_untrusted(msgpack.packb(fields)).software == "1.2.3"
    for strange in (fields[:11], [*fields[:13], 7], [*fields[:13], "a\nb"]):
        assert decode_member_untrusted(msgpack.packb(strange)) == replace(MEMBER, software="")
    assert decode_member_untrusted(msgpack.packb([*fields, "of a later release"])).software == "1.2.3"


def test_at_most_sixteen_keys_are_told() -> None:
    keys = tuple(bytes([number]) * 4 for number in range(20))
    assert decode_member_untrusted(encode_member(replace(MEMBER, keys=keys))).keys == keys[:16]
