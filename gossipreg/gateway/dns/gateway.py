"""The DNS gateway as the sidecar runs it: made from what the user chose, opened, shown the registry, run, closed."""

import os
import random
from collections.abc import Callable, Iterable
from typing import Protocol

from gossipreg.core.view import View
from gossipreg.errors import BadConfig
from gossipreg.gateway.dns.answers import DnsAnswers
from gossipreg.gateway.dns.directory import Directory
from gossipreg.gateway.dns.names import make_zones
from gossipreg.gateway.dns.ports import Ports, open_ports
from gossipreg.gateway.dns.responder import Responder
from gossipreg.gateway.dns.server import DnsServer
from gossipreg.model import Address, Change

DEFAULT_PORT = 8600
TTL_MAX_S = 86_400
"""A day: who wants registrations to be seen later than that does not want a registry."""

Trouble = Callable[[str, str], None]


class HearsTrouble(Protocol):
    """The sidecar, as far as this gateway needs it."""

    @property
    def trouble(self) -> Trouble:
        """`trouble(key, message)` reports a trouble that goes on now; `gossipreg info` shows it."""


class DnsGateway:
    """See `daemon.gateways.Gateway`. Not opened by its making."""

    name = "dns"

    def __init__(
        self, hosts: tuple[str, ...], port: int, *, cluster: str, domain: str | None = None, ttl_s: float = 0.0,
        negative_ttl_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Literal addresses, and the port on all of them, 0: any. `cluster` is the DC. Raises BadConfig."""
        self._zones = make_zones(domain)
        self._hosts = hosts
        self._port = port
        self._cluster = cluster
        self._ttl_s = _whole_seconds("--dns-ttl", ttl_s)
        self._negative_ttl_s = _whole_seconds("--dns-negative-ttl", negative_ttl_s)
        self._trouble: Trouble = _unheard
        self._ports: Ports | None = None
        self._responder: Responder | None = None
        self._server: DnsServer | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, once it is open."""
        return () if self._ports is None else self._ports.addresses

    def open(self) -> None:
        """Raises CannotStart: port taken, address not of this machine, ..."""
        self._ports = open_ports(self._hosts, self._port)

    def meet(self, outside: HearsTrouble) -> None:
        """Where it tells what an operator should know."""
        self._trouble = outside.trouble

    def attach(self, view: View, bug: Callable[[str, Exception], None]) -> None:
        """Answer from this registry as it is now, and as `changed` says later. Called again, begins anew."""
        assert self._ports is not None, "open comes first"
        directory = Directory(view)
        ports = self._ports

        def hosts() -> list[str]:
            return [address.host for address in (view.addresses if ports.wildcard else ports.addresses)]

        answers = DnsAnswers(
            directory, self._zones, cluster=self._cluster, ttl_s=self._ttl_s, negative_ttl_s=self._negative_ttl_s,
            hosts=hosts,
        )  # fmt: skip
        before = self._responder
        self._responder = Responder(
            directory, answers, salt=view.id, rng=random.Random(os.urandom(16)), bug=bug, trouble=self._trouble
        )
        if before is not None:
            self._responder.counts.update(before.counts)
        if self._server is None:
            self._server = DnsServer(self._ports, self._responder, bug)
        self._server.responder = self._responder

    def changed(self, changes: Iterable[Change]) -> None:
        assert self._responder is not None, "attach comes first"
        self._responder.changed(changes)

    async def run(self) -> None:
        """Answer until cancelled."""
        assert self._server is not None, "attach comes first"
        await self._server.run()

    def counts(self) -> dict[str, int]:
        return {} if self._responder is None else dict(self._responder.counts)

    def close(self) -> None:
        if self._ports is not None:
            self._ports.close()


def _whole_seconds(flag: str, seconds: float) -> int:
    """Raises BadConfig."""
    if not 0 <= seconds <= TTL_MAX_S or seconds != int(seconds):
        raise BadConfig(f"{flag} {seconds:g}s: DNS counts in whole seconds, at most 24h")
    return int(seconds)


def _unheard(_key: str, _message: str) -> None:
    """Nobody has asked to be told."""
