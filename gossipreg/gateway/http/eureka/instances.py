"""An instance of the registry as a Eureka document, and the meta keys in which the rest of a document is kept.

Eureka's application is a service's name, in upper case for its clients; the instance id is the service's id; metadata
is meta. A document has more fields than a service: those that do not follow from the service are kept in its meta,
under the keys of KEPT, and are not shown as metadata to Eureka's clients. So every sidecar can answer the whole
document, and Consul's clients see those fields as meta.
"""

import json
from ipaddress import ip_address
from typing import Any

from gossipreg.model import CatalogInstance, Health

Document = dict[str, Any]

PREFIX = "eureka-"
KEPT = {
    "appGroupName": "eureka-app-group",
    "asgName": "eureka-asg",
    "vipAddress": "eureka-vip",
    "secureVipAddress": "eureka-secure-vip",
    "homePageUrl": "eureka-home-page",
    "statusPageUrl": "eureka-status-page",
    "healthCheckUrl": "eureka-health-check",
    "secureHealthCheckUrl": "eureka-secure-health-check",
}
"""Fields that are text: the field -> the key of meta that it is kept under."""
ID, HOST, COUNTRY, DATA_CENTER = "eureka-id", "eureka-host", "eureka-country", "eureka-data-center"
SECURE_PORT, PLAIN_PORT, LEASE = "eureka-secure-port", "eureka-plain-port", "eureka-lease"
"""SECURE_PORT: the enabled secure port. PLAIN_PORT: `off` if the plain port is not enabled; then the service's port
is the secure one. LEASE: `RENEWAL/DURATION` in seconds, if they are not Eureka's defaults."""

RENEWAL_S, DURATION_S = 30, 90
"""Eureka's defaults: a heartbeat every 30 s, and a lease ends 90 s after the last one."""
SECURE_PORT_DEFAULT = 443
DATA_CENTER_CLASS = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"
AMAZON_CLASS = "com.netflix.appinfo.AmazonInfo"
STATUSES = ("UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN")


def application_name(instance: CatalogInstance) -> str:
    return instance.service.name.upper()


def instance_id(instance: CatalogInstance) -> str:
    """The id that its client uses. It is the service's id, unless a service of another name already had that id."""
    return next((value for key, value in instance.service.meta if key == ID), instance.service.id)


def status_of(instance: CatalogInstance, own_status: str = "") -> str:
    """The instance's status for Eureka's clients. `own_status` is the last status that its own client gave, if this
    sidecar knows it."""
    match instance.health:
        case Health.PASSING:
            return "UP"
        case Health.MAINTENANCE:
            return "OUT_OF_SERVICE"
        case _:
            return own_status if own_status in STATUSES and own_status != "UP" else "DOWN"


def document_of(
    instance: CatalogInstance, *, id: str | None = None, own_status: str = "", action: str = ""
) -> Document:
    """The instance as Eureka's clients read it. `id` is another id to show it by; `action` is what happened to it."""
    service, meta = instance.service, dict(instance.service.meta)
    kept = {field: meta[key] for field, key in KEPT.items() if key in meta}
    plain_enabled = meta.get(PLAIN_PORT) != "off" and service.port > 0
    secure_port = meta.get(SECURE_PORT, "")
    renewal_s, duration_s = lease_of(meta)
    shown = {key: value for key, value in meta.items() if not key.startswith(PREFIX)}
    if instance.zone:
        shown.setdefault("zone", instance.zone)  # Spring Cloud's load balancer prefers instances of its own zone by it
    status = status_of(instance, own_status)
    document: Document = {
        "instanceId": instance_id(instance) if id is None else id,
        "hostName": meta.get(HOST, service.address),
        "app": application_name(instance),
        "ipAddr": service.address,
        "status": status,
        "overriddenStatus": "OUT_OF_SERVICE" if instance.health is Health.MAINTENANCE else "UNKNOWN",
        "port": {"$": service.port, "@enabled": str(plain_enabled).lower()},
        "securePort": {
            "$": int(secure_port) if secure_port.isdecimal() else SECURE_PORT_DEFAULT,
            "@enabled": str(bool(secure_port)).lower(),
        },
        "countryId": int(meta[COUNTRY]) if meta.get(COUNTRY, "").isdecimal() else 1,
        "dataCenterInfo": _data_center(meta),
        "leaseInfo": {"renewalIntervalInSecs": renewal_s, "durationInSecs": duration_s},
        "metadata": shown,
        **kept,
        "vipAddress": kept.get("vipAddress", service.name),
        "isCoordinatingDiscoveryServer": "false",
    }
    return {**document, "actionType": action} if action else document


def lease_of(meta: dict[str, str]) -> tuple[int, int]:
    """Seconds between heartbeats, and until a lease ends."""
    renewal, _, duration = meta.get(LEASE, "").partition("/")
    return (
        int(renewal) if renewal.isdecimal() else RENEWAL_S,
        int(duration) if duration.isdecimal() else DURATION_S,
    )


def _data_center(meta: dict[str, str]) -> Document:
    try:
        found = json.loads(meta.get(DATA_CENTER, "null"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {"@class": DATA_CENTER_CLASS, "name": "MyOwn"}
    amazon = found.get("name") == "Amazon"
    return {"@class": AMAZON_CLASS if amazon else DATA_CENTER_CLASS, **found}


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def for_xml(document: Document) -> Document:
    """The same document with the names and attributes that Eureka has in XML alone: `class` is an attribute there as in
    JSON, an enabled port too, and the overridden status is written in lower case."""
    return {("overriddenstatus" if key == "overriddenStatus" else key): value for key, value in document.items()}
