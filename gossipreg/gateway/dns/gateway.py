"""The DNS gateway as the sidecar runs it: what the user chose, the open gateway, and one run of it.

Each is complete once it is made: `DnsOptions.open` binds the ports, `DnsGateway.run` is given the sidecar's registry.
"""

import os
import random
from collections import Counter
from collections.abc import Mapping

from gossipreg.errors import BadConfig
from gossipreg.gateway.dns.answers import DnsAnswers
from gossipreg.gateway.dns.directory import Directory
from gossipreg.gateway.dns.names import make_zones
from gossipreg.gateway.dns.ports import Ports, open_ports
from gossipreg.gateway.dns.responder import Responder
from gossipreg.gateway.dns.server import DnsServer
from gossipreg.model import Address
from gossipreg.net.addresses import Bind
from gossipreg.sidecar_api import Question, Reread, SidecarApi

DEFAULT_PORT = 8600
TTL_MAX_S = 86_400
"""A day. A registry whose answers are kept for longer would be of no use."""


class DnsOptions:
    """See `sidecar_api.GatewayOptions`."""

    def __init__(
        self, where: Bind, *, domain: str | None = None, ttl_s: float = 0.0, negative_ttl_s: float = 0.0
    ) -> None:
        """Answer there, for `consul.` and for this domain; resolvers may keep records and denials for these times.
        Raises BadConfig."""
        self.where = where
        self.zones = make_zones(domain)
        self.ttl_s = _whole_seconds("--dns-ttl", ttl_s)
        self.negative_ttl_s = _whole_seconds("--dns-negative-ttl", negative_ttl_s)

    def open(self) -> "DnsGateway":
        """Raises CannotStart: port taken, address not of this machine, ..."""
        return DnsGateway(self, open_ports(self.where.hosts, self.where.port))


class DnsGateway:
    """See `sidecar_api.Gateway`."""

    name = "dns"
    rereads: Mapping[str, Reread] = {}
    questions: Mapping[str, Question] = {}

    def __init__(self, options: DnsOptions, ports: Ports) -> None:
        """`ports` are closed with it."""
        self._options = options
        self._ports = ports
        self._counts = Counter({"dns.queries": 0})

    @property
    def addresses(self) -> tuple[Address, ...]:
        return self._ports.addresses

    def warnings(self) -> list[str]:
        return []

    async def run(self, api: SidecarApi) -> None:
        await self.served(api).run()

    def served(self, api: SidecarApi) -> "DnsRun":
        """A run that answers from the registry as it is now."""
        return DnsRun(self._options, self._ports, self._counts, api)

    def counts(self) -> dict[str, int]:
        return dict(self._counts)

    def close(self) -> None:
        self._ports.close()


class DnsRun:
    """One run of the gateway. If it loses track of the registry, the next run starts afresh."""

    def __init__(self, options: DnsOptions, ports: Ports, counts: Counter[str], api: SidecarApi) -> None:
        self._directory = directory = Directory(api.view)

        def hosts() -> list[str]:
            return [address.host for address in (api.view.addresses if ports.wildcard else ports.addresses)]

        answers = DnsAnswers(
            directory, options.zones, cluster=api.cluster, ttl_s=options.ttl_s, negative_ttl_s=options.negative_ttl_s,
            hosts=hosts,
        )  # fmt: skip
        self._api = api
        self._responder = Responder(
            directory, answers, counts=counts, salt=api.view.id, rng=random.Random(os.urandom(16)), bug=api.bug,
            trouble=api.trouble,
        )  # fmt: skip
        self.server = DnsServer(ports, self._responder, api.bug, api.full)

    async def run(self) -> None:
        with (
            self._api.changes.following("gateway_dns", self._responder.changed),
            self._api.members.following("gateway_dns", lambda _ids: self._directory.members_changed()),
        ):
            await self.server.run()


def _whole_seconds(flag: str, seconds: float) -> int:
    """Raises BadConfig."""
    if not 0 <= seconds <= TTL_MAX_S or seconds != int(seconds):
        raise BadConfig(f"{flag} {seconds:g}s: give whole seconds, at most 24h")
    return int(seconds)
