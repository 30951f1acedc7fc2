"""An instance as programs see it: decoded from the sidecar's shape, frozen, and fit for sets, URLs and pickles."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from gossipreg.client.instance import Instance, InstanceKey, instance_untrusted
from gossipreg.model import CatalogInstance, Health, NodeId, RegisteredService
from gossipreg.wire.shapes import instance_shape
from tests.client.fake_sidecar import instance as shape


def test_every_field_comes_from_the_sidecars_shape() -> None:
    service = RegisteredService("web-1", "Web", "10.0.0.5", 8080, ("v2", "blue"), (("tls_name", "web.example"),), 7)
    node = NodeId(bytes(range(16)))
    theirs = CatalogInstance(service, Health.MAINTENANCE, node, "host-1", "eu", 1 << 62, 9, True, "disk")
    ours = instance_untrusted(instance_shape(theirs))
    assert ours == Instance(
        "web-1", "Web", node.hex(), "host-1", "10.0.0.5", 8080, ("v2", "blue"), {"tls_name": "web.example"}, 7,
        "maintenance", "eu", True, (1 << 62, 9), "disk",
    )  # fmt: skip
    assert ours.key == InstanceKey(node.hex(), "web-1")


@pytest.mark.parametrize(
    ("address", "port", "wanted"),
    [
        ("10.0.0.1", 80, "10.0.0.1:80"),
        ("db.example", 5432, "db.example:5432"),
        ("fd00::1", 80, "[fd00::1]:80"),
        ("fd00::1", 0, "[fd00::1]"),
        ("10.0.0.1", 0, "10.0.0.1"),
    ],
)
def test_hostport_fits_into_a_url(address: str, port: int, wanted: str) -> None:
    assert instance_untrusted(shape(port, address=address)).hostport == wanted


def test_an_instance_cannot_be_changed() -> None:
    one = instance_untrusted(shape(meta={"a": "b"}))
    with pytest.raises(FrozenInstanceError):
        one.weight = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        one.meta["a"] = "c"  # type: ignore[index]
    with pytest.raises((AttributeError, TypeError)):
        one.surprise = 1  # type: ignore[attr-defined]


def test_equal_instances_are_one_element_of_a_set() -> None:
    assert len({instance_untrusted(shape(meta={"a": "b"})), instance_untrusted(shape(meta={"a": "b"}))}) == 1
    assert len({instance_untrusted(shape()), instance_untrusted(shape(weight=3))}) == 2


def test_an_instance_can_be_pickled_and_copied() -> None:
    one = instance_untrusted(shape(meta={"a": "b"}, tags=["x"]))
    for other in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one), copy.copy(one)):
        assert other == one
        assert type(other.meta) is type(one.meta)


@pytest.mark.parametrize(
    "changed",
    [
        {"port": "80"}, {"tags": "v2"}, {"tags": [1]}, {"meta": {"a": 1}}, {"meta": []}, {"stale": 0}, {"id": None},
        {"version": [1, 2]}, {"version": ["1"]}, {"version": ["x", 2]}, {"weight": None}, {"node": b"x"},
    ],
)  # fmt: skip
def test_a_shape_with_a_wrong_field_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"not an instance|invalid literal"):
        instance_untrusted(shape() | changed)


def test_a_shape_without_a_field_is_refused() -> None:
    for name in shape():
        with pytest.raises(ValueError, match="not an instance"):
            instance_untrusted({key: value for key, value in shape().items() if key != name})


def test_a_field_of_a_newer_release_is_ignored() -> None:
    assert instance_untrusted(shape(colour="blue")) == instance_untrusted(shape())
