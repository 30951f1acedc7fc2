"""One HTTP request to one instance: instances that do not speak HTTP as asked, or that cannot be reached."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from gossipreg.cli import http_exchange
from gossipreg.cli.call import _in_ascii
from gossipreg.cli.http_exchange import BadResponse, HttpCall, ResponseTooLarge, exchange
from gossipreg.client.picking.outcomes import OutcomeKind, exception_outcome

BOUND_S = 10.0
HEADERS = [("Host", "web.service"), ("Connection", "close")]


@contextmanager
def answering(response: bytes, *, closes: bool = False) -> Iterator[int]:
    """The port of a server that answers one request with these bytes, and then keeps or closes the connection."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                stream, _ = listener.accept()
            except OSError:  # nobody has come, and the test is over
                return
            with stream:
                stream.recv(65536)
                with suppress(ConnectionError):  # a client that has read enough closes
                    stream.sendall(response)
                if not closes:
                    over.wait(2 * BOUND_S)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


GET = HttpCall("GET", "/", HEADERS, b"")


def send(call: HttpCall, port: int = 1, address: str = "127.0.0.1") -> None:
    exchange(call, address, port, [], BOUND_S, BOUND_S)


@pytest.mark.parametrize(
    ("call", "response"),
    [
        (replace(GET, headers=[*HEADERS, ("Upgrade", "h2c")]), b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"),
        (replace(GET, method="CONNECT"), b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_a_switch_to_another_protocol_is_a_bad_response(call: HttpCall, response: bytes) -> None:
    with answering(response) as port, pytest.raises(BadResponse, match="another protocol"):
        send(call, port)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"", "the server closed the connection without a response"),
        (b"HTTP/1.1 200 O", "the response is cut: the server closed the connection before its end"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
            "the response is cut: the server closed the connection before its end",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "the response is cut: the server closed the connection before its end",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the response is not HTTP: it begins with b'SSH-2.0-OpenSSH_'"),
    ],
)
def test_a_server_that_closes_too_early_gets_a_plain_line(response: bytes, message: str) -> None:
    with answering(response, closes=True) as port, pytest.raises(BadResponse) as raised:
        send(GET, port)
    assert str(raised.value) == message


def test_a_response_that_is_too_large_is_no_fault_of_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_exchange, "BODY_MAX_BYTES", 1 << 20)
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % ((1 << 20) + 1) + bytes((1 << 20) + 1)
    with answering(response) as port, pytest.raises(ResponseTooLarge, match="passes 1 MiB") as raised:
        send(GET, port)
    assert exception_outcome(raised.value).kind is OutcomeKind.NEUTRAL


def test_a_body_is_refused_by_its_length_before_it_comes() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (http_exchange.BODY_MAX_BYTES + 1)
    with answering(head) as port, pytest.raises(ResponseTooLarge, match="passes 64 MiB"):
        send(GET, port)
    with answering(head) as port:
        send(replace(GET, method="HEAD"), port)


def test_a_body_without_a_length_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_exchange, "BODY_MAX_BYTES", 1 << 20)
    begun = b"HTTP/1.1 200 OK\r\n\r\n" + bytes((1 << 20) + 1)  # its end never comes
    with answering(begun) as port, pytest.raises(ResponseTooLarge, match="passes 1 MiB"):
        send(GET, port)


def addresses(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int]) -> None:
    """Have each name be these addresses."""
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", one) for one in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)


def test_the_addresses_of_a_name_share_the_time_for_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    monkeypatch.setattr(http_exchange, "monotonic", lambda: sum(given))

    class Hanging(socket.socket):
        def connect(self, _address: object) -> None:
            given.append(self.gettimeout() or 0.0)
            raise TimeoutError

    addresses(monkeypatch, *[("127.0.0.1", port) for port in range(1, 5)])
    monkeypatch.setattr(socket, "socket", Hanging)
    with pytest.raises(ConnectionRefusedError, match="no connection within 8 s"):
        exchange(GET, "web", 1, [], BOUND_S, 8.0)
    assert given == [2.0, 2.0, 2.0, 2.0]


def test_an_address_that_refuses_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = closed.getsockname()
    with answering(b"HTTP/1.1 204 No\r\n\r\n") as port:
        addresses(monkeypatch, refusing, ("127.0.0.1", port))
        send(GET, address="web")


def test_an_address_of_a_family_that_we_lack_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(socket.socket):
        def connect(self, address: Any) -> None:
            if address[1] == 1:
                raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
            super().connect(address)

    with answering(b"HTTP/1.1 204 No\r\n\r\n") as port:
        addresses(monkeypatch, ("127.0.0.1", 1), ("127.0.0.1", port))
        monkeypatch.setattr(socket, "socket", WithoutIpv6)
        send(GET, address="web")


@pytest.mark.parametrize("address", ["a..b", "a" * 64])
def test_an_address_that_is_no_host_name_is_not_reached(address: str) -> None:
    with pytest.raises(ConnectionRefusedError, match="not a valid host name"):
        send(GET, address=address)


@pytest.mark.parametrize("name", ["", ".x", "a" * 64, "a\0b"])
def test_a_name_that_no_certificate_has_is_not_reached(name: str) -> None:
    with pytest.raises(ConnectionRefusedError, match="no TLS for"):
        send(replace(GET, tls_name=name))


@pytest.mark.parametrize(
    ("number", "never_sent"), [(errno.EHOSTUNREACH, True), (errno.ENETUNREACH, True), (errno.EMFILE, False)]
)
def test_an_unreachable_host_got_no_request(monkeypatch: pytest.MonkeyPatch, number: int, never_sent: bool) -> None:
    class Failing(socket.socket):
        def connect(self, _address: object) -> None:
            raise OSError(number, "why")

    monkeypatch.setattr(socket, "socket", Failing)
    with pytest.raises(OSError, match="why") as raised:
        send(GET)
    assert isinstance(raised.value, ConnectionRefusedError) is never_sent


@pytest.mark.parametrize(
    ("name", "host"), [("web-1.x", "web-1.x"), ("Café", "xn--caf-dma"), ("a.bücher", "a.xn--bcher-kva"), ("A", "A")]
)
def test_names_beyond_ascii_are_in_punycode_in_host(name: str, host: str) -> None:
    assert _in_ascii(name) == host
