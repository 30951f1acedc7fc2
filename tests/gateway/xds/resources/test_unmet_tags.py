"""Calls that fail because the policy sends them to a tag of nobody are said, for as long as they fail."""

import pytest

from gossipreg.core.knowledge import Knowledge
from gossipreg.gateway.xds.resources import unmet_tags
from tests.gateway.xds.known_registry import KnownRegistry, instance, policy_of

SPLIT = "[service.Web]\nsplit = { v1 = 9, v2 = 1, v3 = 0 }\n"
ROUTE = '[[service.web.route]]\nheaders = { x-a = "1" }\ntag = "canary"\n'
V1, V2 = instance(tags=("v1",)), instance(address="10.0.0.2", tags=("V2",))


def test_a_share_for_a_tag_of_nobody_is_said_until_an_instance_comes() -> None:
    registry = KnownRegistry([V1], SPLIT)
    assert registry.source.unmet_tags.look() == "v2.web (10%)"
    registry.put(V2)
    assert registry.source.unmet_tags.look() is None
    registry.take(V2)
    assert registry.source.unmet_tags.look() == "v2.web (10%)"


def test_a_route_to_a_tag_of_nobody_is_said() -> None:
    assert KnownRegistry([V1], ROUTE).source.unmet_tags.look() == "canary.web (by header)"


def test_an_instance_that_no_client_can_use_does_not_meet_a_tag() -> None:
    unusable = instance(address="web.example.org", tags=("v2",), id="name")
    assert KnownRegistry([V1, unusable], SPLIT).source.unmet_tags.look() == "v2.web (10%)"


def test_a_service_that_is_named_as_the_tag_meets_it() -> None:
    registry = KnownRegistry([V1], SPLIT)
    registry.source.unmet_tags.look()
    registry.put(instance("v2.web", "10.0.0.3"))
    assert registry.source.unmet_tags.look() is None


def test_a_service_without_instances_is_no_fault_of_its_split() -> None:
    assert KnownRegistry([], SPLIT).source.unmet_tags.look() is None


def test_nothing_is_said_while_a_part_of_the_registry_is_unknown() -> None:
    registry = KnownRegistry([V1], SPLIT)
    registry.know(Knowledge.LAST_KNOWN)
    assert registry.source.unmet_tags.look() is None
    registry.know(Knowledge.SYNCED)
    assert registry.source.unmet_tags.look() == "v2.web (10%)"


def test_a_new_policy_is_looked_at_and_the_old_one_forgotten() -> None:
    registry = KnownRegistry([V1], SPLIT)
    registry.source.unmet_tags.look()
    registry.source.take_policy(policy_of("[service.web.split]\nv1 = 100"))
    assert registry.source.unmet_tags.look() is None


def test_many_tags_of_nobody_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmet_tags, "SHOWN", 1)
    registry = KnownRegistry([V1], "[service.web]\nsplit = { v1 = 1, a = 1, b = 1, c = 1 }")
    assert registry.source.unmet_tags.look() == "a.web (25%) and 2 more"


def test_services_of_the_policy_that_nobody_has_are_known() -> None:
    registry = KnownRegistry([V1], '[service.web]\ntimeout = "1s"\n[service.wbe]\ntimeout = "1s"\n')
    assert registry.source.services_of_nobody() == ("wbe",)
    registry.know(Knowledge.NOT_SYNCED)
    assert registry.source.services_of_nobody() == ()
