"""One HTTP request to one instance, and its response: for `gossipreg call`. Blocking, without a connection kept.

h11 has the protocol. Neither `http.client` nor `ssl` is loaded where it is not needed: both take longer than a call.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import h11

from gossipreg.client.picking.outcomes import LOCAL_ERRNOS
from gossipreg.errors import GossipregError

READ_BYTES = 64 * 1024
BEGIN_BYTES = 16
"""The first bytes of a response, which an error shows if they are not HTTP."""
BODY_MAX_BYTES = 64 << 20
"""A response is kept whole, so that a part of it is never printed before an attempt that follows."""


class BadResponse(OSError):
    """The instance did not answer with a whole response of HTTP."""


class ResponseTooLarge(GossipregError):
    """The instance answered with more than is kept here. It is not at fault, and another one would answer the same."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    tls_name: str | None = None
    """The name that the certificate must have; None: no TLS."""
    ca_file: str | None = None
    """The certificates that are trusted, in place of those of the system."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def exchange(
    call: HttpCall, address: str, port: int, more: Sequence[tuple[str, str]], timeout_s: float, connect_s: float
) -> HttpReply:
    """Send the request, with the headers `more` too, and read the whole response within `timeout_s`. Raises OSError."""
    deadline = monotonic() + timeout_s
    with _connected(call, address, port, min(connect_s, timeout_s)) as stream:
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method=call.method, target=call.path, headers=[*call.headers, *more])
        data = connection.send(request) + (connection.send(h11.Data(data=call.body)) if call.body else b"")
        _bound(stream, deadline)
        stream.sendall(data + connection.send(h11.EndOfMessage()))
        return _reply(call, connection, stream, deadline)


def _connected(call: HttpCall, address: str, port: int, connect_s: float) -> socket.socket:
    """Connect. Raises ConnectionRefusedError if the instance cannot be reached, so that the caller knows that nothing
    was sent; another OSError if this machine is at fault."""
    if call.tls_name is not None and not _may_be_certified(call.tls_name):
        raise ConnectionRefusedError(f"no TLS for {call.tls_name!r}: that is no name of a host")
    deadline = monotonic() + connect_s
    try:
        stream = _any_connected(address, port, deadline)
    except socket.gaierror as error:
        raise ConnectionRefusedError(f"{address} has no address: {error.strerror}") from None
    except UnicodeError:  # an empty part between two dots, or one of more than 63 letters
        raise ConnectionRefusedError(f"{address} is not a valid host name") from None
    except TimeoutError:
        raise ConnectionRefusedError(f"no connection within {connect_s:.3g} s") from None
    except OSError as error:
        if error.errno in LOCAL_ERRNOS:
            raise
        raise ConnectionRefusedError(error.strerror or str(error)) from None
    if call.tls_name is None:
        return stream
    import ssl

    try:
        context = ssl.create_default_context(cafile=call.ca_file)
        _bound(stream, deadline, "no time is left for it")
        return context.wrap_socket(stream, server_hostname=call.tls_name)
    except OSError as error:
        stream.close()
        raise ConnectionRefusedError(f"no TLS for {call.tls_name}: {error}") from None


def _any_connected(address: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first address of the name that takes one. Each gets an equal part of the time that is left,
    so that one that does not answer leaves some for the next. Raises what the last one raised."""
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    for others, (family, kind, protocol, _, where) in zip(range(len(found) - 1, -1, -1), found, strict=True):
        try:
            return _connected_to(where, socket.socket(family, kind, protocol), (deadline - monotonic()) / (others + 1))
        except OSError:  # also of this machine: without IPv6 it has no address to connect to `::1` from
            if not others:
                raise
    raise socket.gaierror(socket.EAI_NONAME, "the name has none")


def _connected_to(where: Any, stream: socket.socket, bound_s: float) -> socket.socket:
    try:
        if bound_s <= 0:
            raise TimeoutError
        stream.settimeout(bound_s)
        stream.connect(where)
    except BaseException:
        stream.close()
        raise
    return stream


def _may_be_certified(name: str) -> bool:
    """Whether `ssl` takes this name: for others it raises a ValueError, and leaves the socket open."""
    try:
        return bool(name.encode("idna")) and "\0" not in name
    except UnicodeError:
        return False


def _reply(call: HttpCall, connection: h11.Connection, stream: socket.socket, deadline: float) -> HttpReply:
    reply: h11.Response | None = None
    body = bytearray()
    begin, closed = b"", False
    try:
        while True:
            event = connection.next_event()
            match event:
                case h11.NEED_DATA:
                    _bound(stream, deadline)
                    data = stream.recv(READ_BYTES)
                    begin, closed = (begin + data)[:BEGIN_BYTES], not data
                    connection.receive_data(data)
                case h11.Response():
                    reply = event
                    if call.method != "HEAD":
                        _bound_body(int(dict(reply.headers).get(b"content-length", 0)))
                case h11.Data():
                    body += event.data
                    _bound_body(len(body))
                case h11.EndOfMessage() if reply is not None:
                    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers)
                    return HttpReply(reply.status_code, headers, bytes(body))
                case h11.PAUSED:
                    raise BadResponse("the instance switches to another protocol than HTTP: give no Upgrade or CONNECT")
                case h11.ConnectionClosed():
                    raise BadResponse("the connection was closed before the response")
    except h11.RemoteProtocolError as error:
        raise BadResponse(_what_is_wrong(begin, closed, error)) from None


def _bound_body(size_bytes: int) -> None:
    """Refuse a body of this size: by its Content-Length before any of it is read, else while it is read."""
    if size_bytes > BODY_MAX_BYTES:
        raise ResponseTooLarge(f"the response passes {BODY_MAX_BYTES >> 20} MiB")


def _what_is_wrong(begin: bytes, closed: bool, error: h11.RemoteProtocolError) -> str:
    """Why the bytes that came, the first of which are `begin`, are no response. h11 has no plain words for an end."""
    if closed and not begin:
        return "the server closed the connection without a response"
    if not begin.startswith(b"HTTP/"):
        return f"the response is not HTTP: it begins with {begin!r}"
    if closed:
        return "the response is cut: the server closed the connection before its end"
    return f"the response is not valid HTTP: {error}"


def _bound(stream: socket.socket, deadline: float, late: str = "the response did not come in time") -> None:
    rest_s = deadline - monotonic()
    if rest_s <= 0:
        raise TimeoutError(late)
    stream.settimeout(rest_s)
