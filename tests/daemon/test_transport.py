"""One suite for every transport: real UDP on loopback, IPv4 and IPv6, and the network in memory."""

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gossipreg.daemon.udp import BATCH, RECEIVE_BUFFER_BYTES, Transport, UdpTransport, bind_udp
from gossipreg.errors import CannotStart, CannotStartYet
from gossipreg.model import Address
from gossipreg.net.addresses import LOOPBACKS, Bind
from tests.daemon.memory_network import Faults, MemoryNetwork

GENEROUS_S = 60

NewTransport = Callable[[], Transport]


def _udp(host: str) -> NewTransport:
    return lambda: bind_udp(Bind((host,), 0))


@pytest.fixture(params=["udp_v4", "udp_v6", "udp_both", "memory"])
def new_transport(request: pytest.FixtureRequest) -> Iterator[NewTransport]:
    network = MemoryNetwork()
    makers: dict[str, NewTransport] = {
        "udp_v4": _udp("127.0.0.1"),
        "udp_v6": _udp("::1"),
        "udp_both": lambda: bind_udp(Bind(LOOPBACKS, 0)),
        "memory": network.bind,
    }
    with ExitStack() as stack:

        def make() -> Transport:
            transport = makers[request.param]()
            stack.callback(transport.close)
            return transport

        yield make


async def receive(transport: Transport, count: int) -> list[tuple[bytes, Address]]:
    received: list[tuple[bytes, Address]] = []
    with trio.fail_after(GENEROUS_S):
        while len(received) < count:
            await transport.wait_readable()
            received += transport.receive_nowait()
    return received


async def refusal(transport: Transport) -> list[Address]:
    with trio.fail_after(GENEROUS_S):
        while True:
            await transport.wait_readable()
            assert transport.receive_nowait() == []
            if refused := transport.refused():
                return refused


