"""Which Envoy gets certificates, and what Envoys with mutual TLS get beside what every Envoy gets."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext, UpstreamTlsContext
from google.protobuf.any_pb2 import Any as ProtoAny

from gossipreg.callers import NO_UID, Caller
from gossipreg.core.view import View
from gossipreg.gateway.xds.model import INBOUND, LOCAL_CLUSTER, MESH_CA, Audience, ClientKind, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.mesh_secrets import MeshSecrets
from gossipreg.gateway.xds.resources.mesh_tls import MeshTls
from gossipreg.gateway.xds.resources.xds_resources import NO_TLS, XdsResources
from gossipreg.model import CatalogInstance, Change, ChangeKind, RegisteredService
from gossipreg.sidecar_api import Registrations
from tests.gateway.beside import api_of
from tests.gateway.xds.known_registry import ENVOY, PY, KnownRegistry, instance, policy_of

CLUSTER, ENDPOINTS, LISTENER = ResourceType.CLUSTER, ResourceType.ENDPOINTS, ResourceType.LISTENER
SECRET, ROUTE = ResourceType.SECRET, ResourceType.ROUTE
ANN, BOB, OWNER = (
    Caller(1001, 1, door="socket"),
    Caller(1002, 2, door="socket"),
    Caller(0, 3, frozenset(), "socket", True),
)
WEB, SHOP = "spiffe://default/svc/web", "spiffe://default/svc/shop"
MESSAGES = {
    CLUSTER: Cluster, ENDPOINTS: ClusterLoadAssignment, LISTENER: Listener, SECRET: Secret,
}  # fmt: skip


class Here:
    """The services registered at this sidecar, with their owners."""

    def __init__(self) -> None:
        self.services: dict[str, tuple[RegisteredService, int | None]] = {}

    def owned(self) -> list[tuple[RegisteredService, int | None]]:
        return list(self.services.values())


class TlsRegistry:
    def __init__(self, policy: str = "") -> None:
        self.known = KnownRegistry(policy=policy)
        self.here = Here()
        self.now = datetime(2026, 11, 30, tzinfo=UTC)
        self.notes: list[str] = []
        self.told: list[frozenset[ResourceKey]] = []
        self.api = api_of(cast(View, self.known.view), bug=lambda _, error: self.known._bug(error))
        object.__setattr__(self.api, "note", self.notes.append)
        registrations = cast(Registrations, self.here)
        secrets = MeshSecrets("default", [b"k" * 48], lambda: self.now)
        self.mesh = MeshTls("default", registrations, secrets, self.notes.append)
        self.source = XdsResources(self.api, policy_of(policy), Counter(), mesh=self.mesh)
        self.source.follow(self.told.append)

    def register(self, one: CatalogInstance, owner: int | None = ANN.uid) -> frozenset[ResourceKey]:
        """At this sidecar."""
        self.here.services[one.service.id] = one.service, owner
        return self._tell(one)

    def deregister(self, one: CatalogInstance) -> frozenset[ResourceKey]:
        del self.here.services[one.service.id]
        return self._tell()

    def elsewhere(self, *instances: CatalogInstance) -> None:
        self.known.put(*instances)
        self.source.changed(tuple(Change(ChangeKind.ADDED, one) for one in instances))

    def _tell(self, *instances: CatalogInstance) -> frozenset[ResourceKey]:
        self.told.clear()
        self.source._registered("id")
        self.elsewhere(*instances)
        return frozenset(key for keys in self.told for key in keys)

    def ask(self, type: ResourceType, name: str, audience: Audience) -> Any:
        found = self.source.resource(ResourceKey(type, name), audience)
        return None if found is None else MESSAGES[type].FromString(ProtoAny.FromString(found.any).value)

    def secret(self, name: str, caller: Caller | None) -> Any:
        return self.ask(SECRET, name, Audience(ENVOY, "", "", caller))


def tls(
    name: str = "web", address: str = "10.0.0.1", port: int = 80, tls_port: str = "20000", **more: str
) -> CatalogInstance:
    one = instance(name, address, port)
    meta = {"xds-tls-port": tls_port, **{key.replace("_", "-"): value for key, value in more.items()}}
    return replace(one, service=replace(one.service, meta=tuple(sorted(meta.items()))))


def of(service: str, caller: Caller | None = ANN) -> Audience:
    return Audience(ENVOY, "", service, caller)


@pytest.fixture
def registry() -> TlsRegistry:
    """`web` is registered here by Ann."""
    found = TlsRegistry()
    found.register(tls())
    return found


# -- who gets what -----------------------------------------------------------------------------------------------------


def test_the_user_who_registered_a_service_gets_its_certificate(registry: TlsRegistry) -> None:
    assert registry.secret(WEB, ANN).tls_certificate.certificate_chain.inline_bytes
    assert registry.secret(WEB, OWNER).name == WEB
    assert registry.secret(MESH_CA, BOB).validation_context.trusted_ca.inline_bytes
    assert registry.notes == []


@pytest.mark.parametrize(
    ("name", "caller", "why"),
    [
        (WEB, BOB, "web is registered here, but not by user 1002"),
        (WEB, None, "certificates are handed out on `--xds unix:PATH` alone"),
        (MESH_CA, None, "certificates are handed out on `--xds unix:PATH` alone"),
        (SHOP, ANN, "no instance of shop is registered at this sidecar"),
        (SHOP, OWNER, "no instance of shop is registered at this sidecar"),
        ("spiffe://default/svc/Web", ANN, "write the name in lower case"),
        ("spiffe://other/svc/web", OWNER, "there is no secret"),
        ("spiffe://default/svc/../web", OWNER, "cannot stand in a SPIFFE id"),
        ("", OWNER, "there is no secret"),
    ],
)
def test_no_other_client_gets_a_certificate(registry: TlsRegistry, name: str, caller: Caller | None, why: str) -> None:
    for _ in range(2):
        assert registry.secret(name, caller) is None
    assert why in registry.source.why_not(ResourceKey(SECRET, name), Audience(ENVOY, "", "", caller))
    assert len(registry.notes) == 1
    assert why in registry.notes[0]


@pytest.mark.parametrize("owner", [None, NO_UID])
def test_a_service_that_belongs_to_no_user_is_nobodys(owner: int | None) -> None:
    """Over TCP anybody may register one, and an older release kept no uid."""
    registry = TlsRegistry()
    registry.register(tls(), owner)
    assert registry.secret(WEB, ANN) is None
    assert registry.secret(WEB, Caller(NO_UID, 1, door="socket")) is None
    assert registry.secret(WEB, OWNER) is not None


def test_an_envoy_that_may_not_be_its_service_gets_nothing_at_all(registry: TlsRegistry) -> None:
    """Else it would call in clear text."""
    for audience in (of("web", BOB), of("web", None), of("shop", ANN)):
        for type, name in ((CLUSTER, "web"), (ENDPOINTS, "web"), (LISTENER, "gossipreg"), (ROUTE, "gossipreg")):
            assert registry.source.resource(ResourceKey(type, name), audience) is None
        assert registry.source.wildcard(CLUSTER, audience) is None
        assert registry.source.wildcard(LISTENER, audience) is None


def test_without_the_flag_an_envoy_of_a_service_gets_nothing_at_all() -> None:
    known = KnownRegistry([instance()])
    for type in (CLUSTER, LISTENER, ENDPOINTS, SECRET):
        assert known.source.resource(ResourceKey(type, "web"), of("web")) is None
        assert known.source.why_not(ResourceKey(type, "web"), of("web")) == NO_TLS
    assert known.source.wildcard(CLUSTER, of("web")) is None
    assert known.source.why_not(ResourceKey(CLUSTER, "web"), Audience(ENVOY, "")) == ""


def test_what_was_withheld_is_told_once_the_service_is_registered() -> None:
    registry = TlsRegistry()
    assert registry.secret(WEB, ANN) is None
    assert ResourceKey(SECRET, WEB) in registry.register(tls())
    assert frozenset() in registry.told  # so that streams ask again for what they did not get
    assert registry.secret(WEB, ANN) is not None
    assert registry.deregister(tls()) >= {ResourceKey(SECRET, WEB)}
    assert registry.secret(WEB, ANN) is None


def test_another_owner_of_a_service_is_noticed(registry: TlsRegistry) -> None:
    assert ResourceKey(SECRET, WEB) in registry.register(tls(), BOB.uid)
    assert registry.secret(WEB, ANN) is None
    assert registry.secret(WEB, BOB) is not None


def test_a_due_certificate_is_told_and_is_another(registry: TlsRegistry) -> None:
    before = registry.secret(WEB, ANN)
    registry.told.clear()
    registry.source.renew_secrets()
    assert registry.told == []
    registry.now += timedelta(hours=12)
    registry.source.renew_secrets()
    assert registry.told == [frozenset({ResourceKey(SECRET, WEB)})]
    assert registry.secret(WEB, ANN) != before


def test_another_key_of_the_ring_is_told(registry: TlsRegistry) -> None:
    registry.secret(WEB, ANN)
    registry.told.clear()
    registry.source.take_secrets([b"n" * 48, b"k" * 48])
    assert registry.told == [frozenset({ResourceKey(SECRET, WEB), ResourceKey(SECRET, MESH_CA)})]


# -- calls out ---------------------------------------------------------------------------------------------------------


def hosts(assignment: Any) -> dict[str, bool]:
    """Each address, and whether it takes no TLS."""
    return {
        f"{one.endpoint.address.socket_address.address}:{one.endpoint.address.socket_address.port_value}": any(
            dict(found) for found in one.metadata.filter_metadata.values()
        )
        for group in assignment.endpoints
        for one in group.lb_endpoints
    }


def upstream(cluster: Any) -> Any:
    return UpstreamTlsContext.FromString(cluster.transport_socket.typed_config.value)


def test_an_envoy_calls_the_tls_port_and_expects_the_service(registry: TlsRegistry) -> None:
    registry.elsewhere(tls("api", "10.0.0.2"), instance("api", "10.0.0.3"))
    cluster = registry.ask(CLUSTER, "api", of("web"))
    common = upstream(cluster).common_tls_context
    [own] = common.tls_certificate_sds_secret_configs
    [wanted] = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert (own.name, wanted.matcher.exact) == (WEB, "spiffe://default/svc/api")
    assert common.combined_validation_context.validation_context_sds_secret_config.name == MESH_CA
    [plain] = cluster.transport_socket_matches
    assert dict(plain.match) == {"gossipreg-plain": True}
    assert plain.transport_socket.name == "envoy.transport_sockets.raw_buffer"
    assert hosts(registry.ask(ENDPOINTS, "api", of("web"))) == {"10.0.0.2:20000": False, "10.0.0.3:80": True}


@pytest.mark.parametrize("name", ["v1.api", "api:80", "api.service.consul", "API"])
def test_every_name_of_a_service_expects_its_id(registry: TlsRegistry, name: str) -> None:
    registry.elsewhere(tls("api", "10.0.0.2"))
    common = upstream(registry.ask(CLUSTER, name, of("web"))).common_tls_context
    [wanted] = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert wanted.matcher.exact == "spiffe://default/svc/api"


def test_other_clients_call_the_port_of_the_service(registry: TlsRegistry) -> None:
    for audience in (Audience(ENVOY, ""), Audience(PY, ""), Audience(ENVOY, "", "", ANN)):
        assert hosts(registry.ask(ENDPOINTS, "web", audience)) == {"10.0.0.1:80": False}
        assert not registry.ask(CLUSTER, "web", audience).HasField("transport_socket")


def test_required_tls_leaves_out_whoever_has_none() -> None:
    registry = TlsRegistry('[service.api]\ntls = "require"\n')
    registry.register(tls())
    registry.elsewhere(tls("api", "10.0.0.2"), instance("api", "10.0.0.3"))
    assert hosts(registry.ask(ENDPOINTS, "api", of("web"))) == {"10.0.0.2:20000": False}
    assert not registry.ask(CLUSTER, "api", of("web")).transport_socket_matches
    for kind in ClientKind:
        assert hosts(registry.ask(ENDPOINTS, "api", Audience(kind, ""))) == {}
    assert [note for note in registry.notes if "clients without mutual TLS get no endpoints by [service.api]" in note]
    assert len(registry.notes) == 1


def test_a_service_that_appears_is_called_with_its_own_id(registry: TlsRegistry) -> None:
    """While there is none, its cluster expects an id all the same, and not clear text."""
    before = registry.ask(CLUSTER, "api", of("web"))
    registry.elsewhere(tls("api", "10.0.0.2"))
    assert registry.ask(CLUSTER, "api", of("web")) == before


@pytest.mark.parametrize("port", ["0", "65536", "x", "", "²", "-1"])
def test_an_instance_with_a_bad_port_is_called_by_no_envoy_of_the_mesh(registry: TlsRegistry, port: str) -> None:
    registry.elsewhere(tls("api", "10.0.0.2", tls_port=port))
    assert hosts(registry.ask(ENDPOINTS, "api", of("web"))) == {}
    assert [f"xds-tls-port = {port!r} is no port" in note for note in registry.notes] == [True]


def test_a_service_that_can_have_no_id_takes_no_tls(registry: TlsRegistry) -> None:
    registry.elsewhere(tls("büro", "10.0.0.2"), instance("büro", "10.0.0.3"))
    assert hosts(registry.ask(ENDPOINTS, "büro", of("web"))) == {"10.0.0.3:80": True}
    assert not registry.ask(CLUSTER, "büro", of("web")).HasField("transport_socket")
    assert ["cannot stand in a SPIFFE id" in note for note in registry.notes] == [True]


def test_the_cluster_of_the_callers_is_as_for_every_envoy(registry: TlsRegistry) -> None:
    key = ResourceKey(ENDPOINTS, LOCAL_CLUSTER)
    mine, plain = (registry.source.resource(key, one) for one in (of("web"), Audience(ENVOY, "")))
    assert mine is not None
    assert plain is not None
    assert mine.version == plain.version


# -- calls in ----------------------------------------------------------------------------------------------------------


def inbound(registry: TlsRegistry, audience: Audience) -> list[str]:
    names = registry.source.wildcard(LISTENER, audience)
    assert names is not None
    found = [name for name in names if name.startswith(INBOUND)]
    clusters = registry.source.wildcard(CLUSTER, audience)
    assert found == [name for name in clusters or () if name.startswith(INBOUND)]
    return found


def test_an_envoy_listens_for_its_instance_and_takes_certificates_alone(registry: TlsRegistry) -> None:
    [name] = inbound(registry, of("web"))
    listener = registry.ask(LISTENER, name, of("web"))
    address, [chain] = listener.address.socket_address, listener.filter_chains
    assert (address.address, address.port_value, listener.enable_reuse_port.value) == ("10.0.0.1", 20000, False)
    context = DownstreamTlsContext.FromString(chain.transport_socket.typed_config.value)
    assert context.require_client_certificate.value
    assert context.disable_stateless_session_resumption
    assert context.disable_stateful_session_resumption
    common = context.common_tls_context
    [wanted] = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert (common.tls_certificate_sds_secret_configs[0].name, wanted.matcher.prefix) == (WEB, "spiffe://default/svc/")
    manager = HttpConnectionManager.FromString(chain.filters[0].typed_config.value)
    assert manager.forward_client_cert_details == HttpConnectionManager.SANITIZE_SET
    assert manager.common_http_protocol_options.max_connection_duration.seconds == 12 * 3600
    cluster = registry.ask(CLUSTER, name, of("web"))
    assert hosts(cluster.load_assignment) == {"10.0.0.1:80": False}


def test_an_application_on_loopback_is_reached_there() -> None:
    registry = TlsRegistry()
    registry.register(tls(xds_tls_app="8080", xds_tls_listen="10007"))
    [name] = inbound(registry, of("web"))
    assert hosts(registry.ask(CLUSTER, name, of("web")).load_assignment) == {"127.0.0.1:8080": False}
    own = registry.ask(LISTENER, "gossipreg", of("web"))
    assert (own.address.socket_address.address, own.address.socket_address.port_value) == ("127.0.0.1", 10007)
    assert not own.enable_reuse_port.value  # two Envoys at one port would take each other's calls
    assert own.HasField("enable_reuse_port")
    other = registry.ask(LISTENER, "gossipreg", Audience(ENVOY, ""))
    assert (other.address.socket_address.port_value, other.HasField("enable_reuse_port")) == (10_000, False)


def test_an_envoy_stands_before_the_instances_of_its_user_alone(registry: TlsRegistry) -> None:
    registry.register(tls(address="10.0.0.9"), BOB.uid)
    registry.elsewhere(tls(address="10.0.0.8"))
    registry.register(tls("shop", "10.0.0.7"))
    assert inbound(registry, of("web", ANN)) == [f"{INBOUND}10.0.0.1 20000"]
    assert inbound(registry, of("web", BOB)) == [f"{INBOUND}10.0.0.9 20000"]
    assert inbound(registry, of("web", OWNER)) == [f"{INBOUND}10.0.0.1 20000", f"{INBOUND}10.0.0.9 20000"]


def test_an_inbound_listener_that_was_sent_stays_while_it_is_subscribed_to(registry: TlsRegistry) -> None:
    [name] = inbound(registry, of("web"))
    key = ResourceKey(LISTENER, name)
    before = registry.source.resource(key, of("web"))
    registry.register(tls(address="10.0.0.5"))
    assert registry.deregister(tls()) >= {key}
    assert registry.source.resource(key, of("web")) is before
    assert inbound(registry, of("web")) == [f"{INBOUND}10.0.0.5 20000"]
    registry.source.forget(key)
    assert registry.source.resource(key, of("web")) is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (tls(tls_port="80"), "is the port of the service itself"),
        (tls(address="web.example"), "is not an IP address"),
        (tls(port=0), "it has no port"),
        (tls(tls_port="nine"), "is no port"),
        (tls(xds_tls_app="0"), "is no port"),
        (tls(xds_tls_listen="0"), "is no port"),
    ],
)
def test_an_instance_that_cannot_take_tls_is_said(one: CatalogInstance, why: str) -> None:
    registry = TlsRegistry()
    registry.register(one)
    assert inbound(registry, of("web")) == []
    assert [why in note for note in registry.notes] == [True]


def test_policy_and_knowledge_concern_what_the_mesh_made_too(registry: TlsRegistry) -> None:
    registry.ask(LISTENER, "gossipreg", of("web"))
    registry.told.clear()
    registry.source.take_policy(policy_of("[listen]\nport = 10001\n"))
    assert ResourceKey(LISTENER, "gossipreg") in {key for keys in registry.told for key in keys}
    assert registry.ask(LISTENER, "gossipreg", of("web")).address.socket_address.port_value == 10_001


def test_nothing_is_kept_of_what_nobody_is_subscribed_to(registry: TlsRegistry) -> None:
    keys = [ResourceKey(type, name) for type in (CLUSTER, LISTENER) for name in ("web", *inbound(registry, of("web")))]
    keys += [ResourceKey(LISTENER, "gossipreg"), ResourceKey(SECRET, WEB)]
    for key in keys:
        registry.source.resource(key, of("web") if key.type is not SECRET else Audience(ENVOY, "", "", ANN))
    for key in keys:
        registry.source.forget(key)
    assert registry.mesh.keys() == set()
    assert not registry.mesh._gone
    assert not registry.mesh.secrets._made
    assert not registry.source._asked
