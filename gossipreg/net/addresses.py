"""Addresses to listen on, as the user writes them, and what can be said of a literal address.

Resolves a host name that the user wrote for this machine; never asks for any other.
"""

import socket
from functools import lru_cache

from gossipreg.errors import BadConfig, CannotStart, CannotStartYet
from gossipreg.quick_dataclass import dataclass

WILDCARDS = ("0.0.0.0", "::")
LOOPBACKS = ("127.0.0.1", "::1")
_RESOLVED_LATER = (socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY)
"""Errors which mean that no name server was reached. Every other error means that the name does not exist."""


@dataclass(frozen=True, slots=True)
class Bind:
    """The addresses to listen on: each host, all on one port."""

    hosts: tuple[str, ...]
    """Literal addresses. Where there are two, the second may be missing on this machine (no IPv6)."""
    port: int
    """0: any that is free on all hosts."""

    @property
    def wildcard(self) -> bool:
        return any(host in WILDCARDS for host in self.hosts)

    @property
    def shown_host(self) -> str:
        """As `--bind` takes it."""
        host = self.hosts[0]
        return "*" if self.wildcard and len(self.hosts) > 1 else f"[{host}]" if ":" in host else host


def split_host_port(text: str, *, what: str) -> tuple[str, int | None]:
    """`host:port`, `[v6]:port`, `host`, `[v6]`, `:port` or a bare IPv6 literal. Raises BadConfig naming `what`."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not is_literal(host) or (rest and not rest.startswith(":")):
            raise BadConfig(f"{what} {text!r}: write [V6ADDRESS]:PORT")
        port_text = rest[1:] if rest else None
    elif text.count(":") > 1:
        host, port_text = text, None
        if not is_literal(host):
            raise BadConfig(f"{what} {text!r}: write HOST:PORT, an IPv6 address in brackets")
        head, _, tail = text.rpartition(":")
        if is_literal(head) and tail.isdigit() and len(tail) >= 4:
            raise BadConfig(f"{what} {text!r} is ambiguous: write [{head}]:{tail} or [{text}]")
    else:
        host, colon, port_text_or_empty = text.partition(":")
        port_text = port_text_or_empty if colon else None
    if "%" in host:
        raise BadConfig(f"{what} {text!r}: an address with a zone (%) is valid on one link only: give one that "
                        "all members can reach")  # fmt: skip
    if any(char.isspace() or not char.isprintable() or char == "/" for char in host):
        raise BadConfig(f"{what} {text!r}: {host!r} is not a host")
    if host.isdigit():
        raise BadConfig(f"{what} {text!r}: {host} is not a host, write HOST:PORT")
    if port_text is None:
        return host, None
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5) or int(port_text) > 65535:
        raise BadConfig(f"{what} {text!r}: the port is a number from 0 to 65535")
    return host, int(port_text)


def listen_rule(text: str, *, what: str, default_port: int) -> Bind:
    """Parse a gateway's listening address: one address, or `*` for all. `what` is the option's name, for messages.
    Raises BadConfig."""
    if not text.strip():
        raise BadConfig(f"{what} is empty: write an address, {what} 127.0.0.1:{default_port}, or leave it out")
    host, port = split_host_port(text, what=what)
    if not host:
        shown = default_port if port is None else port
        raise BadConfig(
            f"{what} {text!r} names no address: write {what} 127.0.0.1:{shown} for this machine alone, or "
            f"{what} '*:{shown}' for every address"
        )
    hosts = WILDCARDS if host == "*" else (resolve_own(host, what=what),)
    return Bind(hosts, default_port if port is None else port)


def resolve_own(host: str, *, what: str) -> str:
    """The literal for a host that the user calls this machine; the first one that its name resolves to."""
    if is_literal(host):
        return host
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        message = f"{what} {host!r}: the name does not resolve ({error}), write an address"
        later = isinstance(error, socket.gaierror) and error.errno in _RESOLVED_LATER
        raise (CannotStartYet if later else CannotStart)(message) from None


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@lru_cache(4096)
def is_literal(host: str) -> bool:
    """Whether this is an IP address. Kept, since it is asked for each datagram that is sent."""
    try:
        socket.inet_pton(family_of(host), host.partition("%")[0])
    except (OSError, ValueError):  # ValueError: a NUL byte
        return False
    return True


def of_many(host: str) -> bool:
    """Whether a literal address is multicast, broadcast, or reserved."""
    return host.lower().startswith("ff") if ":" in host else int(host.partition(".")[0]) >= 224


def is_loopback(host: str) -> bool:
    """Of a literal."""
    if ":" in host:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        return packed == b"\0" * 15 + b"\1" or packed.startswith(b"\0" * 10 + b"\xff\xff\x7f")
    return host.startswith("127.")


def is_link_local(host: str) -> bool:
    return host.lower().startswith(("fe8", "fe9", "fea", "feb", "169.254."))
