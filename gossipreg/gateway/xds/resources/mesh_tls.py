"""Mutual TLS between Envoys: which Envoy may be which service, and what it gets beside what every Envoy gets.

An Envoy says in its node of which service it is. It may be that one if it came over a unix socket and an instance of
the service is registered at this sidecar by its uid; root and the sidecar's own user may be any service that is
registered here. Until it may, it gets nothing at all, so that it calls nobody in clear text meanwhile. Who has a
certificate may call every service of the cluster: there is no authorisation.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from gossipreg.callers import NO_UID, Caller
from gossipreg.gateway.xds.model import INBOUND, MESH_CA, Audience, Resource, ResourceKey, ResourceType
from gossipreg.gateway.xds.resources.endpoints import EndpointPort
from gossipreg.gateway.xds.resources.mesh_ids import fault_of_service, id_prefix, spiffe_id
from gossipreg.gateway.xds.resources.mesh_inbound import LISTEN_PORT, Inbound, inbound_of, meta_port
from gossipreg.gateway.xds.resources.mesh_resources import add_upstream_tls, inbound_cluster, inbound_listener
from gossipreg.gateway.xds.resources.mesh_secrets import MeshSecrets
from gossipreg.gateway.xds.resources.proto_values import resource_from
from gossipreg.model import CatalogInstance, RegisteredService, fold_name
from gossipreg.sidecar_api import Registrations

SAID_MAX = 1024
"""Lines of the log that are not written again. If there are more, they may be."""
_ONLY_UNIX = "certificates are handed out on `--xds unix:PATH` alone: give the Envoy a bootstrap with that address"

Registered = tuple[RegisteredService, int | None]


class MeshTls:
    def __init__(
        self, cluster: str, registrations: Registrations, secrets: MeshSecrets, note: Callable[[str], None]
    ) -> None:
        self.secrets = secrets
        self._cluster = cluster
        self._prefix = id_prefix(cluster)
        self._registrations = registrations
        self._note = note
        self._said: dict[str, None] = {}
        self._local: dict[str, list[Registered]] = {}
        """The services that are registered here, by folded name."""
        self._gone: dict[tuple[str, str], Inbound] = {}
        """By service and name, what was listened on and is gone. Envoy goes on listening there for as long as its
        stream lasts: of what it was once sent nothing is left out."""
        self._made: dict[tuple[str, ResourceKey], Resource] = {}
        """What was made for the Envoys of a service."""
        self.look()

    # -- who may be whom ---------------------------------------------------------------------------------------------

    def why_not(self, service: str, caller: Caller | None) -> str:
        """Why this caller may not be this service; empty if it may."""
        if caller is None:
            return _ONLY_UNIX
        if fault := fault_of_service(service):
            return fault
        here = self._local.get(service, [])
        if not here:
            return f"no instance of {service} is registered at this sidecar: register it here"
        if not any(_may(caller, owner) for _, owner in here):
            return f"{service} is registered here, but not by {caller}: run its Envoy as the user who registers it"
        return ""

    def why_no_secret(self, name: str, caller: Caller | None) -> str:
        """Why this caller does not get this secret; empty if it does."""
        if caller is None:
            return _ONLY_UNIX
        if name == MESH_CA:
            return ""
        if not name.startswith(self._prefix):
            return f"there is no secret {name!r:.120}: ask for {MESH_CA} or {self._prefix}NAME"
        service = name.removeprefix(self._prefix)
        return self.why_not(service, caller) if service == fold_name(service) else "write the name in lower case"

    def withheld(self, what: str, why: str) -> None:
        """Say in the log that a client does not get what it asks for."""
        self.say(f"xds: {what} is withheld: {why}")

    def say(self, line: str) -> None:
        """Write a line of the log, once."""
        if line not in self._said:
            if len(self._said) >= SAID_MAX:
                self._said.clear()
            self._said[line] = None
            self._note(line)

    # -- what it gets ------------------------------------------------------------------------------------------------

    def secret(self, name: str, caller: Caller | None) -> Resource | None:
        """None: it is withheld, for which the log has the reason."""
        if why := self.why_no_secret(name, caller):
            self.withheld(f"the secret {name!r:.120}", why)
            return None
        if name == MESH_CA:
            return self.secrets.trusted()
        return self.secrets.certificate(name.removeprefix(self._prefix))

    def inbound_names(self, audience: Audience) -> tuple[str, ...]:
        """Of the listeners at which an Envoy takes calls for its instances, and of the clusters behind them."""
        return tuple(sorted(self._inbound(audience)))

    def inbound(self, key: ResourceKey, audience: Audience) -> Resource | None:
        """One of these; None: there is none with this name."""
        service = audience.service
        one = self._inbound(audience).get(key.name)
        if one is not None:
            self._gone[service, key.name] = one
        else:
            one = self._gone.get((service, key.name))
        if one is None:
            return None
        if key.type is ResourceType.CLUSTER:
            return self.keep(service, key, inbound_cluster(one))
        id = spiffe_id(self._cluster, service)
        return self.keep(service, key, inbound_listener(one, id, self._prefix, self.secrets.life))

    def listen_port(self, audience: Audience) -> int | None:
        """Where an Envoy takes the calls of its own service; None: where the policy says."""
        for service, _ in self._of(audience):
            with suppress(ValueError):  # it is said where the inbound side is made
                if (port := meta_port(service, LISTEN_PORT)) is not None:
                    return port
        return None

    def add_tls(self, cluster: object, own: str, target: str, *, plain_too: bool) -> None:
        """Let a Cluster call the service `target` for the service `own`. A target that can have no id takes no TLS."""
        if not fault_of_service(target):
            add_upstream_tls(
                cluster, spiffe_id(self._cluster, own), spiffe_id(self._cluster, target), plain_too=plain_too
            )

    def port_of(self, instance: CatalogInstance) -> EndpointPort | None:
        """Where an Envoy of the mesh calls an instance; None: nowhere, for which the log has the reason."""
        service = instance.service
        try:
            found = inbound_of(service)
            if found is not None and (fault := fault_of_service(service.name)):
                raise ValueError(fault)
        except ValueError as error:
            self.say(f"xds: {service.name} on {instance.node_name} gets no calls from Envoys with mutual TLS: {error}")
            return None
        return EndpointPort(service.port, plain=True) if found is None else EndpointPort(found.port, plain=False)

    def keep(self, service: str, key: ResourceKey, value: bytes) -> Resource:
        """The resource with these bytes: the former one if they are the same."""
        made, before = resource_from(key.type, key.name, value), self._made.get((service, key))
        if before is not None and before.version == made.version:
            return before
        self._made[service, key] = made
        return made

    # -- what happens ------------------------------------------------------------------------------------------------

    def look(self) -> list[str]:
        """Look at what is registered here. Returns the services of which something is otherwise than before."""
        found: dict[str, list[Registered]] = {}
        for service, owner in sorted(self._registrations.owned(), key=lambda one: one[0].id):
            found.setdefault(fold_name(service.name), []).append((service, owner))
        before, self._local = self._local, found
        changed = [name for name in {**before, **found} if before.get(name) != found.get(name)]
        for name in changed:
            if name not in found:
                self.secrets.forget(name)
        return changed

    def has(self, service: str) -> bool:
        """Whether an instance of it is registered here."""
        return service in self._local

    def secret_key(self, service: str) -> ResourceKey:
        return ResourceKey(ResourceType.SECRET, self._prefix + service)

    def keys(self) -> set[ResourceKey]:
        """Of all that was made here but secrets."""
        return {key for _, key in self._made}

    def forget(self, key: ResourceKey) -> None:
        """No stream is subscribed to this name any more."""
        for kept in [kept for kept in self._made if kept[1] == key]:
            del self._made[kept]
        if key.name.startswith(INBOUND):
            for gone in [gone for gone in self._gone if gone[1] == key.name]:
                del self._gone[gone]
        if key.type is ResourceType.SECRET:
            self.secrets.forget(key.name.removeprefix(self._prefix))

    def _of(self, audience: Audience) -> Iterator[Registered]:
        """The instances that this Envoy stands before."""
        caller = audience.caller
        for one in self._local.get(audience.service, ()):
            if caller is not None and _may(caller, one[1]):
                yield one

    def _inbound(self, audience: Audience) -> dict[str, Inbound]:
        """By name. Of several instances at one address the first, by id, is the one that is called."""
        found: dict[str, Inbound] = {}
        for service, _ in self._of(audience):
            try:
                one = inbound_of(service)
                meta_port(service, LISTEN_PORT)
            except ValueError as error:
                self.say(f"xds: {service.name} ({service.id}) takes no mutual TLS: {error}")
                continue
            if one is not None and found.setdefault(one.name, one) is not one:
                self.say(f"xds: {service.name} ({service.id}) takes no mutual TLS: another instance has its address")
        return found


def _may(caller: Caller, owner: int | None) -> bool:
    """Whether this caller may be a service with this owner. None, and NO_UID, are no user's."""
    return caller.uid != NO_UID and (caller.trusted or caller.uid == owner)
