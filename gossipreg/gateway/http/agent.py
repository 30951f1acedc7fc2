"""The reads of what is registered with this sidecar, and of how it sees the cluster: /v1/agent and /v1/status."""

from collections import Counter
from dataclasses import replace

from gossipreg.blake2 import blake2b
from gossipreg.core.table.row import Standing
from gossipreg.gateway.http.ask import one, pretty
from gossipreg.gateway.http.options import Options
from gossipreg.gateway.http.shapes import (
    NODE_MAINTENANCE,
    ConsulNode,
    Shape,
    agent_service,
    known_node,
    member_shape,
    node_checks,
    own_checks,
)
from gossipreg.model import CatalogInstance, Health
from gossipreg.net.http_message import PLAIN, HttpError, Request, Response, json_bytes, json_response, shown
from gossipreg.sidecar_api import SidecarApi

_HEALTH_STATUSES = {Health.PASSING: 200, Health.WARNING: 429}


class AgentReads:
    def __init__(self, sidecar: SidecarApi) -> None:
        self._sidecar = sidecar
        self._view = sidecar.view

    def check_here(self) -> None:
        """Raise HttpError if this sidecar is not among the members any more."""
        if self._view.standing(self._view.id) in (None, Standing.LEFT):
            raise _leaving()

    def own_node(self) -> ConsulNode:
        node = known_node(self._view, self._view.id)
        if node is None:
            raise _leaving()
        return node

    def instances(self) -> tuple[CatalogInstance, ...]:
        return self._view.catalog.of_node(self._view.id)

    def services(self, options: Options) -> Shape:
        found = (agent_service(one, self._sidecar.cluster) for one in self.instances())
        return {one["ID"]: one for one in options.filtered(found)}

    def service(self, _options: Options, id: str) -> Shape:
        instance = self.instance(id)
        shape = agent_service(instance, self._sidecar.cluster)
        return {**shape, "ContentHash": blake2b(json_bytes(shape), digest_size=8).hexdigest()}

    def instance(self, id: str) -> CatalogInstance:
        found = next((one for one in self.instances() if one.service.id == id), None)
        if found is None:
            raise HttpError(404, "not_found", f"unknown service ID {shown(id)}: it is not registered with this agent")
        return found

    def checks_of(self, instance: CatalogInstance) -> list[Shape]:
        registrations, id = self._sidecar.registrations, instance.service.id
        return own_checks(self.own_node(), instance, registrations.report(id), registrations.maintenance(id))

    def node_checks(self) -> list[Shape]:
        """Those that belong to this sidecar and to no service."""
        return node_checks(self.own_node(), self._sidecar.registrations.report(""))

    def checks(self, options: Options) -> Shape:
        found = {check["CheckID"]: check for one in self.instances() for check in self.checks_of(one)}
        found |= {check["CheckID"]: check for check in self.node_checks()}
        reason = self._sidecar.registrations.maintenance(None)
        if reason is not None:
            found[NODE_MAINTENANCE] = {
                "Node": self.own_node().name, "CheckID": NODE_MAINTENANCE, "Name": "Node Maintenance Mode",
                "Status": "critical", "Notes": reason, "Output": "", "ServiceID": "", "ServiceName": "",
                "ServiceTags": [], "Type": "maintenance", "CreateIndex": 0, "ModifyIndex": 0,
            }  # fmt: skip
        return {one["CheckID"]: one for one in options.filtered(found.values())}

    def health_of_id(self, request: Request, id: str) -> Response:
        found = [one for one in self.instances() if one.service.id == id]
        return self._health(request, found, f"no service of the id {shown(id)}", as_list=False)

    def health_of_name(self, request: Request, name: str) -> Response:
        found = [one for one in self.instances() if one.service.name == name]
        return self._health(request, found, f"no service of the name {shown(name)}", as_list=True)

    def _health(self, request: Request, found: list[CatalogInstance], nothing: str, *, as_list: bool) -> Response:
        """200, 429 or 503: a load balancer reads the status alone."""
        if not found:
            raise HttpError(404, "not_found", f"{nothing} is registered here")
        status = _HEALTH_STATUSES.get(max(instance.health for instance in found), 503)
        shapes = [self._health_shape(instance) for instance in found]
        if one(request, "format") == "text":
            return Response(status, shapes[0]["AggregatedStatus"].encode(), PLAIN)
        return json_response(shapes if as_list else shapes[0], status=status, pretty=pretty(request))

    def _health_shape(self, instance: CatalogInstance) -> Shape:
        return {
            "AggregatedStatus": instance.health.name.lower(),
            "Service": agent_service(instance, self._sidecar.cluster),
            "Checks": [*self.checks_of(instance), *self.node_checks()],
        }

    def members(self, options: Options) -> list[Shape]:
        """One of each name: clients take it for a key."""
        sidecar, names = self._sidecar, self._view.names
        found = (
            member_shape(replace(member, name=shown), sidecar.cluster, sidecar.version)
            for member in self._view.members(sidecar.now())
            if (shown := names.shown(member.id)) is not None
        )
        return options.filtered(found)

    def self(self, _options: Options) -> Shape:
        sidecar, node = self._sidecar, self.own_node()
        own = self._view.member(self._view.id, sidecar.now())
        assert own is not None, "a member knows itself"
        states = Counter(member.state for member in self._view.members(sidecar.now()))
        return {
            "Config": {
                "Datacenter": sidecar.cluster, "PrimaryDatacenter": sidecar.cluster, "NodeName": node.name,
                "NodeID": node.uuid, "Server": False, "Revision": "", "Version": sidecar.version,
                "BuildDate": "1970-01-01T00:00:00Z",
            },
            "Coord": None,
            "Member": member_shape(own, sidecar.cluster, sidecar.version),
            "Meta": node.meta,
            "Stats": {
                "agent": {"services": str(len(self.instances()))},
                "runtime": {"version": f"gossipreg {sidecar.version}"},
                "serf_lan": {  # in Serf's words a member that left is one of `members`
                    "members": str(states.total()), "failed": str(states["dead"]), "left": str(states["left"]),
                },
            },
            "DebugConfig": {},
            "xDS": {},
        }  # fmt: skip

    def datacenters(self, _options: Options) -> list[str]:
        return [self._sidecar.cluster]

    def leader(self, _options: Options) -> str:
        """This sidecar's own address, since there is no leader. Clients ask for the leader to see that the cluster
        works, and wait while the answer is empty; so it is empty until the cluster's table is known."""
        if self._view.knowledge.refuses:
            return ""
        return str(next(iter(self._view.addresses), "127.0.0.1:7940"))

    def peers(self, _options: Options) -> list[str]:
        view = self._view
        members = (one for one in view.members(self._sidecar.now()) if view.standing(one.id) is Standing.LIVES)
        return [str(one.address) for one in members if one.address is not None]


def _leaving() -> HttpError:
    return HttpError(503, "leaving", "this sidecar is leaving")
