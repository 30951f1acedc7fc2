"""Services with equal parts hold the same ones, and are equal to what they were before."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.core.table.content import SMALL_BYTES, Content
from gossipreg.core.table.layout import KIND_HEALTH, WHOLE, key_of
from gossipreg.model import NodeId, RegisteredService
from gossipreg.wire.messages import Delta
from gossipreg.wire.sharing import with_shared_parts
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
    assert with_shared_parts(service) == service
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
