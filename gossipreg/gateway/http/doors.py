"""The door that a connection came through, and what a request needs to get in.

    unix socket                    no token: the mode of the file says who connects, and rights go by uid
    TCP, both ends on loopback     reads are open; writes need a token if there is a token file
    TCP, an end off loopback       every request needs a token, but for reads of `open` routes (`routes.py`);
                                   with --insecure-http no read needs one

A write is every request that is neither GET nor HEAD, and every invocation of a service by Dapr's API. A request that
is kept out gets 403 with Consul's words below /v1, where Consul's clients ask, since some take a 401 for "ACLs are
off"; elsewhere 401 with WWW-Authenticate, which browsers and HTTP libraries answer with a password.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from gossipreg.errors import CannotStart
from gossipreg.gateway.http.dapr.routes import invokes_untrusted
from gossipreg.gateway.http.tokens import Tokens, carried_untrusted
from gossipreg.net.addresses import is_loopback
from gossipreg.net.http_message import READ, Head, HttpError

_CHALLENGE = ("WWW-Authenticate", 'Basic realm="gossipreg", charset="UTF-8"')


@dataclass(frozen=True, slots=True)
class Door:
    """The way by which a connection came."""

    unix: bool
    loopback: bool
    """TCP, and both ends are on loopback."""


def door_of(sock: socket.socket) -> Door:
    """Raises OSError if the other end is gone already."""
    if sock.family == socket.AF_UNIX:
        return Door(unix=True, loopback=False)
    return Door(unix=False, loopback=is_loopback(sock.getsockname()[0]) and is_loopback(sock.getpeername()[0]))


class Doors:
    def __init__(self, *, tokens: Tokens | None, open_reads: bool, open_paths: frozenset[bytes]) -> None:
        """`open_reads` is --insecure-http; `open_paths` may be read without a token from every machine."""
        self.tokens = tokens
        self._open_reads = open_reads
        self._open_paths = open_paths

    def check_listening(self, hosts: Iterable[str], port: int) -> None:
        """Raise CannotStart if other machines can connect and neither a token file nor open reads were chosen."""
        outside = [host for host in hosts if not is_loopback(host)]
        if outside and self.tokens is None and not self._open_reads:
            raise CannotStart(
                f"--http: other machines reach {outside[0]} port {port}, and could read and change everything. Give "
                "--http-token-file with a token a line, or --insecure-http to open reads only"
            )

    def is_token(self, authorization: bytes) -> bool:
        """Whether this value of the header Authorization is a token of ours."""
        head = Head("", b"", b"", {b"authorization": [authorization]})
        return self.tokens is not None and self.tokens.admit(carried_untrusted(head))

    def check_untrusted(self, door: Door, head: Head) -> None:
        """Raise HttpError if this request needs a token and carries none that is valid."""
        path = head.target.partition(b"?")[0]
        read = head.method in READ and not invokes_untrusted(head)
        if door.unix or (read and (door.loopback or self._open_reads or path in self._open_paths)):
            return
        if self.tokens is None:
            if door.loopback:
                return
            raise _kept_out(path, "without --http-token-file other machines may only read")
        carried = carried_untrusted(head)
        if self.tokens.admit(carried):
            return
        if carried:
            raise _kept_out(path, "the token is none of those in --http-token-file")
        raise _kept_out(path, "no token: send X-Consul-Token, Bearer or Basic's password")


def _kept_out(path: bytes, why: str) -> HttpError:
    message = f"Permission denied: {why}"
    if path.startswith(b"/v1/"):
        return HttpError(403, "permission_denied", message)
    return HttpError(401, "permission_denied", message, _CHALLENGE)
