"""Messages in and out: a kept answer always equals the answer that would be made now."""

import random
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipreg.gateway.dns import rates, responder, wire
from gossipreg.model import Health
from tests.gateway.dns.registry import Registry, data_of

WORDS = [
    "web", "WEB", "v1", "a", "b", "web.a", "_web", "_tcp", "_v1", "service", "node", "addr", "victim", "default", "z",
    "0a000001", "20010db8000000000000000000000001", "ns", "consul", "in-addr", "ip6", "arpa", "1", "10", "0", "x" * 63,
]  # fmt: skip
NAMES = st.lists(st.sampled_from(WORDS), max_size=6).map(".".join)
TYPES = st.sampled_from(["A", "AAAA", "SRV", "TXT", "ANY", "PTR", "SOA", "NS", "CNAME", "HTTPS", "AXFR", "TYPE65280"])
ENDS = st.sampled_from([".consul", ".service.consul", ".svc.example.org", ".in-addr.arpa", ""])


def standing() -> Registry:
    registry = Registry(domain="svc.example.org")
    for number in range(30):
        registry.put("web", f"10.0.0.{number}", tags=("v1",) if number % 2 else (), meta=(("n", str(number)),))
    registry.put("web", "2001:db8::1")
    registry.put("a", "host.example.org")
    registry.put("web.a", "10.0.0.1")
    registry.member(4)
    return registry


STANDING = standing()


@given(NAMES, ENDS, TYPES, st.none() | st.integers(0, 65535), st.booleans(), st.randoms())
def test_dnspython_reads_every_answer_and_writes_it_the_same(
    name: str, end: str, type: str, edns_bytes: int | None, tcp: bool, rng: random.Random
) -> None:
    mixed = "".join(rng.choice((char.lower(), char.upper())) for char in (name + end).strip("."))
    try:
        asked = dns.message.make_query(mixed, type)
    except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
        return
    if edns_bytes is not None:
        asked.use_edns(0, 0, edns_bytes)
    raw = STANDING.raw(asked.to_wire(), tcp=tcp)
    assert raw is not None
    assert STANDING.bugs == []
    reply = dns.message.from_wire(raw, one_rr_per_rrset=True)
    assert asked.is_response(reply)
    question = asked.question[0].name.to_wire()
    assert question is not None
    assert raw[12:].startswith(question)  # to the byte
    again = dns.message.from_wire(reply.to_wire(max_size=65535), one_rr_per_rrset=True)
    for section in range(4):
        said, said_again = ([str(rrset).lower() for rrset in one.sections[section]] for one in (reply, again))
        assert said == said_again  # but for the case of letters that dnspython loses where it compresses names
    assert len(raw) <= (65535 if tcp else max(512, min(edns_bytes or 0, 4096)))
    negative = reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and not reply.answer
    assert (len(reply.authority) == 1) == (negative and not reply.flags & dns.flags.TC)


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer_that_parses_or_none(data: bytes) -> None:
    raw = STANDING.raw(data)
    if raw is not None:
        assert dns.message.from_wire(raw).flags & dns.flags.QR
        assert raw[:2] == data[:2]


# -- what is kept ------------------------------------------------------------------------------------------------------

QUESTIONS = [
    (name, type)
    for name in (
        "web.service.consul", "WEB.Service.consul", "v1.web.service.consul", "v1.web.service.z.consul",
        "_web._v1.service.consul", "api.web.service.consul", "v1.service.consul",
    )
    for type in ("A", "AAAA", "SRV", "TXT")
]  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"), st.sampled_from(["web", "Web", "v1", "v1.web", "api.web"]), st.integers(0, 3),
            st.sampled_from([(), ("v1",), ("V1", "api")]), st.sampled_from(list(Health)),
        ),
        st.tuples(st.just("take"), st.integers(0, 3)),
        st.tuples(st.just("turn"), st.integers(0, 3), st.sampled_from(list(Health))),
        st.tuples(st.just("leave"), st.just(0)),
    ),
    max_size=6,
)  # fmt: skip


def said(registry: Registry) -> list[tuple[Any, ...]]:
    found = []
    for name, type in QUESTIONS:
        reply = registry.ask(name, type)
        found.append((name, type, reply.rcode(), data_of(reply), sorted(str(one) for one in reply.additional)))
    return found


