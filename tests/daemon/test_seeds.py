"""What a seed may look like, and that names are asked for as long as it takes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import dns.message
import dns.resolver
import dns.rrset
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from gossipreg.daemon import seeds as seeds_module
from gossipreg.daemon.seeds import (
    HostSeed,
    Seed,
    SrvSeed,
    Unresolved,
    certainly_loopback,
    keep_resolving,
    parse_seed,
    resolve,
)
from gossipreg.errors import BadConfig
from gossipreg.model import Address


@pytest.mark.parametrize(
    ("text", "seed"),
    [
        ("10.0.0.5:7940", HostSeed("10.0.0.5", 7940)),
        ("db-1.example:1", HostSeed("db-1.example", 1)),
        ("[fd00::5]:7940", HostSeed("fd00::5", 7940)),
        ("[::1]:65535", HostSeed("::1", 65535)),
        ("10.0.0.2", HostSeed("10.0.0.2", 7940)),
        ("db-1.example", HostSeed("db-1.example", 7940)),
        ("fd77::1", HostSeed("fd77::1", 7940)),
        ("[::1]", HostSeed("::1", 7940)),
        ("srv:_gossip._udp.example.org", SrvSeed("_gossip._udp.example.org")),
        ("srv:_gossip._udp.example.org.", SrvSeed("_gossip._udp.example.org")),
    ],
)
def test_a_seed_is_a_host_or_an_srv_name(text: str, seed: Seed) -> None:
    assert parse_seed(text) == seed


@pytest.mark.parametrize(
    "text",
    ["", "7940", "host:", ":7940", "host:0", "host:65536", "host:http", "host:-1", "host:\u0661", "::1:7940",
     "[::1]7940", "[host]:7940", "a b:1", "http://host:1", "srv:", "srv:example.org",
     "srv:_gossip._tcp.example.org", "srv:_g._udp", "224.0.0.1:1", "[ff02::1]:7940"],
)  # fmt: skip
def test_anything_else_is_an_error_that_names_it(text: str) -> None:
    with pytest.raises(BadConfig) as raised:
        parse_seed(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("host", ["a" * 64, ".".join(["a" * 60] * 5)])
def test_a_name_that_no_host_can_have_is_refused_at_once(host: str) -> None:
    with pytest.raises(BadConfig, match="a host name has at most 253 characters"):
        parse_seed(f"{host}:1")
    assert parse_seed("a" * 63 + ":1") == HostSeed("a" * 63, 1)


@given(st.text())
def test_no_text_raises_anything_but_bad_config(text: str) -> None:
    with suppress(BadConfig):
        assert str(parse_seed(text))


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("localhost:1", True), ("x.localhost:1", True),
        ("10.0.0.1:1", False), ("[::2]:1", False), ("example.org:1", False), ("127.example.org:1", False),
        ("srv:_g._udp.localhost", False), ("notlocalhost:1", False), ("[::ffff:127.0.0.1]:1", True),
    ],
)  # fmt: skip
def test_only_what_must_be_this_machine_is_certainly_loopback(text: str, loopback: bool) -> None:
    assert certainly_loopback(parse_seed(text)) is loopback


async def test_what_means_something_on_one_link_alone_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[Any, ...]] = [("fe80::1", 7940, 0, 2), ("fd00::1", 7940, 0, 0), A]
    asked = [(socket.AF_UNSPEC, socket.SOCK_DGRAM, 0, "", sockaddr) for sockaddr in found]
    monkeypatch.setattr(seeds_module, "_ask_host", lambda *_: asked)
    seed = parse_seed("db-1.example:7940")
    assert await resolve(seed) == [Address("fd00::1", 7940), A]
    del asked[1:]
    with pytest.raises(Unresolved, match=r"db-1\.example has only link-local"):
        await resolve(seed)


class Names:
    """A name server that knows what it is told, in virtual time."""

    def __init__(self) -> None:
        self.known: dict[str, list[Address]] = {}
        self.asked: list[tuple[str, float]] = []
        self.found: list[tuple[Address, ...]] = []
        self.failed: list[str] = []
        self.content = False

    async def resolve(self, seed: Seed) -> list[Address]:
        self.asked.append((str(seed), trio.current_time()))
        if str(seed) not in self.known:
            raise Unresolved("no such name")
        return self.known[str(seed)]

    async def run(self, clock: MockClock, *texts: str) -> None:
        assert clock.autojump_threshold == 0
        await keep_resolving(
            tuple(parse_seed(text) for text in texts), found=self.found.append,
            failed=lambda seed, why: self.failed.append(f"{seed}: {why}"), content=lambda: self.content,
            resolve=self.resolve,
        )  # fmt: skip


A, B, C = Address("10.0.0.1", 7940), Address("10.0.0.2", 7940), Address("10.0.0.3", 7940)


async def test_literal_addresses_ask_nobody_and_end_at_once(autojump_clock: MockClock) -> None:
    names = Names()
    await names.run(autojump_clock, str(A), str(B), str(A))
    assert names.found == [(A, B)]
    assert names.asked == []


async def test_a_name_of_a_seed_is_resolved_again_with_backoff(autojump_clock: MockClock) -> None:
    names = Names()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.run, autojump_clock, "late.example:7940", str(A))
        await trio.sleep(3600)
        assert names.found == [(A,)]
        times = [at for _, at in names.asked]
        waits = [round(later - sooner, 3) for sooner, later in pairwise(times)]
        assert waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
        assert names.failed[0] == "late.example:7940: no such name"
        names.known["late.example:7940"] = [B, C]
        await trio.sleep(31)
        assert names.found == [(A,), (B, C, A)]
        nursery.cancel_scope.cancel()


async def test_who_is_content_asks_no_more_until_it_hears_nobody(autojump_clock: MockClock) -> None:
    names = Names()
    names.known["x.example:7940"] = [A]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names.run, autojump_clock, "x.example:7940")
        await trio.sleep(0.1)
        names.content = True
        await trio.sleep(3600)
        assert len(names.asked) == 1
        names.content = False
        names.known["x.example:7940"] = [B]  # the seed has moved
        await trio.sleep(31)
        assert names.found == [(A,), (B,)]
        nursery.cancel_scope.cancel()


async def test_localhost_resolves_to_all_its_addresses() -> None:
    addresses = await resolve(HostSeed("localhost", 7940))
    assert Address("127.0.0.1", 7940) in addresses
    assert len(set(addresses)) == len(addresses)


async def test_an_srv_seed_resolves_to_the_addresses_of_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_module, "_ask_srv", lambda _: [("10.0.0.2", 1), ("bad..host", 2), ("10.0.0.1", 3)])
    assert await resolve(SrvSeed("_g._udp.example")) == [Address("10.0.0.2", 1), Address("10.0.0.1", 3)]


async def test_an_srv_seed_without_records_is_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds_module, "_ask_srv", lambda _: [])
    with pytest.raises(Unresolved, match="no SRV records"):
        await resolve(SrvSeed("_g._udp.example"))


@contextmanager
def name_server(answer: str) -> Iterator[int]:
    """The port of one on 127.0.0.1 that answers every question with this SRV record."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            data, source = sock.recvfrom(4096)
            if not data:
                return
            question = dns.message.from_wire(data)
            reply = dns.message.make_response(question)
            name = question.question[0].name
            reply.answer.append(dns.rrset.from_text(name, 0, "IN", "SRV", answer))
            sock.sendto(reply.to_wire(), source)

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield int(sock.getsockname()[1])
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", sock.getsockname())
        server.join()
        sock.close()


async def test_srv_seeds_follow_the_name_servers_as_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("nameserver 127.9.9.9\n")  # nobody is there
    with name_server("0 0 7940 127.0.0.1.") as port:

        class OfTheFile(dns.resolver.Resolver):
            def __init__(self) -> None:
                super().__init__(filename=str(configuration))
                self.port = port

        monkeypatch.setattr(dns.resolver, "Resolver", OfTheFile)
        monkeypatch.setattr(dns.resolver, "default_resolver", None)
        monkeypatch.setattr(seeds_module, "SRV_LIFETIME_S", 0.2)
        seed = parse_seed("srv:_gossip._udp.cluster.test")
        with pytest.raises(Unresolved):
            await resolve(seed)
        configuration.write_text("nameserver 127.0.0.1\n")
        monkeypatch.setattr(seeds_module, "SRV_LIFETIME_S", 30)
        assert await resolve(seed) == [Address("127.0.0.1", 7940)]
