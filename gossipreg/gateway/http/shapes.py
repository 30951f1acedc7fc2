"""Members and instances as Consul has them in JSON. Field names are those of its API documentation.

Fields of things that do not exist here (ACLs, proxies, namespaces) are left out or empty. Datacenter is the cluster's
name. The ID of a node is its member id in the form of a UUID.
"""

from ipaddress import ip_address
from typing import Any
from uuid import UUID

from gossipreg.core.table.row import Standing
from gossipreg.core.view import View
from gossipreg.gateway.http.indexes import created_index, index_of, instance_version, member_version
from gossipreg.model import CatalogInstance, Health, Member, MemberInfo, NodeId, Status, Version

Shape = dict[str, Any]

SERF = "serfHealth"
"""The check that tells whether a member is alive. Consul's agents have it from Serf, and clients look for its name."""
STATUSES = {
    Health.PASSING: "passing", Health.WARNING: "warning", Health.CRITICAL: "critical", Health.MAINTENANCE: "critical",
}  # fmt: skip
NODE_MAINTENANCE = "_node_maintenance"
SERVICE_MAINTENANCE = "_service_maintenance:"
ALIVE_OUTPUT = "Agent alive and reachable"
DEAD_OUTPUT = "Agent not live or unreachable"


class ConsulNode:
    """A member as Consul's clients see it: the fields that all its entries repeat."""

    __slots__ = ("address", "draining", "id", "meta", "name", "output", "status", "uuid", "version")

    def __init__(self, id: NodeId, member: Member, version: Version, *, name: str, alive: bool) -> None:
        """`name` is its name in the words of Consul's clients: see `core/table/names.py`."""
        self.id = id
        self.uuid = str(UUID(bytes=bytes(id)))
        self.name = name
        self.address = member.addresses[0].host if member.addresses else ""
        self.meta = dict(member.labels)
        self.version = version
        """The version of its own entry."""
        self.draining = member.status is Status.DRAINING
        self.status = "passing" if alive else "critical"
        self.output = ALIVE_OUTPUT if alive else DEAD_OUTPUT


def known_node(view: View, id: NodeId) -> ConsulNode | None:
    """None if it is unknown or quarantined, or has left."""
    row = view.row(id)
    if row is None or row.member is None or row.standing in (None, Standing.LEFT):
        return None
    name = view.names.shown(id) or row.member.name
    return ConsulNode(id, row.member, member_version(row), name=name, alive=row.standing is Standing.LIVES)


def tagged(host: str) -> Shape:
    family = "ipv6" if ":" in host else "ipv4"
    return {"lan": host, f"lan_{family}": host, "wan": host, f"wan_{family}": host}


def node_shape(node: ConsulNode, cluster: str) -> Shape:
    return {
        "ID": node.uuid,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": cluster,
        "TaggedAddresses": tagged(node.address),
        "Meta": node.meta,
        **_indexes(node.version),
    }


def _indexes(version: Version) -> Shape:
    return {"CreateIndex": created_index(version), "ModifyIndex": index_of(version)}


def serf_check(node: ConsulNode, index: int) -> Shape:
    """`index`: see `indexes.LivenessIndex`."""
    check = _check(node, SERF, "Serf Health Status", node.status, output=node.output)
    return {**check, "ModifyIndex": index}


def _check(node: ConsulNode, id: str, name: str, status: str, *, output: str = "", notes: str = "", kind: str = "",
           service: CatalogInstance | None = None) -> Shape:  # fmt: skip
    version = node.version if service is None else instance_version(node.version, service)
    return {
        "Node": node.name,
        "CheckID": id,
        "Name": name,
        "Status": status,
        "Notes": notes,
        "Output": output,
        "ServiceID": "" if service is None else service.service.id,
        "ServiceName": "" if service is None else service.service.name,
        "ServiceTags": [] if service is None else list(service.service.tags),
        "Type": kind,
        **_indexes(version),
    }


def service_checks(node: ConsulNode, instance: CatalogInstance) -> list[Shape]:
    """The health of an instance that all sidecars know, as one check. Only its own sidecar knows its single checks."""
    service = instance.service
    if instance.health is not Health.MAINTENANCE:
        name = f"Service '{service.name}' check"
        return [_check(node, f"service:{service.id}", name, STATUSES[instance.health], service=instance)]
    if node.draining:
        return [_check(node, NODE_MAINTENANCE, "Node Maintenance Mode", "critical")]
    id = f"{SERVICE_MAINTENANCE}{service.id}"
    return [_check(node, id, "Service Maintenance Mode", "critical", service=instance)]


