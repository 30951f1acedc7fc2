"""The resources of xDS, as the registry and the policy have them.

Owns which names are asked for, and which of them a change concerns: a name is looked at again only if one of the
services that it may stand for changes. What nobody is subscribed to is forgotten. Knows no stream and no client.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from gossipreg.gateway.xds.model import (
    INBOUND,
    LOCAL_CLUSTER,
    TAKEN_NAMES,
    Audience,
    ClientKind,
    Resource,
    ResourceKey,
    ResourceType,
)
from gossipreg.gateway.xds.resources.asked import ANY, AskedName, Made
from gossipreg.gateway.xds.resources.endpoints import Endpoint, Endpoints, endpoints_of
from gossipreg.gateway.xds.resources.envoy_resources import (
    ENVOY_LISTENER,
    EnvoyRoutes,
    envoy_cluster,
    envoy_endpoints,
    envoy_listener,
    hosts_of,
    service_clusters,
)
from gossipreg.gateway.xds.resources.grpc_resources import grpc_cluster, grpc_endpoints, grpc_listener, grpc_routes
from gossipreg.gateway.xds.resources.left_out import LeftOut
from gossipreg.gateway.xds.resources.members_by_zone import MembersByZone
from gossipreg.gateway.xds.resources.names_asked import Reading, plain_name, readings_of, suffixes_of
from gossipreg.gateway.xds.resources.policy import ServicePolicy, XdsPolicy
from gossipreg.gateway.xds.resources.proto_values import resource_from
from gossipreg.gateway.xds.resources.shown_names import ShownNames
from gossipreg.gateway.xds.resources.unmet_tags import UnmetTags
from gossipreg.model import Change, NodeId, fold_name
from gossipreg.sidecar_api import SidecarApi

CLUSTER, ENDPOINTS = ResourceType.CLUSTER, ResourceType.ENDPOINTS
LISTENER, ROUTE = ResourceType.LISTENER, ResourceType.ROUTE
_ALL = (CLUSTER, ENDPOINTS, LISTENER, ROUTE)
NO_TLS = "this sidecar hands out no certificates: start it with --xds-tls, or begin the Envoy without --service"

if TYPE_CHECKING:
    from gossipreg.gateway.xds.resources.mesh_tls import MeshTls


class XdsResources:
    """See `model.ResourceSource`."""

    def __init__(
        self, api: SidecarApi, policy: XdsPolicy, counts: Counter[str], *, domain: str | None = None,
        mesh: "MeshTls | None" = None,
    ) -> None:  # fmt: skip
        """`counts` is for `gossipreg info`; `domain` is that of --dns-domain; `mesh` is there with --xds-tls."""
        self._api = api
        self._view = api.view
        self._mesh = mesh
        self._policy = policy
        self._routes = EnvoyRoutes(policy)
        self._suffixes = suffixes_of(domain)
        self._names = ShownNames(api.view.catalog.instances())
        self._members = MembersByZone(api.view)
        self._left_out = LeftOut(counts, api.note)
        self._asked: dict[str, AskedName] = {}
        self._concerned: dict[str, dict[str, None]] = {}
        """By folded service name, the asked names that may stand for it."""
        self._clusters: tuple[str, ...] | None = None
        """The names of Envoy's clusters; None: they may be others now."""
        self._knowledge = api.view.knowledge
        self.unmet_tags = UnmetTags(policy, self._has_endpoints)
        self._followers: list[Callable[[frozenset[ResourceKey]], None]] = []

    # -- what streams ask --------------------------------------------------------------------------------------------

    @property
    def known(self) -> bool:
        return not self._view.knowledge.refuses

    def resource(self, key: ResourceKey, audience: Audience) -> Resource | None:
        if key.type is ResourceType.SECRET:
            return None if self._mesh is None else self._mesh.secret(key.name, audience.caller)
        if audience.service:
            if self._mesh is None or self._is_withheld(audience):
                return None
            if key.name.startswith(INBOUND):
                return self._mesh.inbound(key, audience)
            if key.type is LISTENER and key.name == ENVOY_LISTENER:
                value = envoy_listener(self._policy, self._mesh.listen_port(audience), shared=False)
                return self._mesh.keep(audience.service, key, value)
        asked = self._asked.get(key.name) or self._ask(key.name)
        asked.types[key.type] = None
        zone = ""
        if key.type is ENDPOINTS and audience.kind is not ClientKind.ENVOY and audience.zone:
            zone = audience.zone if audience.zone in self._endpoints(asked).zones else ""
        made = Made(key.type, audience.kind, zone, _of(key, audience))
        kept = asked.kept(made)
        if kept is not None:
            return kept
        if key.type is ENDPOINTS and self._view.knowledge.partial and not self._found(asked, made):
            return None
        return asked.keep(made, resource_from(key.type, key.name, self._build(asked, made)))

    def wildcard(self, type: ResourceType, audience: Audience) -> tuple[str, ...] | None:
        if audience.kind is not ClientKind.ENVOY:
            return ()
        inbound: tuple[str, ...] = ()
        if audience.service:
            if self._mesh is None or self._is_withheld(audience):
                return None
            inbound = self._mesh.inbound_names(audience)
        if type is LISTENER:
            return (ENVOY_LISTENER, *inbound)
        if type is not CLUSTER:
            return ()
        if self._view.knowledge.partial:
            return None
        if self._clusters is None:
            clusters = (one for name in self._envoy_names() for one in service_clusters(name, self._policy.of(name)))
            self._clusters = tuple(dict.fromkeys(clusters))
        return (*self._clusters, *inbound)

    def why_not(self, key: ResourceKey, audience: Audience) -> str:
        if self._mesh is None:
            return NO_TLS if key.type is ResourceType.SECRET or audience.service else ""
        if key.type is ResourceType.SECRET:
            return self._mesh.why_no_secret(key.name, audience.caller)
        return self._mesh.why_not(audience.service, audience.caller) if audience.service else ""

    def _is_withheld(self, audience: Audience) -> bool:
        """Whether an Envoy may not be of the service that it says. It gets nothing then, and the log has the reason."""
        if why := self.why_not(ResourceKey(CLUSTER, ""), audience):
            assert self._mesh is not None
            self._mesh.withheld(f"what the Envoy of {audience.service!r:.80} asks for", why)
        return bool(why)

    def forget(self, key: ResourceKey) -> None:
        if self._mesh is not None:
            self._mesh.forget(key)
        asked = self._asked.get(key.name)
        if asked is None:
            return
        asked.forget(key.type)
        if not asked.types:
            del self._asked[key.name]
            for reading in asked.readings:
                names = self._concerned.get(reading.service, {})
                names.pop(key.name, None)
                if not names:
                    self._concerned.pop(reading.service, None)

    def follow(self, changed: Callable[[frozenset[ResourceKey]], None]) -> None:
        self._followers.append(changed)

    # -- what happens ------------------------------------------------------------------------------------------------

    @contextmanager
    def following(self) -> Iterator[None]:
        """Follow the registry while the block runs."""
        with (
            self._api.changes.following("gateway_xds", self.changed),
            self._api.members.following("gateway_xds", self.members_changed),
            self._api.registered.following("gateway_xds", self._registered),
        ):
            yield

    def changed(self, changes: Iterable[Change]) -> None:
        """Follow changes of the answers, or of the knowledge."""
        concerned, shown_anew = self._names.follow(changes)
        self.unmet_tags.changed(concerned)
        keys: set[ResourceKey] = set()
        for service in concerned:
            for name in self._concerned.get(service, ()):
                keys |= self._look_again(self._asked[name])
        if shown_anew:
            self._clusters = None
            keys |= self._outdate(ENVOY_LISTENER, ROUTE)
        before, self._knowledge = self._knowledge, self._view.knowledge
        if before is not self._knowledge:
            self.unmet_tags.all_changed()
        if before.refuses and not self._knowledge.refuses:
            keys |= self._all_keys()
        self._tell(keys, other_names=shown_anew or before is not self._knowledge)

    def members_changed(self, ids: Iterable[NodeId]) -> None:
        """Follow changes of members, for Envoy's local cluster."""
        if self._members.changed(ids):
            self._tell(self._outdate(LOCAL_CLUSTER, ENDPOINTS), other_names=False)

    def take_policy(self, policy: XdsPolicy) -> None:
        """Use this policy from now on."""
        self._policy = policy
        self._routes = EnvoyRoutes(policy)
        self._clusters = None
        self._left_out.policy_changed()
        self.unmet_tags.take_policy(policy)
        for asked in self._asked.values():
            asked.outdate(*_ALL)
            asked.reading = self._meant(asked.readings)
        self._tell(self._all_keys(), other_names=True)

    def services_of_nobody(self) -> tuple[str, ...]:
        """The services of the policy that have no instance, sorted; none while the registry is not known."""
        if self._view.knowledge.partial:
            return ()
        return tuple(sorted(one for one in self._policy.services if not self._names.there(one)))

    def _registered(self, _id: str) -> None:
        keys = self._registered_here()
        self._tell(keys, other_names=bool(keys))

    def renew_secrets(self) -> None:
        """Make the certificates anew that are due, and look at what is registered here."""
        if self._mesh is not None:
            keys = self._registered_here()
            renewed = {ResourceKey(ResourceType.SECRET, name) for name in self._mesh.secrets.renew()}
            self._tell(keys | renewed, other_names=bool(keys))

    def take_secrets(self, secrets: Sequence[bytes]) -> None:
        """The ring has these keys now: see `MeshSecrets.take`."""
        if self._mesh is not None:
            changed = self._mesh.secrets.take(secrets)
            self._tell((ResourceKey(ResourceType.SECRET, name) for name in changed), other_names=False)

    def _registered_here(self) -> frozenset[ResourceKey]:
        """The keys that may be otherwise since other services are registered here; none if none are."""
        mesh = self._mesh
        changed = [] if mesh is None else mesh.look()
        if mesh is None or not changed:
            return frozenset()
        for service in changed:
            if not mesh.has(service):
                for asked in self._asked.values():
                    asked.forget_of(service)
        return frozenset({*(mesh.secret_key(service) for service in changed), *mesh.keys()})

    def _tell(self, keys: Iterable[ResourceKey], *, other_names: bool) -> None:
        told = frozenset(keys)
        for follower in self._followers:
            if told:
                follower(told)
            if other_names:
                follower(frozenset())

    def _look_again(self, asked: AskedName) -> frozenset[ResourceKey]:
        """The keys of this name that may be otherwise, after a change of a service that it may stand for."""
        before, asked.reading = asked.reading, self._meant(asked.readings)
        return asked.outdate(*(_ALL if before != asked.reading else (ENDPOINTS,)))

    def _outdate(self, name: str, type: ResourceType) -> frozenset[ResourceKey]:
        asked = self._asked.get(name)
        return frozenset() if asked is None else asked.outdate(type)

    def _all_keys(self) -> set[ResourceKey]:
        keys = {ResourceKey(type, name) for name, asked in self._asked.items() for type in asked.types}
        return keys if self._mesh is None else keys | self._mesh.keys()

    # -- one name ----------------------------------------------------------------------------------------------------

    def _ask(self, name: str) -> AskedName:
        asked = self._asked[name] = AskedName(name, readings_of(name, self._suffixes))
        for reading in asked.readings:
            self._concerned.setdefault(reading.service, {})[name] = None
        asked.reading = self._meant(asked.readings)
        return asked

    def _meant(self, readings: Iterable[Reading]) -> Reading | None:
        """The first reading whose service exists; else the first with settings of its own, so that a split stays one
        while there is no instance; None: neither."""
        readings = tuple(readings)
        there = (one for one in readings if self._names.there(one.service))
        set_up = (one for one in readings if one.service in self._policy.services)
        return next(there, None) or next(set_up, None)

    def _endpoints(self, asked: AskedName) -> Endpoints:
        if asked.endpoints is not None:
            return asked.endpoints
        if asked.reading is None:
            return asked.found(Endpoints())
        endpoints = endpoints_of(self._view.catalog.lookup(asked.reading.service), asked.reading)
        self._left_out.say(endpoints.unusable)
        if self._policy.of(asked.reading.service).tls_required:
            self._left_out.say_tls_required(self._policy.section(asked.reading.service))
            return asked.found(Endpoints())
        return asked.found(endpoints)

    def _has_endpoints(self, name: str) -> bool:
        """Whether it surely has some: not while only a part of the registry is known."""
        reading = None if self._view.knowledge.partial else self._meant(readings_of(name, self._suffixes))
        return reading is not None and endpoints_of(self._view.catalog.lookup(reading.service), reading).found != ()

    def _found(self, asked: AskedName, made: Made) -> tuple[Endpoint, ...]:
        """The endpoints as this client gets them. The local cluster is there for Envoy alone: to a gRPC client, its
        name is that of a service."""
        if made.kind is ClientKind.ENVOY and asked.name == LOCAL_CLUSTER:
            return self._members.endpoints()
        if not made.of or asked.reading is None or self._mesh is None:
            return self._endpoints(asked).found
        service = asked.reading.service
        found = endpoints_of(self._view.catalog.lookup(service), asked.reading, self._mesh.port_of).found
        required = self._policy.of(service).tls_required
        return tuple(one for one in found if not (required and one.plain))

    def _build(self, asked: AskedName, made: Made) -> bytes:
        envoy, name = made.kind is ClientKind.ENVOY, asked.name
        if envoy and name == ENVOY_LISTENER and made.type in (LISTENER, ROUTE):
            return envoy_listener(self._policy) if made.type is LISTENER else self._envoy_routes()
        policy = self._settings(asked, made.kind)
        whole = asked.reading is None or asked.reading.tag is None
        match made.type:
            case ResourceType.CLUSTER:
                return self._envoy_cluster(asked, made, policy) if envoy else grpc_cluster(name, policy, made.kind)
            case ResourceType.LISTENER:
                return grpc_listener(name, plain_name(name), policy, made.kind, whole=whole)
            case ResourceType.ROUTE:
                return grpc_routes(name, plain_name(name), policy, made.kind, whole=whole)
            case _:
                found = self._found(asked, made)
                return envoy_endpoints(name, found) if envoy else grpc_endpoints(name, found, policy, made.zone)

    def _envoy_cluster(self, asked: AskedName, made: Made, policy: ServicePolicy) -> bytes:
        mesh, target = self._mesh, fold_name(asked.name) if asked.reading is None else asked.reading.service
        if not made.of or mesh is None:
            return envoy_cluster(asked.name, policy)
        add_tls = partial(mesh.add_tls, own=made.of, target=target, plain_too=not policy.tls_required)
        return envoy_cluster(asked.name, policy, add_tls)

    def _envoy_names(self) -> Iterator[str]:
        """The services that are clusters of Envoy, sorted."""
        for name in self._names.shown():
            if name in TAKEN_NAMES:
                self._left_out.say_taken(name)
            else:
                yield name

    def _envoy_routes(self) -> bytes:
        return self._routes.made(hosts_of(self._envoy_names(), self._suffixes))

    def _settings(self, asked: AskedName, kind: ClientKind) -> ServicePolicy:
        service = "" if asked.reading is None else asked.reading.service
        self._left_out.say_ignored(self._policy, service, kind)
        return self._policy.of(service)


def _of(key: ResourceKey, audience: Audience) -> str:
    """See `Made.of`. Routes are the same for every Envoy."""
    if not audience.service or key.type not in (CLUSTER, ENDPOINTS):
        return ""
    return audience.service if key.type is CLUSTER else ANY
