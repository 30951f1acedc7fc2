"""The answers of the registry over DNS, read by dnspython."""

import dns.flags
import dns.message
import dns.rdatatype
import dns.reversename
import pytest

from gossipreg.model import Address, Health, RegisteredService
from tests.gateway.dns.registry import Registry, outcome


@pytest.fixture
def registry() -> Registry:
    return Registry(domain="svc.example.org")


# -- services ----------------------------------------------------------------------------------------------------------


def test_a_service_is_found_with_its_addresses_of_each_family(registry: Registry) -> None:
    registry.put("web", "10.0.0.1")
    registry.put("web", "10.0.0.2")
    registry.put("web", "2001:db8::1")
    assert registry.found("web.service.consul") == ["10.0.0.1", "10.0.0.2"]
    assert registry.found("web.service.consul", "AAAA") == ["2001:db8::1"]
    assert registry.found("web.service.consul", "ANY") == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]


def test_two_instances_at_one_address_are_two_targets(registry: Registry) -> None:
    registry.put("web", "10.0.0.1", 80)
    registry.put("web", "10.0.0.1", 81)
    assert registry.found("web.service.consul") == ["10.0.0.1"]
    answers = [answer.split() for answer in registry.found("web.service.consul", "SRV")]
    assert [port for _, _, port, _ in answers] == ["80", "81"]
    assert len({target for _, _, _, target in answers}) == 2


def test_an_srv_has_weight_port_and_the_address_of_its_target(
    registry: Registry,
) -> None:
    registry.put("web", "10.0.0.1", 80, weight=7)
    registry.put("web", "2001:db8::1", 81, weight=0)
    for domain in ("consul", "svc.example.org"):
        reply = registry.ask(f"web.service.{domain}", "SRV")
        assert {(one.priority, one.weight, one.port) for one in reply.answer[0]} == {(1, 7, 80), (1, 0, 81)}
        beside = {str(rrset.name): (rrset.rdtype, str(rrset[0])) for rrset in reply.additional}
        assert sorted(address for _, address in beside.values()) == ["10.0.0.1", "2001:db8::1"]
        for one in reply.answer[0]:
            assert str(one.target).endswith(f".{domain}.")
            type, address = beside[str(one.target)]
            assert registry.found(str(one.target), dns.rdatatype.to_text(type)) == [address]


def test_a_service_without_a_port_has_addresses_and_no_srv(registry: Registry) -> None:
    registry.put("web", "10.0.0.1", 0, id="a")
    assert registry.found("web.service.consul", "A") == ["10.0.0.1"]
    assert registry.found("web.service.consul", "SRV") == []
    registry.put("web", "10.0.0.2", 80, id="b")
    assert len(registry.found("web.service.consul", "SRV")) == 1
    assert sorted(registry.found("web.service.consul", "A")) == ["10.0.0.1", "10.0.0.2"]


def test_a_target_stays_the_same_while_its_instance_does(registry: Registry) -> None:
    id = registry.put("web", "10.0.0.1", 80, id="a")
    before = registry.found("web.service.consul", "SRV")[0].split()[3]
    registry.put("web", "10.0.0.1", 81, id="a", weight=3)
    assert registry.found("web.service.consul", "SRV") == [f"1 3 81 {before}"]
    registry.take(id)
    assert registry.found(before) == ["10.0.0.1"]  # who still holds it can still ask


@pytest.mark.parametrize("health", [Health.WARNING, Health.CRITICAL, Health.MAINTENANCE])
def test_only_passing_instances_are_given_out(registry: Registry, health: Health) -> None:
    one = registry.put("web", "10.0.0.1")
    registry.put("web", "10.0.0.2")
    for type in ("A", "SRV"):
        assert len(registry.found("web.service.consul", type)) == 2
    registry.turn(one, health)
    assert registry.found("web.service.consul") == ["10.0.0.2"]
    assert len(registry.found("web.service.consul", "SRV")) == 1
    registry.turn(one, Health.PASSING)
    assert len(registry.found("web.service.consul")) == 2


def test_a_service_without_a_passing_instance_is_no_name(registry: Registry) -> None:
    registry.put("web", health=Health.CRITICAL)
    assert outcome(registry.ask("web.service.consul")) == "NXDOMAIN"


def test_an_empty_family_is_no_data_and_not_no_name(registry: Registry) -> None:
    registry.put("web", "10.0.0.1")
    for type in ("AAAA", "TXT", "MX", "CNAME", "HTTPS", "NS", "SOA", "PTR"):
        assert outcome(registry.ask("web.service.consul", type)) == "NODATA"