def step(registry: Registry, step: tuple[Any, ...], ids: dict[int, str]) -> None:
    match step:
        case ("put", name, number, tags, health):
            address = ("10.0.0.1", "10.0.0.2", "2001:db8::1", "host.example.org")[number]
            ids[number] = registry.put(name, address, id=f"id-{number}", tags=tags, health=health)
        case ("take", number) if number in ids:
            registry.take(ids.pop(number))
        case ("turn", number, health) if number in ids:
            registry.turn(ids[number], health)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_a_kept_answer_equals_one_that_is_made_anew(steps: list[tuple[Any, ...]]) -> None:
    registry, ids = Registry(), dict[int, str]()
    said(registry)
    for one in steps:
        step(registry, one, ids)
        kept = said(registry)
        directory, told = registry.directory, registry.responder
        registry.responder = registry.fresh()
        made = said(registry)
        registry.directory, registry.responder = directory, told
        assert [line for line in kept if line[3]] == [line for line in made if line[3]]
        assert [line[2] for line in kept] == [line[2] for line in made]


def test_a_repeated_question_is_answered_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = standing()
    expected = registry.found("web.service.consul", "SRV", tcp=True)
    assert registry.found("WEB.service.consul", "AAAA", edns_bytes=1232) == ["2001:db8::1"]
    monkeypatch.setattr(registry.responder, "_slow", None)
    assert registry.found("wEb.service.consul", "SRV", tcp=True) == expected
    assert registry.found("web.service.CONSUL", "AAAA", edns_bytes=700) == ["2001:db8::1"]
    option = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    query = dns.message.make_query("web.service.consul", "AAAA", options=[option])
    with pytest.raises(TypeError):  # an option has to be read
        registry.raw(query.to_wire())


def test_types_that_differ_by_case_bits_are_different_questions() -> None:
    registry = standing()
    https, other = 65, 97  # "A" and "a"
    question = b"\3web\7service\6consul\0\0%c\0\1"
    for type in (https, other, https):
        raw = registry.raw(wire.HEADER.pack(1, 0, 1, 0, 0, 0) + question % type)
        assert raw is not None
        assert raw[12:].startswith(question % type)


def test_a_zero_in_a_label_is_not_taken_for_the_end_of_the_name() -> None:
    registry = standing()
    query = dns.message.make_query(dns.name.Name([b"a\0b", b"web", b"service", b"consul", b""]), "A")
    for _ in range(2):
        raw = registry.raw(query.to_wire())
        assert raw is not None
        reply = dns.message.from_wire(raw)
        assert (reply.rcode(), reply.question) == (dns.rcode.NXDOMAIN, query.question)
    assert not registry.responder._kept


def test_kept_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = standing()
    for type in range(1, 600):
        registry.ask("web.service.consul", f"TYPE{type}") if type not in (41, *range(249, 255)) else None
    kept = registry.responder._kept
    assert len(kept) == len(responder.KEPT_TYPES)
    for number in range(200):
        registry.ask(f"nobody-{number}.service.consul")
    assert len(kept) == len(responder.KEPT_TYPES)
    monkeypatch.setattr(responder, "KEPT_ANSWERS_MAX", 20)
    for number in range(50):
        registry.put(f"s{number}")
        assert registry.found(f"s{number}.service.consul") == ["10.0.0.1"]
        assert len(kept) <= 20
    monkeypatch.setattr(responder, "KEPT_RECORDS_MAX", 25)
    for _ in range(2):
        assert len(registry.found("web.service.consul", tcp=True)) == 30  # too many to be kept
        assert sum(max(1, len(answer.records)) for answer in kept.values()) <= 25


# -- counters, and what goes wrong -------------------------------------------------------------------------------------


def test_everything_is_counted_by_what_came_of_it() -> None:
    registry = standing()
    registry.ask("web.service.consul", "A")
    registry.ask("web.service.consul", "MX")
    registry.ask("none.service.consul")
    registry.ask("example.org")
    registry.raw(b"short")
    registry.raw(wire.HEADER.pack(1, wire.QR, 1, 0, 0, 0))
    registry.raw(wire.HEADER.pack(1, 0, 2, 0, 0, 0))
    registry.raw(wire.HEADER.pack(1, 5 << 11, 1, 0, 0, 0))
    registry.raw(wire.HEADER.pack(1, 4 << 11, 1, 0, 0, 0))
    assert registry.responder.counts == {
        "dns.queries": 9, "dns.answers.noerror": 1, "dns.truncated": 1, "dns.answers.nodata": 1,
        "dns.answers.nxdomain": 1, "dns.answers.refused": 2, "drop.dns_short": 1, "drop.dns_response": 1,
        "dns.answers.formerr": 1, "dns.answers.notimp": 1,
    }  # fmt: skip


