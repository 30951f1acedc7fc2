"""Values of the model in the JSON shapes that users meet: on the local socket, in `--json`, at the gateways.

Field names do not change without a major version. A generation does not fit a JavaScript number, so it is a decimal
string. What is not known is None. Plain dicts and lists, ready for msgpack or json; nothing is shared between calls
that a caller could spoil.
"""

from typing import Any

from gossipreg.model import CatalogInstance, Change, Health, MemberInfo, ServiceSummary, Version

Shape = dict[str, Any]

HEALTH_NAMES = tuple(health.name.lower() for health in Health)


def version_shape(version: Version) -> list[str | int]:
    return [str(version.generation), version.counter]


def instance_shape(instance: CatalogInstance) -> Shape:
    service = instance.service
    return {
        "service": service.name,
        "id": service.id,
        "node": instance.node.hex(),
        "node_name": instance.node_name,
        "address": service.address,
        "port": service.port,
        "tags": list(service.tags),
        "meta": dict(service.meta),
        "weight": service.weight,
        "health": HEALTH_NAMES[instance.health],
        "stale": instance.stale,
        "zone": instance.zone,
        "version": version_shape(instance.version),
        **({"reason": instance.reason} if instance.reason else {}),
    }


def member_shape(member: MemberInfo, partial: bool = False, me: bool = False) -> Shape:
    """A member as the interfaces show it. `partial`: this sidecar is not synced, so there may be more members (the
    field is left out otherwise). `me`: this is the sidecar that answers."""
    shape: Shape = {
        "id": member.id.hex(),
        "name": member.name,
        "address": None if member.address is None else str(member.address),
        "state": member.state,
        "zone": member.zone,
        "labels": dict(member.labels),
        "rtt_ms": member.rtt_ms,
        "services": member.services,
        "version": version_shape(member.version),
        "since_s": member.since_s,
        "reason": member.reason,
        "maintenance": member.maintenance,
        "keys": None if member.keys is None else [id.hex() for id in member.keys],
        "software": member.software or None,
        "me": me,
    }
    return {**shape, "partial": True} if partial else shape


def service_shape(summary: ServiceSummary, partial: bool = False) -> Shape:
    """A service's name with its counts. `partial`: this sidecar is not synced, so there may be more services and
    instances (the field is left out otherwise)."""
    shape: Shape = {
        "name": summary.name,
        "instances": summary.instances,
        "passing": summary.passing,
        "tags": list(summary.tags),
    }
    return {**shape, "partial": True} if partial else shape


def change_shape(change: Change) -> Shape:
    return {"kind": change.kind.name.lower(), "instance": instance_shape(change.instance)}


def current_shape(instances: tuple[CatalogInstance, ...], partial: bool = False) -> Shape:
    """The first change of a watch. `partial`: there may be more instances (the field is left out otherwise)."""
    shape: Shape = {"kind": "current", "instances": [instance_shape(instance) for instance in instances]}
    return {**shape, "partial": True} if partial else shape