def test_tags_choose_instances_also_those_with_dots(registry: Registry) -> None:
    registry.put("web", "10.0.0.1", tags=("V1", "a.b"))
    registry.put("web", "10.0.0.2", tags=("v2",))
    assert registry.found("v1.web.service.consul") == ["10.0.0.1"]
    assert registry.found("_web._v2.service.consul") == ["10.0.0.2"]
    assert registry.found("a.b.web.service.consul") == ["10.0.0.1"]
    assert len(registry.found("_web._tcp.service.consul")) == 2
    assert outcome(registry.ask("v3.web.service.consul")) == "NXDOMAIN"


def test_a_dotted_name_goes_before_a_tag_once_it_exists(registry: Registry) -> None:
    registry.put("web", "10.0.0.1", tags=("v1", "v2"))
    assert registry.found("v1.web.service.consul") == ["10.0.0.1"]
    assert registry.found("v2.web.service.consul") == ["10.0.0.1"]
    first = registry.put("v1.web", "10.0.0.9")
    second = registry.put("v2.web", "10.0.0.8")
    assert registry.found("v1.web.service.consul") == ["10.0.0.9"]
    assert registry.found("v2.web.service.consul") == ["10.0.0.8"]
    registry.take(second)
    registry.take(first)
    assert registry.found("v1.web.service.consul") == ["10.0.0.1"]
    assert registry.found("v2.web.service.consul") == ["10.0.0.1"]


def test_names_that_differ_in_case_are_one_name(registry: Registry) -> None:
    registry.put("Web", "10.0.0.1")
    small = registry.put("web", "10.0.0.2")
    assert registry.found("wEB.service.consul") == ["10.0.0.1", "10.0.0.2"]
    registry.take(small)
    assert registry.found("wEB.service.consul") == ["10.0.0.1"]


def test_question_and_answers_echo_the_name_as_it_was_asked(registry: Registry) -> None:
    registry.put("web", "10.0.0.1")
    for asked in ("WeB.sErViCe.CoNsUl", "web.service.consul", "WEB.SERVICE.CONSUL", "WeB.sErViCe.CoNsUl"):
        for type in ("A", "SRV", "AAAA"):
            reply = registry.ask(asked, type)
            for rrset in (*reply.question, *reply.answer):
                assert str(rrset.name) == f"{asked}."
            for rrset in reply.authority:
                assert f"{asked}.".endswith(str(rrset.name))


def test_a_host_name_is_a_target_and_an_alias_for_addresses(registry: Registry) -> None:
    registry.put("db", "db-1.example.org", 5432)
    registry.put("db", "db-2.example.org", 5432)
    assert {one.split()[3] for one in registry.found("db.service.consul", "SRV")} == {
        "db-1.example.org.", "db-2.example.org.",
    }  # fmt: skip
    seen = {registry.found("db.service.consul", "A")[0] for _ in range(100)}
    assert seen == {"db-1.example.org.", "db-2.example.org."}  # one at a time: a name has one alias
    assert outcome(registry.ask("db.service.consul", "TXT")) == "NODATA"
    registry.put("db", "10.0.0.3", 5432)
    assert registry.found("db.service.consul", "A") == ["10.0.0.3"]
    assert len(registry.found("db.service.consul", "SRV")) == 3


def test_a_host_name_that_dns_cannot_say_is_left_out(registry: Registry) -> None:
    registry.put("db", "a..b", 1)
    registry.put("db", "x" * 64, 2)
    assert outcome(registry.ask("db.service.consul", "SRV")) == "NODATA"
    assert outcome(registry.ask("db.service.consul", "A")) == "NODATA"


def test_meta_is_text_each_once(registry: Registry) -> None:
    long = "x" * 300
    registry.put("web", "10.0.0.1", meta=(("k", "v"), ("rfc1035-note", "plain"), ("z", long)))
    registry.put("web", "10.0.0.2", meta=(("k", "v"),))
    (rrset,) = registry.ask("web.service.consul", "TXT", tcp=True).answer
    assert {b"".join(one.strings) for one in rrset} == {b"k=v", b"plain", f"z={long}".encode()}


# -- where -------------------------------------------------------------------------------------------------------------


