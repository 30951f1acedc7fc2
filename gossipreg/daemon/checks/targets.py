"""The targets of checks: URLs, host:port and command lines, each checked for its form. Errors are ValueErrors."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from gossipreg.daemon.checks.spec import Kind

_BRACKETED_IPV4 = re.compile(r"(https?://|)\[([0-9.]{7,15})\](?=[:/?#]|$)")


def _without_brackets(text: str) -> str:
    """`[127.0.0.1]:80` is `127.0.0.1:80`, as for Go's programs, some of which register themselves so."""
    match = _BRACKETED_IPV4.match(text)
    return text if match is None else f"{match[1]}{IPv4Address(match[2])}{text[match.end() :]}"


def _url(scheme: str, rest: str) -> str:
    url = _without_brackets(f"{scheme}://{rest}")
    if " " in rest or "\\" in rest or not rest.isascii():
        raise ValueError("percent-encode what a URL may not hold")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave out user and password: they would be shown")
    _host_port(parts.hostname, parts.port if parts.port is not None else 1)
    return url


def _tcp(rest: str) -> str:
    rest = _without_brackets(rest)
    parts = urlsplit(f"//{rest}")
    if parts.path or parts.query or parts.fragment or parts.username is not None or _port(rest) is None:
        raise ValueError("give host:port, an IPv6 address in brackets")
    _host_port(parts.hostname, parts.port or 0)
    return rest


def _port(rest: str) -> int | None:
    """ValueError where it is none, without the parser's own words for it."""
    try:
        return urlsplit(f"//{rest}").port
    except ValueError:
        raise ValueError(f"the port in {rest[:80]!r} is not a number from 1 to 65535") from None


def _grpc(rest: str) -> str:
    where, slash, service = rest.partition("/")
    if slash and not (service.isascii() and service.isprintable()):
        raise ValueError("give host:port/service, the service in ASCII")
    return _tcp(where) + (f"/{service}" if service else "")


def _host_port(host: str | None, port: int) -> None:
    if not host or any(char in host for char in " %/?#@"):
        raise ValueError("name the host")
    if not is_host(host):
        raise ValueError(f"{host[:80]!r} is not a host name")
    if port == 0:
        raise ValueError("port 0 takes no connection: choose 1 to 65535")


def is_host(host: str) -> bool:
    """Whether a resolver would take it: no part of it empty or too long."""
    try:
        return ":" in host or bool(host.encode("idna"))
    except UnicodeError:
        return False


def _command(rest: str) -> str:
    if not rest.strip():
        raise ValueError("name the command")
    return rest


TARGETS: dict[Kind, Callable[[str], str]] = {
    "http": lambda rest: _url("http", rest),
    "https": lambda rest: _url("https", rest),
    "tcp": _tcp,
    "grpc": _grpc,
    "grpcs": _grpc,
    "cmd": _command,
}
