"""Seeds: from what the user wrote to addresses that can be greeted, for as long as it takes.

A seed that does not resolve is no error: it may be started later, or its name may be made later. So names are looked
up again, at growing intervals, until all resolve and this sidecar is synced, and again while it is isolated, because
the seed may have moved. Name servers are asked in a thread, which may hang without delaying anything else.
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from gossipreg.daemon.addresses import DEFAULT_PORT
from gossipreg.daemon.names import is_localhost
from gossipreg.errors import BadConfig
from gossipreg.model import Address
from gossipreg.net.addresses import is_literal, is_loopback, of_many, split_host_port
from gossipreg.quick_dataclass import dataclass
from gossipreg.retry import Retry

RETRY = Retry(0.5, 30.0)
"""The waits between attempts to resolve a name."""
SRV_LIFETIME_S = 10.0
"""The time that one question for SRV records may take, all name servers together."""
MAX_NAME_CHARS, MAX_LABEL_CHARS = 253, 63
"""The bounds of a host's name and of its parts (RFC 1035, section 2.3.4)."""
ADDRESSES_MAX = 256
"""At most this many addresses are greeted, however many the names have."""


@dataclass(frozen=True, slots=True)
class HostSeed:
    host: str
    port: int

    def __str__(self) -> str:
        return str(Address(self.host, self.port))


@dataclass(frozen=True, slots=True)
class SrvSeed:
    name: str

    def __str__(self) -> str:
        return f"srv:{self.name}"


Seed = HostSeed | SrvSeed


class Unresolved(Exception):
    """The name has no address now. The text says why."""


def parse_seed(text: str) -> Seed:
    """`host`, `host:port`, `v6`, `[v6]:port` or `srv:_name._udp.domain`; without a port it is the usual one, 7940.
    Raises BadConfig naming the seed."""
    if text.startswith("srv:"):
        name = text.removeprefix("srv:").rstrip(".")
        labels = name.split(".")
        if len(labels) < 3 or not all(labels) or not (labels[0].startswith("_") and labels[1] == "_udp"):
            raise BadConfig(f"seed {text!r}: write srv:_NAME._udp.DOMAIN")
        return SrvSeed(name)
    host, port = split_host_port(text, what="seed")
    port = DEFAULT_PORT if port is None else port
    if not host or not port:
        raise BadConfig(f"seed {text!r}: write HOST[:PORT], [V6ADDRESS]:PORT or srv:_NAME._udp.DOMAIN")
    if is_literal(host) and of_many(host):
        raise BadConfig(f"seed {text!r} is a multicast or broadcast address: give the address of a member")
    if len(host) > MAX_NAME_CHARS or any(len(label) > MAX_LABEL_CHARS for label in host.split(".")):
        raise BadConfig(f"seed {text[:80] + '...'!r} is too long: a host name has at most {MAX_NAME_CHARS} characters, "
                        f"and at most {MAX_LABEL_CHARS} between two dots")  # fmt: skip
    return HostSeed(host, port)


def certainly_loopback(seed: Seed) -> bool:
    """Whether the seed is on this machine for certain, without asking a name server."""
    if isinstance(seed, SrvSeed):
        return False
    if is_literal(seed.host):
        return is_loopback(seed.host)
    return is_localhost(seed.host)


def literals(seeds: tuple[Seed, ...]) -> tuple[Address, ...]:
    """The addresses of the seeds that are literal."""
    return tuple(Address(s.host, s.port) for s in seeds if isinstance(s, HostSeed) and is_literal(s.host))


async def resolve(seed: Seed) -> list[Address]:
    """Return all addresses of the seed. Raises Unresolved."""
    if isinstance(seed, HostSeed):
        return await _resolve_host(seed.host, seed.port)
    found: list[Address] = []
    why = Unresolved(f"{seed.name} has no SRV records")
    for host, port in await trio.to_thread.run_sync(_ask_srv, seed.name, abandon_on_cancel=True):
        try:
            found += await _resolve_host(host, port)
        except Unresolved as error:
            why = error
    if not found:
        raise why
    return found


async def _resolve_host(host: str, port: int) -> list[Address]:
    if is_literal(host):
        return [Address(host, port)]
    try:
        results = await trio.to_thread.run_sync(_ask_host, host, port, abandon_on_cancel=True)
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host}: {getattr(error, 'strerror', None) or error}") from None
    found = [Address(str(sockaddr[0]), port) for *_, sockaddr in results if not any(sockaddr[3:])]
    if not found:  # sockaddr[3] is the zone of an IPv6 address
        raise Unresolved(f"{host} has only link-local addresses: give it an address that other hosts can reach")
    return found


def _ask_host(host: str, port: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)


def _ask_srv(name: str) -> list[tuple[str, int]]:
    """(host, port) by priority, then weight. In a thread."""
    import dns.exception  # large, and only for those who use srv:
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver()  # a new one each time: resolv.conf may have changed
        answer = resolver.resolve(name, "SRV", lifetime=SRV_LIFETIME_S, search=False)
    except (dns.exception.DNSException, OSError) as error:
        raise Unresolved(f"{name}: {error}") from None
    records = sorted(answer, key=lambda record: (record.priority, -record.weight, str(record.target)))
    return [(str(record.target).rstrip("."), record.port) for record in records if str(record.target) != "."]


async def keep_resolving(
    seeds: tuple[Seed, ...],
    *,
    found: Callable[[tuple[Address, ...]], None],
    failed: Callable[[Seed, str], None],
    resolved: Callable[[Seed], None] = lambda _: None,
    content: Callable[[], bool],
    resolve: Callable[[Seed], Awaitable[list[Address]]] = resolve,
) -> None:
    """Call `found` with all addresses, in the seeds' order, whenever they are not those of last time, `failed` for each
    seed that does not resolve, and `resolved` for each that does. Continues while `content()` (synced and not isolated)
    is false. Returns at once if no name has to be resolved."""
    known = {seed: list(literals((seed,))) for seed in seeds}
    handed_on: tuple[Address, ...] = ()

    def hand_on() -> None:
        nonlocal handed_on
        addresses = tuple(dict.fromkeys(address for seed in seeds for address in known[seed]))[:ADDRESSES_MAX]
        if addresses and addresses != handed_on:
            handed_on = addresses
            found(addresses)

    hand_on()
    names = tuple(seed for seed in known if not known[seed])
    wait_s = RETRY.first_s
    while names:
        for seed in names:
            try:
                known[seed] = await resolve(seed)
            except Unresolved as error:
                failed(seed, str(error))
            else:
                resolved(seed)
            hand_on()
        while True:
            await trio.sleep(wait_s)
            wait_s = RETRY.after(wait_s)
            if not content() or not all(known.values()):
                break