def test_the_dc_is_the_cluster_or_a_zone_of_it(registry: Registry) -> None:
    registry.put("web", "10.0.0.1")
    registry.member(4, RegisteredService("web-1", "web", "10.2.0.5", 80))  # in the zone z
    assert registry.found("web.service.default.consul") == ["10.0.0.1", "10.2.0.5"]
    assert registry.found("web.service.z.consul") == ["10.2.0.5"]
    assert registry.found("speaker-4.node.z.consul") == ["10.2.0.5"]
    assert outcome(registry.ask("web.service.nowhere.consul")) == "NXDOMAIN"
    assert outcome(registry.ask("speaker-4.node.nowhere.consul")) == "NXDOMAIN"
    assert outcome(registry.ask("0a000001.addr.nowhere.consul")) == "NXDOMAIN"
    assert registry.found("0a000001.addr.Z.consul") == ["10.0.0.1"]
    for there in ("z.consul", "default.consul", "service.z.consul", "node.z.consul", "addr.default.consul"):
        assert outcome(registry.ask(there)) == "NODATA"


def test_members_are_found_by_name_while_they_live(registry: Registry) -> None:
    speaker = registry.member(4)
    assert registry.found("SPEAKER-4.node.consul") == ["10.2.0.5"]
    assert registry.found("victim.node.consul") == ["10.1.0.1"]
    assert outcome(registry.ask("victim.node.consul", "AAAA")) == "NODATA"
    assert outcome(registry.ask("nobody.node.consul")) == "NXDOMAIN"
    registry.leave(speaker)
    assert outcome(registry.ask("speaker-4.node.consul")) == "NXDOMAIN"
    assert registry.found("victim.node.consul") == ["10.1.0.1"]


def test_addresses_are_read_back_to_members_and_else_to_services(registry: Registry) -> None:
    registry.member(4)
    registry.put("web", "10.2.0.5")
    registry.put("web", "2001:db8::1")
    registry.put("down", "10.0.0.9", health=Health.CRITICAL)
    assert registry.found(str(dns.reversename.from_address("10.2.0.5")), "PTR") == ["speaker-4.node.consul."]
    assert registry.found(str(dns.reversename.from_address("2001:db8::1")), "PTR") == ["web.service.consul."]
    for unknown in ("10.0.0.9", "192.0.2.1", "2001:db8::2"):
        reply = registry.ask(str(dns.reversename.from_address(unknown)), "PTR")
        assert outcome(reply) == "NXDOMAIN"
        assert str(reply.question[0].name).endswith(str(reply.authority[0].name))
    assert outcome(registry.ask("5.0.2.10.in-addr.arpa", "A")) == "NODATA"
    assert outcome(registry.ask("2.10.in-addr.arpa", "PTR")) == "NODATA"
    assert outcome(registry.ask("256.0.2.10.in-addr.arpa", "PTR")) == "NXDOMAIN"


def test_a_node_has_its_present_address_of_each_family(registry: Registry) -> None:
    """A member of an earlier release announces the addresses that it had before, behind the present ones."""
    speaker, (now, before) = registry.member(4), (Address("10.2.0.77", 7940), Address("10.2.0.5", 7940))
    registry.announces(speaker, now, before, Address("fd00::7", 7940), Address("127.0.0.1", 7940))
    assert registry.found("speaker-4.node.consul") == ["10.2.0.77"]
    assert registry.found("speaker-4.node.consul", "AAAA") == ["fd00::7"]
    assert registry.found(str(dns.reversename.from_address("fd00::7")), "PTR") == ["speaker-4.node.consul."]
    for former in ("10.2.0.5", "127.0.0.1"):
        assert outcome(registry.ask(str(dns.reversename.from_address(former)), "PTR")) == "NXDOMAIN"


def test_the_larger_id_of_two_with_one_name_has_its_own_name(registry: Registry) -> None:
    speakers = [registry.member(seed) for seed in (4, 5)]
    for speaker in speakers:
        registry.announces(speaker, speaker.address, name="twin")
    small, large = sorted(speakers, key=lambda one: one.id)
    assert registry.found("twin.node.consul") == sorted(one.address.host for one in speakers)
    assert registry.found(f"twin.{large.id.hex()[:8]}.node.consul") == [large.address.host]
    assert outcome(registry.ask(f"twin.{small.id.hex()[:8]}.node.consul")) == "NXDOMAIN"


def test_hex_addresses_are_spelled_out(registry: Registry) -> None:
    assert registry.found("0a0000Ff.addr.consul") == ["10.0.0.255"]
    assert registry.found("20010db8000000000000000000000001.addr.consul", "AAAA") == ["2001:db8::1"]
    assert outcome(registry.ask("0a0000ff.addr.consul", "AAAA")) == "NODATA"
    for bad in ("0a0000f", "0a0000fg", "x.0a0000ff", "a.b.0a0000ff"):
        assert outcome(registry.ask(f"{bad}.addr.consul")) == "NXDOMAIN"


