"""The xDS gateway as the sidecar runs it: what the user chose, the open gateway, and one run of it.

Each is complete once it is made: `XdsOptions.open` binds the sockets and reads the policy, `XdsGateway.run` is given
the sidecar's registry.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from gossipreg.errors import BadConfig
from gossipreg.gateway.xds.model import LOCAL_CLUSTER
from gossipreg.gateway.xds.resources.policy import XdsPolicy
from gossipreg.gateway.xds.resources.policy_file import read_policy
from gossipreg.gateway.xds.resources.xds_resources import XdsResources
from gossipreg.gateway.xds.server.grpc_server import XdsServer
from gossipreg.gateway.xds.server.ports import XdsListener, check_reach, listen_tcp, listen_unix
from gossipreg.gateway.xds.streams.xds_streams import XdsStreams
from gossipreg.net.addresses import Bind
from gossipreg.sidecar_api import LogFields, Question, Reread, Shape, SidecarApi

REPORT_S = 1.0
"""A trouble that goes on is repeated this often."""
NAMES_SHOWN = 5
"""Services without an instance that a reload names; it counts the rest."""
LOOK_S = 60.0
"""With --xds-tls, how often it is looked whether a certificate is due."""
DEFAULT_PORT = 18000
"""Where control planes of Envoy commonly listen."""

if TYPE_CHECKING:
    from gossipreg.gateway.xds.resources.mesh_tls import MeshTls


COUNTS = ("xds.connections", "xds.calls", "xds.requests", "xds.responses")
"""Counters that are there from the start: a graph needs a first value."""


class XdsOptions:
    """See `sidecar_api.GatewayOptions`."""

    def __init__(
        self,
        tcp: Sequence[Bind],
        unix: Sequence[Path] = (),
        *,
        socket_group: str | None = None,
        insecure: bool = False,
        policy_file: str | None = None,
        domain: str | None = None,
        tls: bool = False,
        tls_life: timedelta | None = None,
    ) -> None:
        """Listen at these addresses, and on these paths, which the group may use too. `insecure` lets other machines
        connect. `domain` is that of --dns-domain: names below it are understood, too. `tls` hands out certificates on
        the paths, which are good for `tls_life` (`mesh_secrets.LIFE`)."""
        self.tcp = tcp
        self.unix = unix
        self.socket_group = socket_group
        self.insecure = insecure
        self.policy_file = policy_file
        self.domain = domain
        self.tls = tls
        self.tls_life = tls_life

    def policy(self) -> XdsPolicy:
        """Read the policy. Raises CannotStart or BadConfig."""
        if self.policy_file is None:
            return XdsPolicy()
        policy = read_policy(self.policy_file)
        if not self.tls and any(one.tls_required for one in (policy.default, *policy.services.values())):
            raise BadConfig(f'--xds-policy {self.policy_file}: tls = "require" needs --xds-tls')
        return policy

    def open(self) -> "XdsGateway":
        """Raises CannotStart: port taken, path too long, no such file, ...; or BadConfig."""
        check_reach(self.tcp, insecure=self.insecure)
        policy = self.policy()
        with ExitStack() as undo:
            listeners: list[XdsListener] = []
            for bind in self.tcp:
                for listener in listen_tcp(bind.hosts, bind.port):
                    listeners.append(listener)
                    undo.callback(listener.close)
            for path in self.unix:
                listeners.append(listen_unix(path, self.socket_group))
                undo.callback(listeners[-1].close)
            undo.pop_all()
        return XdsGateway(self, listeners, policy)


class XdsGateway:
    """See `sidecar_api.Gateway`."""

    name = "xds"

    def __init__(self, options: XdsOptions, listeners: Sequence[XdsListener], policy: XdsPolicy) -> None:
        """`listeners` are closed with it."""
        self._options = options
        self._listeners = listeners
        self._policy = policy
        self._counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._run: XdsRun | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(listener.text for listener in self._listeners)

    @property
    def rereads(self) -> Mapping[str, Reread]:
        found: dict[str, Reread] = {}
        if self._options.policy_file is not None:
            found["xds_policy"] = self._reread_policy
        if self._options.tls:  # after the keys, which the sidecar reads itself
            found["xds_tls"] = self._reread_keys
        return found

    def _reread_keys(self) -> LogFields:
        return {"cas": trio.from_thread.run_sync(self._take_keys)}

    def _take_keys(self) -> int:
        return 0 if self._run is None else self._run.take_keys()

    def _reread_policy(self) -> LogFields:
        """Raises CannotStart or BadConfig; then the policy read before stays in use."""
        policy = self._options.policy()
        trio.from_thread.run_sync(self._take_policy, policy)
        found: LogFields = {"services": len(policy.services)}
        without = () if self._run is None else trio.from_thread.run_sync(self._run.resources.services_of_nobody)
        if without:
            more = f" and {len(without) - NAMES_SHOWN} more" if len(without) > NAMES_SHOWN else ""
            found["without_instances"] = ", ".join(without[:NAMES_SHOWN]) + more
        return found

    def _take_policy(self, policy: XdsPolicy) -> None:
        self._policy = policy
        if self._run is not None:
            self._run.resources.take_policy(policy)

    @property
    def questions(self) -> Mapping[str, Question]:
        return {"xds-show": self._show}

    def _show(self, given: Shape) -> Shape:
        """The method `xds-show`."""
        run = self._run
        return {
            "addresses": list(self.addresses),
            "local_cluster": LOCAL_CLUSTER,
            "tls": self._options.tls,
            "zone": "" if run is None else run.zone,
            "streams": 0 if run is None else len(run.streams.context.streams),
            "clients": [] if run is None else run.streams.shown(given),
        }

    def warnings(self) -> list[str]:
        return []

    async def run(self, api: SidecarApi) -> None:
        self._run = self.served(api)
        try:
            await self._run.run()
        finally:
            self._run = None

    def served(self, api: SidecarApi) -> "XdsRun":
        """A run that answers from the registry as it is now."""
        options = self._options
        mesh = mesh_of(api, options.tls_life) if options.tls else None
        resources = XdsResources(api, self._policy, self._counts, domain=options.domain, mesh=mesh)
        return XdsRun(self._listeners, resources, self._counts, api, None if mesh is None else mesh.secrets.life)

    def counts(self) -> dict[str, int]:
        server = None if self._run is None else self._run.server
        return {
            "xds_connections": 0 if server is None else len(server.connections),
            "xds_streams": 0 if server is None else server.connections.calls,
            **self._counts,
        }

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def mesh_of(api: SidecarApi, life: timedelta | None) -> "MeshTls":
    """Mutual TLS, whose modules are loaded only here."""
    from gossipreg.gateway.xds.resources.mesh_secrets import LIFE, MeshSecrets
    from gossipreg.gateway.xds.resources.mesh_tls import MeshTls

    secrets = MeshSecrets(api.cluster, api.mesh_secrets(), lambda: datetime.now(UTC), life or LIFE)
    return MeshTls(api.cluster, api.registrations, secrets, api.note)


class XdsRun:
    """One run of the gateway. If it loses track of the registry, the next run starts afresh: its clients connect again,
    and go on with what they have meanwhile."""

    def __init__(
        self, listeners: Sequence[XdsListener], resources: XdsResources, counts: Counter[str], api: SidecarApi,
        tls_life: timedelta | None = None,
    ) -> None:  # fmt: skip
        """`tls_life` is that of certificates; None: there are none."""
        self.resources = resources
        self._api = api
        self._tls_life = tls_life
        self._refused = trio.Event()
        self.streams = XdsStreams(resources, counts, api.note, api.now, lambda: self._refused.set())
        self.server = XdsServer(listeners, self.streams, counts, api.bug, api.full)

    @property
    def zone(self) -> str:
        """That of this sidecar."""
        own = self._api.view.member(self._api.view.id, self._api.now())
        return "" if own is None else own.zone

    async def run(self) -> None:
        """Until cancelled, or until it loses track of the registry."""
        with self.resources.following():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._report_refusals)
                nursery.start_soon(self._report_unmet_tags)
                if self._tls_life is not None:
                    nursery.start_soon(self._renew_secrets, self._tls_life)
                await self.server.run()
                nursery.cancel_scope.cancel()

    async def _report_unmet_tags(self) -> None:
        """The same for calls that fail by the policy."""
        while True:
            await self.resources.unmet_tags.wait_marked()
            while (names := self.resources.unmet_tags.look()) is not None:
                self._api.trouble(
                    "xds_tags",
                    f"calls fail, since --xds-policy sends them to tags without a passing instance: {names}",
                )
                await trio.sleep(REPORT_S)
            await trio.sleep(REPORT_S)

    def take_keys(self) -> int:
        """The ring may have other keys now. Returns how many CAs there are."""
        secrets = self._api.mesh_secrets()
        self.resources.take_secrets(secrets)
        return len(secrets)

    async def _renew_secrets(self, life: timedelta) -> None:
        """Look at the time of day now and then: it may jump, and while the machine sleeps it goes on alone."""
        while True:
            await trio.sleep(min(LOOK_S, life.total_seconds() / 20))
            self.resources.renew_secrets()

    async def _report_refusals(self) -> None:
        """Let `info` show them for as long as they last. While there are none, this sleeps."""
        while True:
            await self._refused.wait()
            self._refused = trio.Event()
            while count := self.streams.refusing:
                self._api.trouble(
                    "xds_refused",
                    f"xDS clients that refuse what they are sent: {count}; `gossipreg xds show` has their reasons",
                )
                await trio.sleep(REPORT_S)