async def test_a_datagram_arrives_with_its_source(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    a.send(b"hello", b.local_addresses[0])
    assert await receive(b, 1) == [(b"hello", a.local_addresses[0])]


async def test_a_datagram_arrives_on_each_local_address(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    for source, destination in zip(a.local_addresses, b.local_addresses, strict=True):
        a.send(b"hello", destination)
        assert await receive(b, 1) == [(b"hello", source)]


async def test_an_empty_datagram_is_one(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    a.send(b"", b.local_addresses[0])
    assert await receive(b, 1) == [(b"", a.local_addresses[0])]


async def test_a_call_gives_a_bounded_batch_and_the_next_the_rest(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    sent = [bytes([number]) for number in range(BATCH + 20)]
    for datagram in sent:
        a.send(datagram, b.local_addresses[0])
    received: list[bytes] = []
    with trio.fail_after(GENEROUS_S):
        while len(received) < len(sent):
            await b.wait_readable()
            batch = b.receive_nowait()
            assert len(batch) <= BATCH
            received += [datagram for datagram, _ in batch]
    assert received == sent


async def test_a_closed_port_is_told_as_refused(new_transport: NewTransport) -> None:
    a, gone = new_transport(), new_transport()
    address = gone.local_addresses[0]
    gone.close()
    a.send(b"hello", address)
    assert await refusal(a) == [address]
    assert a.refused() == []


async def test_a_refusal_does_not_lose_the_next_datagram_to_another(new_transport: NewTransport) -> None:
    a, b, gone = new_transport(), new_transport(), new_transport()
    address = gone.local_addresses[0]
    gone.close()
    for _ in range(10):
        a.send(b"to nobody", address)
        a.send(b"to b", b.local_addresses[0])
    assert [datagram for datagram, _ in await receive(b, 10)] == [b"to b"] * 10
    assert set(await refusal(a)) == {address}


async def test_what_cannot_be_sent_is_counted_and_raises_nothing(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    a.send(bytes(70_000), b.local_addresses[0])
    assert a.dropped["send_too_large"] == 1
    assert a.too_large() == [b.local_addresses[0]]
    assert a.too_large() == []
    a.send(b"hello", b.local_addresses[0])
    assert await receive(b, 1) == [(b"hello", a.local_addresses[0])]


async def test_an_address_of_a_family_without_a_socket_is_counted(new_transport: NewTransport) -> None:
    a = new_transport()
    if len(a.local_addresses) > 1:
        pytest.skip("it has both families")
    other = "10.0.0.9" if ":" in a.local_addresses[0].host else "::1"
    a.send(b"hello", Address(other, 9))
    assert a.dropped == {"send_no_such_family": 1}


async def test_waiting_ends_when_a_datagram_comes(new_transport: NewTransport) -> None:
    a, b = new_transport(), new_transport()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, b, 1)
        await trio.testing.wait_all_tasks_blocked()
        a.send(b"late", b.local_addresses[0])


# -- real sockets only -------------------------------------------------------------------------------------------------


def bound(host: str = "127.0.0.1", port: int = 0) -> UdpTransport:
    return bind_udp(Bind((host,), port))


def test_both_families_share_one_port() -> None:
    transport = bind_udp(Bind(LOOPBACKS, 0))
    try:
        v4, v6 = transport.local_addresses
        assert (v4.host, v6.host) == LOOPBACKS
        assert v4.port == v6.port != 0
    finally:
        transport.close()


def test_a_requested_port_that_is_taken_is_an_error_naming_it() -> None:
    first = bound()
    port = first.local_addresses[0].port
    try:
        with pytest.raises(CannotStart, match=rf"127\.0\.0\.1:{port}.*--bind"):
            bound(port=port)
        with pytest.raises(
            CannotStartYet, match=r"second sidecar.*--bind 127\.0\.0\.1:0 .*--name NAME or --socket PATH"
        ):
            bound(port=port)
    finally:
        first.close()


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1:0.*not an address of this machine"):
        bound("192.0.2.1")


def test_a_host_name_is_never_looked_up_for_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("a name server was asked")

    transport = bound()
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    try:
        transport.send(b"hello", Address("localhost", 9))
        assert transport.dropped == {"send_not_an_address": 1}
    finally:
        transport.close()


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EPERM, errno.EMSGSIZE, errno.ENOBUFS, errno.EINVAL])
def test_each_error_of_a_send_is_counted_under_its_name(number: int) -> None:
    class Refusing:
        family = socket.AF_INET

        def sendto(self, *_: object) -> None:
            raise OSError(number, "no")

        def recvmsg(self, *_: object) -> None:
            raise BlockingIOError

        def getsockopt(self, *_: object) -> bytes:
            return b""

    transport = bound()
    try:
        sockets = transport._sockets
        transport._sockets = {socket.AF_INET: Refusing()}  # type: ignore[dict-item]
        transport.send(b"hello", Address("127.0.0.1", 9))
        name = "too_large" if number == errno.EMSGSIZE else errno.errorcode[number]
        assert transport.dropped == {f"send_{name}": 1}
    finally:
        transport._sockets = sockets
        transport.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does not say it elsewhere")
@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("::1",), LOOPBACKS])
def test_what_a_full_receive_buffer_did_not_take_is_counted(hosts: tuple[str, ...]) -> None:
    one, other = (bind_udp(Bind(hosts, 0)) for _ in range(2))
    try:
        assert one.dropped == {}
        count = 3 * RECEIVE_BUFFER_BYTES // 1000  # the kernel doubles what it is asked for
        for address in one.local_addresses:
            for _ in range(count):
                other.send(bytes(1000), address)
        assert other.dropped == {}
        lost = one.dropped["receive_buffer"]
        assert lost > 0
        received = 0
        while batch := one.receive_nowait():
            received += len(batch)
        assert received > 0
        assert received + lost == count * len(hosts)
        assert one.dropped == {"receive_buffer": lost}
    finally:
        one.close()
        other.close()
    assert one.dropped == {"receive_buffer": lost}


def test_a_port_out_of_range_is_counted() -> None:
    transport = bound()
    try:
        transport.send(b"hello", Address("127.0.0.1", 70_000))
        assert transport.dropped == {"send_OverflowError": 1}
    finally:
        transport.close()


# -- the network in memory only ----------------------------------------------------------------------------------------


async def _received_numbers(clock: MockClock, seed: int, faults: Faults, count: int = 500) -> list[int]:
    assert clock.autojump_threshold == 0
    network = MemoryNetwork(seed, faults)
    a, b = network.bind(), network.bind()
    received: list[int] = []
    for number in range(count):
        a.send(number.to_bytes(2, "big"), b.address)
        await trio.sleep(0.001)
    with trio.move_on_after(10):
        while True:
            await b.wait_readable()
            received += [int.from_bytes(datagram, "big") for datagram, _ in b.receive_nowait()]
    return received


FAULTY = Faults(loss=0.2, duplication=0.2, delay_s=(0.001, 0.05))


async def test_the_memory_network_loses_duplicates_and_reorders(autojump_clock: MockClock) -> None:
    received = await _received_numbers(autojump_clock, 1, FAULTY)
    assert 300 < len(set(received)) < 500
    assert len(received) > len(set(received))
    assert received != sorted(received)


async def test_the_memory_network_does_the_same_for_the_same_seed(autojump_clock: MockClock) -> None:
    assert await _received_numbers(autojump_clock, 7, FAULTY) == await _received_numbers(autojump_clock, 7, FAULTY)
    assert await _received_numbers(autojump_clock, 7, FAULTY) != await _received_numbers(autojump_clock, 8, FAULTY)
