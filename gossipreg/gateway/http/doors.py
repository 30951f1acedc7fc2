"""The door that a connection came through, and what a request needs to get in.

    unix socket                    no token: the mode of the file says who connects, and rights go by uid
    TCP, both ends on loopback     reads are open; writes need a token if there is a token file
    TCP, an end off loopback       every request needs a token, but for reads of `open` routes (`routes.py`);
                                   with --insecure-http no read needs one

A write is every request that is neither GET nor HEAD, but for what the page at /ui/ asks by POST and what changes
nothing; and every invocation of a service by Dapr's API. A request that is kept out gets 403 with Consul's words below
/v1, where Consul's clients ask, since some take a 401 for "ACLs are off"; elsewhere 401 with WWW-Authenticate, which
browsers and HTTP libraries answer with a password, and the page with a question of its own.
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gossipreg.errors import CannotStart
from gossipreg.gateway.http.dapr.routes import invokes_untrusted
from gossipreg.gateway.http.tokens import Tokens, carried_untrusted
from gossipreg.gateway.http.ui.routes import PAGE_DATA, page_reads_untrusted
from gossipreg.net.addresses import is_loopback
from gossipreg.net.http_message import READ, Head, HttpError

_CHALLENGE = ("WWW-Authenticate", 'Basic realm="gossipreg", charset="UTF-8"')
_FOR_THE_PAGE = ("WWW-Authenticate", 'Bearer realm="gossipreg"')
"""The page asks for the token itself: a browser that is asked for Basic would open a window of its own."""


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
    def __init__(self, *, tokens: Tokens | None, open_reads: bool, is_open: Callable[[bytes], bool]) -> None:
        """`open_reads` is --insecure-http; `is_open` says of a path that it may be read without a token from every
        machine."""
        self.tokens = tokens
        self._open_reads = open_reads
        self._is_open = is_open

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
        read = (head.method in READ or page_reads_untrusted(head)) and not invokes_untrusted(head)
        if door.unix or (read and (door.loopback or self._open_reads or self._is_open(path))):
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
    if path.startswith(PAGE_DATA):
        return HttpError(401, "permission_denied", message, _FOR_THE_PAGE)
    return HttpError(401, "permission_denied", message, _CHALLENGE)
