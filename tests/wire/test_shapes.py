"""The field names that users rely on, and that every shape goes into JSON and MessagePack as it is."""

import json

import msgpack

from gossipreg.model import (
    Address,
    CatalogInstance,
    Change,
    ChangeKind,
    Health,
    MemberInfo,
    NodeId,
    RegisteredService,
    ServiceSummary,
    Version,
)
from gossipreg.wire.shapes import change_shape, current_shape, instance_shape, member_shape, service_shape

SERVICE = RegisteredService("web-80", "web", "10.0.0.1", 80, ("a", "b"), (("k", "v"),), 3)
INSTANCE = CatalogInstance(SERVICE, Health.MAINTENANCE, NodeId(bytes(range(16))), "n", "z", 1 << 63, 7, stale=True)
INSTANCE_SHAPE = {
    "service": "web", "id": "web-80", "node": "000102030405060708090a0b0c0d0e0f", "node_name": "n",
    "address": "10.0.0.1", "port": 80, "tags": ["a", "b"], "meta": {"k": "v"}, "weight": 3, "health": "maintenance",
    "stale": True, "zone": "z", "version": ["9223372036854775808", 7],
}  # fmt: skip


def same_in_every_format(shape: object) -> bool:
    return bool(json.loads(json.dumps(shape)) == shape == msgpack.unpackb(msgpack.packb(shape)))


def test_an_instance_has_its_documented_fields() -> None:
    assert instance_shape(INSTANCE) == INSTANCE_SHAPE
    assert same_in_every_format(instance_shape(INSTANCE))


def test_a_change_is_a_kind_and_an_instance() -> None:
    for kind in ChangeKind:
        assert change_shape(Change(kind, INSTANCE)) == {"kind": kind.name.lower(), "instance": INSTANCE_SHAPE}
    assert current_shape((INSTANCE,)) == {"kind": "current", "instances": [INSTANCE_SHAPE]}


def test_what_is_not_known_of_a_member_is_null() -> None:
    member = MemberInfo(NodeId(bytes(16)), "n", None, "alive", "", (("k", "v"),), None, 2, Version(1, 2), 0.5)
    shape = member_shape(member)
    assert {"id", "name", "address", "state", "zone", "labels", "rtt_ms", "services", "version"} <= set(shape)
    assert (shape["address"], shape["rtt_ms"], shape["labels"]) == (None, None, {"k": "v"})
    assert same_in_every_format(shape)


def test_an_address_is_written_so_that_it_can_be_given_as_a_seed() -> None:
    member = MemberInfo(NodeId(bytes(16)), "n", Address("::1", 7), "dead", "", (), 1.5, 0, Version(1, 2), 0.5, "silent")
    assert member_shape(member)["address"] == "[::1]:7"


def test_a_service_is_summed_up() -> None:
    assert service_shape(ServiceSummary("web", 3, 2, ("a",))) == {
        "name": "web", "instances": 3, "passing": 2, "tags": ["a"],
    }  # fmt: skip
