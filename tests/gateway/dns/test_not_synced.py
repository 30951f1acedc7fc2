"""DNS while the sidecar does not know the cluster's table: nothing is denied."""

import dns.message
import pytest

from gossipreg.core.effects import Effect
from gossipreg.model import Health, RegisteredService
from simulations import inside
from tests.core.cluster import START
from tests.core.speaker import a_node
from tests.gateway.dns.registry import Registry, outcome


class _Unsynced(Registry):
    def __init__(self) -> None:
        super().__init__()
        self.node = a_node(synced=False)
        self.responder = self.fresh()

    def begin(self) -> None:
        """The first of its cluster from now on: synced."""
        effects: list[Effect] = self.node.seek((), START)
        self.tell(effects)


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("web.service.consul", "A"),
        ("web.service.consul", "SRV"),
        ("_web._tcp.service.consul", "SRV"),
        ("v2.web.service.consul", "A"),
        ("other.node.consul", "A"),
        ("1.0.0.10.in-addr.arpa", "PTR"),
        ("whatever.consul", "A"),
        ("web.service.elsewhere.consul", "A"),
    ],
)
def test_an_unknown_name_is_servfail_and_denied_once_synced(name: str, type: str) -> None:
    registry = _Unsynced()
    answer = registry.ask(name, type)
    assert outcome(answer) == "SERVFAIL"
    assert not answer.authority
    registry.begin()
    assert outcome(registry.ask(name, type)) == "NXDOMAIN"


@pytest.mark.parametrize(
    ("name", "type"), [("consul", "SOA"), ("consul", "NS"), ("ns.consul", "A"), ("0a000001.addr.consul", "A")]
)
def test_a_question_that_needs_no_table_is_answered(name: str, type: str) -> None:
    assert outcome(_Unsynced().ask(name, type)) == ""


def test_names_on_the_way_to_others_are_there() -> None:
    assert outcome(_Unsynced().ask("service.consul", "A")) == "NODATA"


def test_a_service_registered_here_and_this_node_are_answered() -> None:
    registry = _Unsynced()
    registry.put("web")
    assert registry.found("web.service.consul") == ["10.0.0.1"]
    assert outcome(registry.ask("web.service.consul", "AAAA")) == "NODATA", "it has no such address"
    assert outcome(registry.ask("v2.web.service.consul")) == "SERVFAIL", "others may have the tag"
    assert registry.found("victim.node.consul") == ["10.1.0.1"]


def test_a_service_that_may_be_known_in_part_is_servfail() -> None:
    registry = _Unsynced()
    registry.member(7, *_services("web"))
    assert registry.node.catalog.lookup("web")
    assert outcome(registry.ask("web.service.consul")) == "SERVFAIL"
    registry.put("web", "10.0.0.9")
    assert len(registry.found("web.service.consul")) == 2


def test_a_failing_service_is_servfail_though_a_denial_was_kept() -> None:
    registry = Registry()
    registry.put("web", health=Health.CRITICAL)
    query = dns.message.make_query("web.service.consul", "A").to_wire()
    for _ in range(2):  # the second time from what is kept
        registry.raw(query)
    inside.unsync(registry.node)
    answer = registry.raw(query)
    assert answer is not None
    assert outcome(dns.message.from_wire(answer)) == "SERVFAIL"


def _services(*names: str) -> list[RegisteredService]:
    return [RegisteredService(f"{name}-1", name, "10.2.0.8", 80) for name in names]
