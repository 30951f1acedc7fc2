"""The TCP sockets of streams: on the port of gossip, or an error of one line."""

import socket
from contextlib import closing

import pytest

from gossipreg.daemon.gossip_sockets import bind_gossip, listen_for_streams
from gossipreg.daemon.streams.stream_sockets import prepare
from gossipreg.daemon.udp import bind_udp
from gossipreg.errors import CannotStart, CannotStartYet
from gossipreg.model import Address
from gossipreg.net.addresses import LOOPBACKS, Bind
from gossipreg.net.listening import address_of


def test_a_tcp_port_that_is_taken_is_an_error_naming_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = address_of(other)
        with pytest.raises(CannotStartYet, match=rf"TCP at 127\.0\.0\.1:{taken.port}.*--bind 127\.0\.0\.1:PORT"):
            listen_for_streams([taken])


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(CannotStart, match=r"TCP at 192\.0\.2\.1:7940"):
        listen_for_streams([Address("192.0.2.1", 7940)])


@pytest.mark.parametrize("hosts", [("127.0.0.1",), ("::1",), LOOPBACKS])
def test_streams_listen_where_gossip_is_bound(hosts: tuple[str, ...]) -> None:
    transport, listeners = bind_gossip(Bind(hosts, 0))
    addresses = transport.local_addresses
    assert tuple(map(address_of, listeners)) == addresses
    transport.close()
    for listener in listeners:
        assert listener.type == socket.SOCK_STREAM
        listener.close()
    transport, listeners = bind_gossip(Bind(hosts, addresses[0].port))
    assert tuple(map(address_of, listeners)) == transport.local_addresses == addresses
    transport.close()
    for listener in listeners:
        listener.close()


def test_udp_is_let_go_if_tcp_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = Bind(("127.0.0.1",), address_of(other).port)
        with pytest.raises(CannotStartYet, match="TCP"):
            bind_gossip(taken)
        bind_udp(taken).close()


def test_the_kernel_sends_nothing_on_an_idle_stream() -> None:
    with closing(socket.socket()) as sock:
        prepare(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
