"""Datagrams and streams on loopback: what clients do to the sockets, kindly and otherwise."""

import errno
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import pytest
import trio

from gossipreg.daemon.troubles import Troubles
from gossipreg.errors import BadConfig, CannotStart
from gossipreg.gateway.dns import rates, server
from gossipreg.gateway.dns.gateway import DnsOptions
from gossipreg.gateway.dns.ports import open_ports
from gossipreg.model import Address, Change, Health, RegisteredService
from gossipreg.net.addresses import Bind
from tests.core.cluster import START
from tests.core.speaker import a_node
from tests.gateway.beside import api_of
from tests.gateway.dns.registry import data_of

GENEROUS_S = 60
QUERY = dns.message.make_query("web.service.consul", "SRV")


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


class Running:
    def __init__(self, hosts: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self.node = a_node()
        for number in range(100):
            service = RegisteredService(f"web-{number}", "web", f"10.0.0.{number}", 80)
            self.node.register(service, Health.PASSING, START)
        self.gateway = DnsOptions(Bind(hosts, 0)).open()
        self.bugs: list[tuple[str, Exception]] = []
        self.troubles = Troubles(lambda: 100.0)
        self.api = api_of(self.node, lambda where, error: self.bugs.append((where, error)), self.troubles.saw)
        self.served = self.gateway.served(self.api)
        self.port = self.gateway.addresses[0].port

    @property
    def counts(self) -> dict[str, int]:
        return self.gateway.counts()

    def client(self, kind: int = socket.SOCK_DGRAM, host: str = "127.0.0.1") -> trio.socket.SocketType:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return trio.socket.socket(family, kind)

    async def ask_udp(self, data: bytes, host: str = "127.0.0.1") -> bytes:
        with trio.fail_after(GENEROUS_S), self.client(host=host) as client:
            await client.connect((host, self.port))  # takes answers from there alone
            await client.send(data)
            return await client.recv(65536)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask_tcp(self, stream: trio.SocketStream, *queries: bytes) -> list[bytes]:
        """All sent at once."""
        await stream.send_all(b"".join(map(framed, queries)))
        return [await receive(stream) for _ in queries]


async def receive(stream: trio.SocketStream) -> bytes:
    """One message. Raises EOFError at the end."""
    with trio.fail_after(GENEROUS_S):
        head = await exactly(stream, 2)
        return await exactly(stream, int.from_bytes(head, "big"))


async def exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            more = bytes(await stream.receive_some(count - len(data)))
        except trio.BrokenResourceError:
            more = b""
        if not more:
            raise EOFError
        data += more
    return data


@pytest.fixture
async def running(nursery: Any) -> AsyncIterator[Running]:
    running = Running()
    nursery.start_soon(running.served.run)
    yield running
    running.gateway.close()
    assert running.bugs == []


async def test_udp_and_tcp_answer_on_one_port_and_tcp_has_the_whole(running: Running) -> None:
    short = dns.message.from_wire(await running.ask_udp(QUERY.to_wire()))
    assert short.flags & dns.flags.TC
    stream = await running.connect()
    async with stream:
        (raw,) = await running.ask_tcp(stream, QUERY.to_wire())
    assert len(data_of(dns.message.from_wire(raw))) == 100


async def test_many_questions_on_one_stream_are_answered_in_order(running: Running) -> None:
    stream = await running.connect()
    async with stream:
        queries = [
            dns.message.make_query("web.service.consul", type, id=id) for id, type in enumerate(("A", "MX") * 50)
        ]
        replies = await running.ask_tcp(stream, *(query.to_wire() for query in queries))
        assert [reply[1] for reply in replies] == list(range(100))
        (again,) = await running.ask_tcp(stream, QUERY.to_wire())
        assert QUERY.is_response(dns.message.from_wire(again))


async def test_a_question_may_come_a_byte_at_a_time(running: Running) -> None:
    stream = await running.connect()
    async with stream:
        for byte in framed(QUERY.to_wire()):
            await stream.send_all(bytes((byte,)))
            await trio.testing.wait_all_tasks_blocked(0.001)
        assert QUERY.is_response(dns.message.from_wire(await receive(stream)))


async def test_malformed_datagrams_are_counted_and_others_answered(running: Running) -> None:
    rng = random.Random(1)
    with running.client() as client:
        await client.connect(("127.0.0.1", running.port))
        for size in (0, 1, 11, 12, 100, 5000, 60_000):
            await client.send(b"\0\0" + b"\x80" + rng.randbytes(size))
        await client.send(QUERY.to_wire())
        with trio.fail_after(GENEROUS_S):
            assert (await client.recv(65536))[:2] == QUERY.to_wire()[:2]
    assert running.counts["drop.dns_short"] == 2
    assert running.counts["drop.dns_response"] == 5
    assert running.counts["dns.queries"] == 8


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (framed(b"\0" * 11), "drop.dns_short"), (framed(b"\0\0\x80" + b"\0" * 20), "drop.dns_response"),
        (b"\xff\xff" + b"\0" * 100, "drop.dns_tcp_long"), (b"\0\0", "drop.dns_short"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12, "drop.dns_tcp_proxy"),
    ],
)  # fmt: skip
async def test_a_stream_ends_after_its_answers_at_what_is_no_query(running: Running, data: bytes, reason: str) -> None:
    short = dns.message.make_query("web.service.consul", "MX")
    stream = await running.connect()
    async with stream:
        await stream.send_all(framed(short.to_wire()) + framed(QUERY.to_wire()) + framed(short.to_wire()) + data)
        for query in (short, QUERY, short):
            assert query.is_response(dns.message.from_wire(await receive(stream)))
        with pytest.raises(EOFError):
            await receive(stream)
    assert running.counts[reason] == 1


