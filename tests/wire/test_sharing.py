"""Services with equal parts hold the same ones, and are equal to what they were before."""

from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.table.content import SMALL_BYTES, Content
from gossipreg.core.table.layout import KIND_HEALTH, WHOLE, key_of
from gossipreg.errors import BadDatagram
from gossipreg.model import NodeId, RegisteredService
from gossipreg.wire.messages import Delta
from gossipreg.wire.values import decode_service_untrusted, encode_service

WORDS = st.text("abc", min_size=1, max_size=3)
SERVICES = st.builds(
    RegisteredService,
    id=WORDS,
    name=WORDS,
    address=WORDS,
    port=st.integers(0, 65_535),
    tags=st.lists(WORDS, max_size=3, unique=True).map(tuple),
    meta=st.dictionaries(WORDS, WORDS, max_size=3).map(lambda one: tuple(sorted(one.items()))),
    weight=st.integers(0, 65_535),
)


@given(service=SERVICES)
def test_sharing_parts_changes_nothing(service: RegisteredService) -> None:
    assert decode_service_untrusted(encode_service(service)) == service


@given(service=SERVICES, id=WORDS)
def test_decoded_instances_hold_the_same_parts(service: RegisteredService, id: str) -> None:
    value = encode_service(replace(service, meta=(*service.meta, ("z", service.name))))
    one, other = decode_service_untrusted(value), decode_service_untrusted(value)
    another = decode_service_untrusted(encode_service(replace(one, id=id)))
    for found in (other, another):
        for part in ("name", "address", "tags", "meta"):
            assert getattr(found, part) is getattr(one, part)
    assert one.meta[-1][1] is one.name


@pytest.mark.parametrize("meta", [[["k", 1]], [["k", True]], [["k", {}]], {}, [["k", b"v"]], ["k"]])
def test_meta_that_is_none_is_refused_each_time(meta: object) -> None:
    """1 and True are equal, and {} cannot be hashed: nothing of that may be found as what was read before."""
    value = msgpack.packb(["id", "web", "h", 1, ["a"], meta, 1])
    for _ in range(2):
        with pytest.raises(BadDatagram):
            decode_service_untrusted(value)


@pytest.mark.parametrize("name", ["a\x1fb", "a\x7fb", "a\x9fb", "", "a" * 256, "\u00e4" * 128])
def test_a_name_out_of_its_bounds_is_refused(name: str) -> None:
    value = msgpack.packb([name, "web", "h", 1, [], [], 1])
    with pytest.raises(BadDatagram):
        decode_service_untrusted(value)


@pytest.mark.parametrize("name", ["a", "~ !", "a" * 255, "\u00e4" * 127, "\u2028"])
def test_a_name_within_its_bounds_is_accepted(name: str) -> None:
    assert decode_service_untrusted(msgpack.packb([name, "web", "h", 1, [], [], 1])).id == name


def test_the_health_of_all_services_is_the_same_bytes() -> None:
    contents = [Content(1), Content(2)]
    for content in contents:
        health = bytes([*WHOLE, 0x91, 1])
        assert len(health) <= SMALL_BYTES
        entries = tuple((key_of(KIND_HEALTH, slot), 1 + slot, bytes(bytearray(health))) for slot in range(3))
        content.apply(Delta(NodeId(bytes(16)), content.generation, 0, 3, 3, 0, 0, entries))
    values = [value for content in contents for _, value in content.entries.values()]
    assert len(values) == 6
    assert len({id(value) for value in values}) == 1