def test_an_update_is_refused_in_the_form_of_its_opcode() -> None:
    query = dns.message.make_query("consul", "SOA")
    query.set_opcode(dns.opcode.UPDATE)
    raw = STANDING.raw(query.to_wire())
    assert raw is not None
    reply = dns.message.from_wire(raw)
    assert (reply.opcode(), reply.rcode(), reply.id) == (dns.opcode.UPDATE, dns.rcode.REFUSED, query.id)


def test_a_newer_edns_is_told_the_version_that_is_spoken() -> None:
    query = dns.message.make_query("web.service.consul", "A")
    query.use_edns(1)
    raw = STANDING.raw(query.to_wire())
    assert raw is not None
    reply = dns.message.from_wire(raw)
    assert (reply.rcode(), reply.edns) == (dns.rcode.BADVERS, 0)


def test_a_failure_inside_is_a_servfail_and_a_logged_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = standing()
    bugs: list[Exception] = []
    registry.responder._bug = lambda _, error: bugs.append(error)
    monkeypatch.setattr(registry.responder, "_answers", None)
    query = dns.message.make_query("web.service.consul", "A")
    raw = registry.raw(query.to_wire())
    assert raw is not None
    assert dns.message.from_wire(raw).rcode() == dns.rcode.SERVFAIL
    assert [type(bug) for bug in bugs] == [AttributeError]


# -- how much one client may have --------------------------------------------------------------------------------------


def asks(registry: Registry, host: str, times: int) -> list[bytes | None]:
    query = dns.message.make_query("web.service.consul", "A").to_wire()
    return [registry.responder.respond_udp(query, host, 1.0) for _ in range(times)]


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1"])
def test_beyond_its_rate_every_question_is_sent_to_tcp(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LOOPBACK_ANSWERS_A_SECOND", 100)
    monkeypatch.setattr(rates, "ANSWERS_A_SECOND", 100)
    registry = standing()
    assert None not in asks(registry, host, 100)
    assert registry.troubles == []
    beyond = [reply for reply in asks(registry, host, 100) if reply is not None]
    told = [dns.message.from_wire(reply) for reply in beyond]
    assert len(told) == 100
    assert all(reply.flags & dns.flags.TC and not reply.answer for reply in told)
    assert registry.responder.counts["dns.sent_to_tcp"] == 100
    (message,) = registry.troubles
    assert message.startswith(f"{host} asks more than 100 DNS questions a second")
    other = asks(registry, "192.0.2.2", 1)[0]
    assert other is not None
    assert data_of(dns.message.from_wire(other)), "other clients are answered as before"
    assert registry.responder.respond_udp(b"x", host, 1.5) is None
    assert registry.responder.counts["drop.dns_rate"] == 1
    query = dns.message.make_query("web.service.consul", "A").to_wire()
    answer = registry.responder.respond_udp(query, host, 2.5)
    assert answer is not None
    assert data_of(dns.message.from_wire(answer))


@given(st.binary(max_size=100))
def test_beyond_its_rate_nothing_is_longer_than_what_came(data: bytes) -> None:
    registry = Registry()
    reply = registry.responder._beyond_rate(data)
    assert reply is None or len(reply) <= len(data)


def test_a_network_is_one_client_and_so_are_all_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = rates.Rates()
    monkeypatch.setattr(rates, "ANSWERS_A_SECOND", 2)
    assert [counted.allow(f"2001:db8::{one}", 0.0) for one in (1, 2, 3)] == [True, True, False]
    assert counted.allow("2001:db8:0:1::1", 0.0)
    assert counted.allow("fe80::1%eth0", 0.0)
    assert all(counted.allow("::1", 0.0) and counted.allow("127.0.0.1", 0.0) for _ in range(100))
    monkeypatch.setattr(rates, "CLIENTS_MAX", 10)
    crowd = [counted.allow(f"192.0.2.{one}", 0.0) for one in range(20)]
    assert crowd[:5] == [True] * 5
    assert crowd[-5:] == [False] * 5
    assert len(counted._counts) <= 11
    assert counted.allow("192.0.2.19", 1.0)