@pytest.mark.parametrize("name", ["consul", "service.consul", "node.consul", "addr.consul", "_tcp.service.consul"])
def test_names_on_the_way_are_there(registry: Registry, name: str) -> None:
    assert outcome(registry.ask(name)) == "NODATA"


def test_inner_names_of_dotted_services_and_members_exist(registry: Registry) -> None:
    id = registry.put("a.b.c", "10.0.0.1")
    assert outcome(registry.ask("b.c.service.consul")) == "NODATA"
    assert outcome(registry.ask("c.service.consul")) == "NODATA"
    registry.take(id)
    assert outcome(registry.ask("c.service.consul")) == "NXDOMAIN"


def test_the_zone_has_soa_and_ns_and_the_server_an_address(registry: Registry) -> None:
    assert registry.found("consul", "SOA")[0].startswith("ns.consul. hostmaster.consul. ")
    assert registry.found("svc.example.org", "NS") == ["ns.svc.example.org."]
    assert registry.found("ns.svc.example.org") == ["127.0.0.1"]


def test_any_of_the_apex_is_soa_and_ns(registry: Registry) -> None:
    soa, ns = sorted(registry.found("consul", "ANY"), key=len, reverse=True)
    assert soa.startswith("ns.consul. hostmaster.consul. ")
    assert ns == "ns.consul."
    assert registry.found("ns.consul", "ANY") == ["127.0.0.1"]


@pytest.mark.parametrize(("ttl_s", "negative_ttl_s"), [(0, 0), (30, 0), (0, 7), (30, 7)])
def test_records_and_their_absence_have_each_their_time_to_live(ttl_s: int, negative_ttl_s: int) -> None:
    registry = Registry(ttl_s=ttl_s, negative_ttl_s=negative_ttl_s)
    registry.put("web", "10.0.0.1")
    found = registry.ask("web.service.consul", "SRV")
    assert {rrset.ttl for rrset in (*found.answer, *found.additional)} == {ttl_s}
    for name, type in (("web.service.consul", "AAAA"), ("x.consul", "A"), ("none.service.consul", "A")):
        (soa,) = registry.ask(name, type).authority
        assert (soa.ttl, soa[0].minimum) == (negative_ttl_s, negative_ttl_s)
    (apex,) = registry.ask("consul", "SOA").answer
    assert (apex.ttl, apex[0].minimum) == (ttl_s, negative_ttl_s)


def test_dc1_stands_for_the_default_cluster() -> None:
    registry = Registry()
    registry.put("web", "10.0.0.1", tags=("v1",))
    for name in ("web.service.dc1.consul", "v1.web.service.DC1.consul", "_web._tcp.service.dc1.consul"):
        assert registry.found(name, "A") == ["10.0.0.1"], name
    assert outcome(registry.ask("dc1.consul")) == "NODATA"
    assert outcome(registry.ask("none.service.dc1.consul")) == "NXDOMAIN"
    assert registry.ask("speaker.node.dc1.consul").rcode() == dns.rcode.NXDOMAIN


def test_dc1_is_no_other_clusters_name() -> None:
    registry = Registry(cluster="prod")
    registry.put("web", "10.0.0.1")
    assert registry.found("web.service.prod.consul") == ["10.0.0.1"]
    assert outcome(registry.ask("web.service.dc1.consul")) == "NXDOMAIN"
    assert outcome(registry.ask("web.service.default.consul")) == "NXDOMAIN"


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["example.org", ".", "consul.example.org"])
def test_other_peoples_names_are_refused_without_authority(registry: Registry, name: str) -> None:
    reply = registry.ask(name)
    assert outcome(reply) == "REFUSED"
    assert not reply.flags & dns.flags.AA


@pytest.mark.parametrize("type", ["AXFR", "IXFR", "TKEY", "TSIG"])
def test_transfers_are_refused(registry: Registry, type: str) -> None:
    assert outcome(registry.ask("consul", type, tcp=True)) == "REFUSED"


@pytest.mark.parametrize("class_", ["CH", "HS", "NONE", "ANY"])
def test_other_classes_are_refused(registry: Registry, class_: str) -> None:
    query = dns.message.make_query("web.service.consul", "A", class_)
    reply = registry.raw(query.to_wire())
    assert reply is not None
    assert outcome(dns.message.from_wire(reply)) == "REFUSED"
