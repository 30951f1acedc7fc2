"""The message for one client: order, size, and the part of the records that each client gets if not all fit."""

import random
from collections import Counter

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.dns import responder, wire
from tests.gateway.dns.registry import Registry, data_of


def filled(count: int, *, v6: bool = False, seed: int = 1) -> Registry:
    registry = Registry(seed=seed)
    for number in range(count):
        address = f"2001:db8::{number + 1:x}" if v6 else f"10.0.{number >> 8}.{number & 255}"
        registry.put("web", address, 80)
    return registry


def firsts(registry: Registry, type: str, times: int) -> Counter[str]:
    return Counter(str(registry.ask("web.service.consul", type).answer[0][0]) for _ in range(times))


@pytest.mark.parametrize("type", ["A", pytest.param("SRV", marks=pytest.mark.wide)])
def test_each_instance_is_first_as_often_as_another(type: str) -> None:
    seen = firsts(filled(4), type, 1_600)
    assert len(seen) == 4
    assert all(305 < count < 495 for count in seen.values())  # 5.5 standard deviations


@pytest.mark.parametrize("edns_bytes", [None, 0, 512, 700, 1232, 4096, 65535])
@pytest.mark.parametrize("type", ["A", "SRV"])
def test_no_answer_is_longer_than_the_client_can_take(type: str, edns_bytes: int | None) -> None:
    registry = filled(300)
    query = dns.message.make_query("web.service.consul", type, use_edns=None if edns_bytes is None else 0)
    if edns_bytes is not None:
        query.use_edns(0, 0, edns_bytes)
    for host, most in (("127.0.0.1", responder.LOOPBACK_UDP_BYTES), ("192.0.2.1", responder.OUR_UDP_BYTES)):
        reply = registry.raw(query.to_wire(), host=host)
        assert reply is not None
        limit = max(512, min(edns_bytes or 0, most))
        assert limit - 80 < len(reply) <= limit  # and no shorter than it must be
        message = dns.message.from_wire(reply)
        assert message.flags & dns.flags.TC
        assert (message.edns == 0) == (edns_bytes is not None)
        if edns_bytes is not None:
            assert message.payload == responder.OUR_UDP_BYTES
    whole = registry.ask("web.service.consul", type, tcp=True)
    assert len(data_of(whole)) == 300
    assert not whole.flags & dns.flags.TC


def test_a_part_that_is_cut_has_the_addresses_of_its_targets() -> None:
    reply = filled(300).ask("web.service.consul", "SRV", edns_bytes=1232)
    assert {one.target for one in reply.answer[0]} == {rrset.name for rrset in reply.additional}
    assert len(reply.answer[0]) > 10


def test_addresses_that_do_not_fit_are_left_out_without_a_word() -> None:
    registry = filled(7)
    reply = registry.ask("web.service.consul", "SRV")
    assert len(reply.answer[0]) == 7
    assert not reply.flags & dns.flags.TC
    assert 0 < len(reply.additional) < 7


def part(registry: Registry, host: str) -> frozenset[str]:
    reply = registry.ask("web.service.consul", "A", host=host)
    assert reply.flags & dns.flags.TC
    return frozenset(data_of(reply))


def test_a_client_keeps_its_part_in_another_order() -> None:
    registry = filled(100)
    assert len({part(registry, "127.0.0.1") for _ in range(20)}) == 1
    orders = {str(registry.ask("web.service.consul", "A").answer[0][0]) for _ in range(100)}
    assert len(orders) > 10


def test_a_clients_part_hardly_changes_with_one_instance() -> None:
    registry = filled(100)
    before = part(registry, "127.0.0.1")
    id = registry.put("web", "10.9.9.9", 80)
    assert len(before - part(registry, "127.0.0.1")) <= 1
    registry.take(id)
    assert part(registry, "127.0.0.1") == before
    gone = sorted(before)[0]
    registry.take(f"web-{gone}-80")
    assert before - part(registry, "127.0.0.1") == {gone}


def test_all_clients_together_use_all_instances_alike() -> None:
    registry = filled(100)
    size = len(part(registry, "10.0.0.1"))
    used = Counter(one for client in range(400) for one in part(registry, f"10.8.{client >> 8}.{client & 255}"))
    assert len(used) == 100
    expected = 400 * size / 100
    assert all(0.6 * expected < count < 1.4 * expected for count in used.values())


def test_a_client_gets_another_part_from_another_sidecar() -> None:
    registry = filled(100)
    one = part(registry, "127.0.0.1")
    registry.responder._salt = b"another sidecar"
    registry.responder._client_marks.clear()
    other = part(registry, "127.0.0.1")
    assert len(one & other) < len(one) * 0.7


@given(st.integers(0, 40), st.booleans(), st.sampled_from([None, 512, 800, 1232]), st.integers(0, 9))
def test_every_cut_parses_and_names_only_what_is_registered(
    count: int, v6: bool, edns_bytes: int | None, seed: int
) -> None:
    registry = filled(count, v6=v6, seed=seed)
    for name in ("web.service.consul", "_web._tcp.service.consul"):
        for type in ("A", "AAAA", "SRV", "ANY"):
            reply = registry.ask(name, type, edns_bytes=edns_bytes)
            whole = registry.ask(name, type, edns_bytes=edns_bytes, tcp=True)
            found, all_there = data_of(reply), data_of(whole)
            assert len(found) == len(set(found))
            assert set(found) <= set(all_there)
            assert bool(reply.flags & dns.flags.TC) == (len(found) < len(all_there))


def test_more_than_a_message_holds_is_cut_over_tcp_too_and_said() -> None:
    registry = filled(1_500)
    query = dns.message.make_query("web.service.consul", "SRV")
    reply = registry.raw(query.to_wire(), tcp=True)
    assert reply is not None
    assert 65_000 < len(reply) <= 65_535
    message = dns.message.from_wire(reply)
    assert message.flags & dns.flags.TC
    names = {str(rrset.name) for rrset in message.additional}
    assert {str(one.target) for one in message.answer[0]} >= names  # also those too far back to be pointed to
    assert len(names) > 400


def test_a_record_that_fits_nowhere_leaves_a_truncated_answer() -> None:
    registry = Registry()
    registry.put("web", meta=(("k", "v" * 2000),))
    reply = registry.ask("web.service.consul", "TXT")
    assert reply.flags & dns.flags.TC
    assert not reply.answer
    assert data_of(registry.ask("web.service.consul", "TXT", tcp=True))


def test_the_shuffle_gives_every_order() -> None:
    from gossipreg.gateway.dns.compose import DnsRecord, _shuffle

    records = [DnsRecord(bytes((number,)), b"") for number in range(3)]
    rng = random.Random(1)
    seen: Counter[bytes] = Counter()
    for _ in range(6_000):
        order = list(records)
        _shuffle(order, rng)
        seen[b"".join(record.answer for record in order)] += 1
    assert len(seen) == 6
    assert all(850 < count < 1150 for count in seen.values())


def test_the_dnssec_bit_and_the_wish_for_recursion_come_back() -> None:
    registry = filled(1)
    for flags in (wire.RD, 0):
        query = dns.message.make_query("web.service.consul", "A", want_dnssec=True)
        query.flags = dns.flags.Flag(flags)
        for _ in range(2):  # as it is made, and as it is kept
            raw = registry.raw(query.to_wire())
            assert raw is not None
            reply = dns.message.from_wire(raw)
            assert reply.ednsflags & dns.flags.DO
            assert reply.flags == dns.flags.QR | dns.flags.AA | flags
