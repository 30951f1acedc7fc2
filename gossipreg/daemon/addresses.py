"""The addresses at which a member gossips: the rules for `--bind`, `--advertise` and clear text.

Other members are always given a literal address, never a wildcard. The kernel is asked which source address a route
would use: a UDP connect sends nothing.
"""

import socket

from gossipreg.errors import BadConfig, CannotStart
from gossipreg.model import Address
from gossipreg.net.addresses import (
    LOOPBACKS,
    WILDCARDS,
    Bind,
    family_of,
    is_literal,
    is_loopback,
    of_many,
    resolve_own,
    split_host_port,
)

DEFAULT_PORT = 7940


def bind_rule(text: str | None, *, everywhere: bool) -> Bind:
    """Parse `--bind`. Without it: all addresses if `everywhere`, else loopback."""
    if text is None:
        return Bind(WILDCARDS if everywhere else LOOPBACKS, DEFAULT_PORT)
    if not text.strip():
        raise BadConfig(f"--bind is empty: write an address, --bind 127.0.0.1:{DEFAULT_PORT}, or leave it out")
    host, port = split_host_port(text, what="--bind")
    if is_literal(host) and of_many(host):
        raise BadConfig(f"--bind {text!r} is a multicast or broadcast address: give an address of this machine")
    hosts = WILDCARDS if host in ("", "*") else (resolve_own(host, what="--bind"),)
    return Bind(hosts, DEFAULT_PORT if port is None else port)


def advertise_rule(text: str, bound_port: int) -> Address:
    """Parse `--advertise`; the port is the bound one if it names none."""
    host, port = split_host_port(text, what="--advertise")
    if port == 0:
        raise BadConfig(
            f"--advertise {text!r}: others cannot reach port 0, leave the port out to announce the bound one"
        )
    literal = resolve_own(host, what="--advertise") if host else ""
    if not literal or literal in WILDCARDS:
        raise BadConfig(
            f"--advertise {text!r}: others cannot reach a wildcard address, give one address of this machine"
        )
    if of_many(literal):
        raise BadConfig(f"--advertise {text!r} is a multicast or broadcast address: give an address of this machine")
    return Address(literal, port or bound_port)


def route_source(target: Address) -> str | None:
    """The local address that datagrams to `target` would leave from; None: no route."""
    with socket.socket(family_of(target.host), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((target.host, target.port))
            return str(probe.getsockname()[0])
        except OSError:
            return None


def refuse_clear_text(bind: Bind, off_loopback_seeds: tuple[str, ...]) -> None:
    """Raises CannotStart where a sidecar without a key could be reached from, or would call, another machine."""
    outside = [f"bind to {host}" for host in bind.hosts if not is_loopback(host)]
    outside += [f"seed {seed}" for seed in off_loopback_seeds]
    if outside:
        raise CannotStart(
            f"no key, and {outside[0]} is not loopback: anybody there could read and change the registry. Make a key "
            "with `gossipreg keygen` and give it to all members with --key-file, or say --insecure"
        )