async def test_ten_thousand_idle_connections_keep_nobody_out(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 20)  # the machine may not have the descriptors for more
    idle = [await running.connect() for _ in range(100)]
    stream = await running.connect()
    async with stream:
        (raw,) = await running.ask_tcp(stream, QUERY.to_wire())
        assert QUERY.is_response(dns.message.from_wire(raw))
        for one in idle[:70]:  # those that were heard longest ago gave way
            with pytest.raises(EOFError):
                await receive(one)
            await one.aclose()
        assert running.counts["drop.dns_tcp_crowded"] >= 80
        assert len(running.served.server._connections) <= 20
        (raw,) = await running.ask_tcp(stream, QUERY.to_wire())
        assert QUERY.is_response(dns.message.from_wire(raw))
    for one in idle[70:]:
        await one.aclose()


async def test_a_client_that_sends_nothing_or_half_is_cut_off(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MESSAGE_S", 0.05)
    silent, half = await running.connect(), await running.connect()
    await half.send_all(framed(QUERY.to_wire())[:20])
    for stream in (silent, half):
        with pytest.raises(EOFError):
            await receive(stream)
        await stream.aclose()
    assert running.counts["drop.dns_tcp_late"] == 1  # that of which a part has come


async def test_a_client_that_does_not_read_is_cut_off_alone(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_S", 0.2)
    monkeypatch.setattr(rates, "LOOPBACK_ANSWERS_A_SECOND", 1_000_000)
    stream = await running.connect()
    async with stream, trio.open_nursery() as nursery:

        async def flood() -> None:
            with trio.fail_after(GENEROUS_S):
                while await sent():
                    pass

        async def sent() -> bool:
            try:
                await stream.send_all(framed(QUERY.to_wire()) * 100)
            except trio.BrokenResourceError:
                return False
            return True

        nursery.start_soon(flood)
        for _ in range(20):
            assert await running.ask_udp(QUERY.to_wire())


async def test_on_a_stream_who_asks_beyond_his_rate_waits(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LOOPBACK_TCP_ANSWERS_A_SECOND", 5)
    monkeypatch.setattr(rates, "WINDOW_S", 0.05)
    stream = await running.connect()
    async with stream:
        replies = await running.ask_tcp(stream, *[QUERY.to_wire()] * 12)
    assert len(replies) == 12
    assert running.counts["dns.tcp_waits"] >= 2


async def test_a_client_that_is_sent_to_tcp_is_answered_there_at_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "LOOPBACK_ANSWERS_A_SECOND", 5)
    monkeypatch.setattr(rates, "WINDOW_S", 1000.0)
    for _ in range(8):
        reply = dns.message.from_wire(await running.ask_udp(QUERY.to_wire()))
    assert reply.flags & dns.flags.TC
    stream = await running.connect()
    async with stream:
        (raw,) = await running.ask_tcp(stream, QUERY.to_wire())
    assert len(data_of(dns.message.from_wire(raw))) == 100
    assert "dns.tcp_waits" not in running.counts


async def test_a_connection_that_waits_for_its_answer_gives_way_last(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "LOOPBACK_TCP_ANSWERS_A_SECOND", 1)
    monkeypatch.setattr(rates, "WINDOW_S", 1000.0)
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 3)
    waiting = await running.connect()
    await waiting.send_all(framed(QUERY.to_wire()) * 2)
    await receive(waiting)
    with trio.fail_after(GENEROUS_S):
        while not running.counts.get("dns.tcp_waits"):
            await trio.sleep(0.01)
    others = [await running.connect() for _ in range(5)]
    with trio.fail_after(GENEROUS_S):
        while running.counts.get("drop.dns_tcp_crowded", 0) < 3:
            await trio.sleep(0.01)
    assert len(running.served.server._asking) == 1, "it still waits"
    for stream in (waiting, *others):
        await stream.aclose()


async def test_a_client_that_is_gone_harms_nobody(running: Running) -> None:
    for _ in range(20):
        with running.client() as client:
            await client.sendto(QUERY.to_wire(), ("127.0.0.1", running.port))
        stream = await running.connect()
        await stream.send_all(framed(QUERY.to_wire()))
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        await stream.aclose()
    assert QUERY.is_response(dns.message.from_wire(await running.ask_udp(QUERY.to_wire())))


async def test_changes_are_in_the_next_answer(running: Running) -> None:
    query = dns.message.make_query("web.service.consul", "A").to_wire()
    stream = await running.connect()
    async with stream:
        for number in range(100):
            (raw,) = await running.ask_tcp(stream, query)
            assert len(data_of(dns.message.from_wire(raw))) == 100 - number
            running.api.changes.publish(changes_of(running.node.deregister(f"web-{number}", START)))


def changes_of(effects: list[Any]) -> tuple[Change, ...]:
    return tuple(change for effect in effects for change in getattr(effect, "changes", ()))


# -- all addresses -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def everywhere(nursery: Any) -> AsyncIterator[Running]:
    running = Running(("0.0.0.0", "::"))
    nursery.start_soon(running.served.run)
    yield running
    running.gateway.close()
    assert running.bugs == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1"])
async def test_answers_come_from_the_address_that_was_asked(everywhere: Running, host: str) -> None:
    if ":" in host and len(everywhere.gateway.addresses) < 2:
        pytest.skip("this machine has no IPv6")
    assert QUERY.is_response(dns.message.from_wire(await everywhere.ask_udp(QUERY.to_wire(), host)))


async def test_bound_to_all_addresses_ns_has_the_announced_ones(everywhere: Running) -> None:
    reply = await everywhere.ask_udp(dns.message.make_query("ns.consul", "A").to_wire())
    assert data_of(dns.message.from_wire(reply)) == ["10.1.0.1"]
    everywhere.node.reachable_at((Address("10.1.0.99", 7940),), START)
    reply = await everywhere.ask_udp(dns.message.make_query("ns.consul", "A").to_wire())
    assert data_of(dns.message.from_wire(reply)) == ["10.1.0.99"], "it moved"


# -- not starting, and failing later -----------------------------------------------------------------------------------


@pytest.fixture(params=[socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket(socket.AF_INET, request.param) as sock:
        sock.bind(("127.0.0.1", 0))
        if request.param == socket.SOCK_STREAM:
            sock.listen()
        yield sock.getsockname()[1]


def test_a_port_in_use_is_named_and_nothing_stays_open(taken: int) -> None:
    with pytest.raises(CannotStart, match=f"127.0.0.1:{taken}: Address already in use.*--dns"):
        open_ports(("127.0.0.1",), taken)


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1:0: .*not an address of this machine"):
        open_ports(("192.0.2.1",), 0)


def test_port_zero_finds_one_that_is_free_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    fails = iter([True, True, False])
    bind = socket.socket.bind

    def crowded(sock: socket.socket, address: Any) -> None:
        if sock.type == socket.SOCK_STREAM and next(fails):
            raise OSError(errno.EADDRINUSE, "taken")
        bind(sock, address)

    monkeypatch.setattr(socket.socket, "bind", crowded)
    ports = open_ports(("127.0.0.1",), 0)
    assert ports.tcp[0].getsockname() == ports.udp[0].sock.getsockname()
    ports.close()


def test_many_may_connect_at_once_before_the_sidecar_accepts() -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    if most < 400:
        pytest.skip(f"this system lets {most} wait")
    ports = open_ports(("127.0.0.1",), 0)
    clients = [socket.socket() for _ in range(300)]
    for client in clients:
        client.settimeout(0.5)  # who finds no place is let in after a second at the earliest
        client.connect(ports.tcp[0].getsockname())
    for client in clients:
        client.close()
    ports.close()


@pytest.mark.parametrize("ttl_s", [-1.0, 0.5, 86_401.0])
def test_a_time_to_live_that_dns_cannot_say_is_refused(ttl_s: float) -> None:
    with pytest.raises(BadConfig, match="--dns-ttl"):
        DnsOptions(Bind(("127.0.0.1",), 0), ttl_s=ttl_s)
    with pytest.raises(BadConfig, match="--dns-negative-ttl"):
        DnsOptions(Bind(("127.0.0.1",), 0), negative_ttl_s=ttl_s)


async def test_info_is_told_of_a_client_that_asks_too_much(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "LOOPBACK_ANSWERS_A_SECOND", 5)
    monkeypatch.setattr(rates, "WINDOW_S", 1000.0)
    replies = [dns.message.from_wire(await running.ask_udp(QUERY.to_wire())) for _ in range(30)]
    assert [bool(reply.flags & dns.flags.TC and not reply.answer) for reply in replies] == [False] * 5 + [True] * 25
    (shown,) = running.troubles.shapes()
    assert shown["message"].startswith("127.0.0.1 asks more than 5 DNS questions a second")