def own_checks(
    node: ConsulNode, instance: CatalogInstance, report: list[Shape], maintenance: str | None
) -> list[Shape]:
    """The checks of an instance that is ours, one by one."""
    found = [
        _check(node, said["id"], said["name"] or f"Service '{instance.service.name}' check", said["health"],
               output=said["output"], notes=said["notes"], kind=said["type"], service=instance)
        for said in report
    ]  # fmt: skip
    if maintenance is not None:
        id = f"{SERVICE_MAINTENANCE}{instance.service.id}"
        found.append(_check(node, id, "Service Maintenance Mode", "critical", notes=maintenance, service=instance))
    return found


def node_checks(node: ConsulNode, report: list[Shape]) -> list[Shape]:
    """The checks of this sidecar itself."""
    return [
        _check(node, said["id"], said["name"] or said["id"], said["health"], output=said["output"],
               notes=said["notes"], kind=said["type"])
        for said in report
    ]  # fmt: skip


def health_entry(node: ConsulNode, instance: CatalogInstance, checks: list[Shape], cluster: str) -> Shape:
    """An entry of /v1/health/service."""
    return {
        "Node": node_shape(node, cluster),
        "Service": indexed_service(instance),
        "Checks": checks,
    }


def indexed_service(instance: CatalogInstance) -> Shape:
    """A service as Consul's catalog shows it, with the indexes of its last change and of its owner's start."""
    return {**service_shape(instance), **_indexes(instance.version)}


def service_shape(instance: CatalogInstance) -> Shape:
    service = instance.service
    return {
        "ID": service.id,
        "Service": service.name,
        "Tags": list(service.tags),
        "Address": service.address,
        "TaggedAddresses": _tagged_service(service.address, service.port),
        "Meta": dict(service.meta),
        "Port": service.port,
        "Weights": weights(service.weight),
        "EnableTagOverride": False,
    }


def weights(weight: int) -> Shape:
    return {"Passing": weight, "Warning": 1}


def _tagged_service(host: str, port: int) -> Shape:
    """The tagged addresses that Consul's agents add to a service whose address is a literal. None that a client may
    set: a client may send the answer of GET back to PUT with another address or port."""
    try:
        family = f"ipv{ip_address(host).version}"
    except ValueError:
        return {}
    return {f"{name}_{family}": {"Address": host, "Port": port} for name in ("lan", "wan")}


def catalog_entry(node: ConsulNode, instance: CatalogInstance, cluster: str) -> Shape:
    """An entry of /v1/catalog/service: node and service in one."""
    service = instance.service
    return {
        "ID": node.uuid,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": cluster,
        "TaggedAddresses": tagged(node.address),
        "NodeMeta": node.meta,
        "ServiceKind": "",
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": list(service.tags),
        "ServiceAddress": service.address,
        "ServiceTaggedAddresses": _tagged_service(service.address, service.port),
        "ServiceWeights": weights(service.weight),
        "ServiceMeta": dict(service.meta),
        "ServicePort": service.port,
        "ServiceEnableTagOverride": False,
        **_indexes(instance.version),
    }


def agent_service(instance: CatalogInstance, cluster: str) -> Shape:
    """An entry of /v1/agent/services."""
    return {**service_shape(instance), "Datacenter": cluster}


_SERF_STATES = {"alive": 1, "suspect": 1, "left": 3, "dead": 4}
"""Serf's numbers: 1 alive, 3 left, 4 failed."""


def member_shape(member: MemberInfo, cluster: str, version: str) -> Shape:
    """An entry of /v1/agent/members."""
    return {
        "Name": member.name,
        "Addr": "" if member.address is None else member.address.host,
        "Port": 0 if member.address is None else member.address.port,
        "Tags": {
            **dict(member.labels), "dc": cluster, "id": str(UUID(bytes=bytes(member.id))), "role": "node",
            "build": version, **({"zone": member.zone} if member.zone else {}),
        },
        "Status": _SERF_STATES[member.state],
        "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
    }  # fmt: skip
