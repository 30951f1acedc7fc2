"""Translate a registration document into the parameters of `register`. A Eureka lease is a ttl check: heartbeats renew
it. An instance whose lease ends leaves the answers at once, and is deregistered after the same time again.

Owns which fields of a document are kept and how (see `instances`), and the sentence for each that cannot be used. A
number may be written as text, since XML has nothing else.
"""

import json
from dataclasses import dataclass
from typing import Any

from gossipreg.gateway.http.eureka.instances import (
    COUNTRY,
    DATA_CENTER,
    DURATION_S,
    HOST,
    ID,
    KEPT,
    LEASE,
    PLAIN_PORT,
    PREFIX,
    RENEWAL_S,
    SECURE_PORT,
    STATUSES,
    Document,
    is_address,
)
from gossipreg.model import Health
from gossipreg.net.http_message import bad_request

EXPIRY_MIN_S = 60
"""An instance whose lease ended is deregistered no sooner than this: a client that was stopped for a moment is back in
the answers with its next heartbeat."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A registration, as its document asks for it."""

    app: str
    """The service's name: the application's, in lower case."""
    id: str
    """The id that its client uses."""
    params: dict[str, Any]
    """The parameters of `register`; the id among them is `id`."""
    status: str
    override: str
    """The overridden status, or nothing."""


def lease_untrusted(app: str, given: Document) -> Lease:
    """Raises HttpError, 400. `register` itself refuses values out of range."""
    if (named := _text(given, "app")) and named.lower() != app.lower():
        raise bad_request(f"the instance's app is {named[:80]!r}, and the path says {app[:80]!r}: give the same")
    host, ip = _text(given, "hostName"), _text(given, "ipAddr")
    address = ip if is_address(ip) else host
    if not address:
        raise bad_request("hostName and ipAddr are missing: give the address that others connect to")
    id = _text(given, "instanceId") or _data_center_id(given) or host or ip
    status = _status(given, "status") or "UP"
    override = _status(given, "overriddenStatus") or _status(given, "overriddenstatus")
    port, meta = _ports(given)
    meta |= _kept(given) | _metadata(given)
    if host and host != address:
        meta[HOST] = host
    if (vip := meta.get(KEPT["vipAddress"])) is not None and vip == app.lower():
        del meta[KEPT["vipAddress"]]
    duration_s = _lease_seconds(given, meta)
    params = {"name": app.lower(), "id": id, "address": address, "port": port, "meta": meta,
              "checks": [check_text(duration_s)]}  # fmt: skip
    return Lease(app.lower(), id, params, status, "" if override == "UNKNOWN" else override)


def check_text(duration_s: int) -> str:
    """The lease as `register` takes checks."""
    return f"ttl:{duration_s}s,deregister_after={max(duration_s, EXPIRY_MIN_S)}s,check_name=Eureka lease"


def health_of(status: str) -> Health:
    """Only UP passes. An operator's override becomes maintenance and never the health of a check."""
    return Health.PASSING if status == "UP" else Health.CRITICAL


def with_id(params: dict[str, Any], id: str) -> dict[str, Any]:
    """The same registration under another service id; its client continues to use its own id."""
    return {**params, "id": id, "meta": {**params["meta"], ID: params["id"]}}


def status_untrusted(text: str | None) -> str:
    """The status of a heartbeat or an override; empty if none is given. Raises HttpError, 400."""
    return _status({"status": text}, "status")


def _status(given: Document, field: str) -> str:
    status = _text(given, field).upper()
    if status and status not in STATUSES:
        raise bad_request(f"{field} is {status[:40]!r}: give one of {', '.join(STATUSES)}")
    return status


def _ports(given: Document) -> tuple[int, dict[str, str]]:
    """The port that others connect to: the plain one, or the secure one if only that is enabled."""
    plain, plain_enabled = _port(given, "port", default_enabled=True)
    secure, secure_enabled = _port(given, "securePort", default_enabled=False)
    meta = {SECURE_PORT: str(secure)} if secure_enabled and secure else {}
    if plain and plain_enabled:
        return plain, meta
    if SECURE_PORT in meta:
        return secure, {**meta, PLAIN_PORT: "off"}
    return plain, meta


def _port(given: Document, field: str, *, default_enabled: bool) -> tuple[int, bool]:
    value = given.get(field)
    enabled: Any = default_enabled
    if isinstance(value, dict):
        enabled = value.get("@enabled", enabled)
        value = value.get("$")
    return _whole(field, value, 0, most=65_535), str(enabled).lower() == "true"


def _kept(given: Document) -> dict[str, str]:
    meta = {key: text for field, key in KEPT.items() if (text := _text(given, field))}
    if (country := _whole("countryId", given.get("countryId"), 1)) != 1:
        meta[COUNTRY] = str(country)
    center = given.get("dataCenterInfo")
    if isinstance(center, dict) and center.get("name") not in (None, "MyOwn"):
        kept = {key: value for key, value in center.items() if not key.startswith("@")}
        meta[DATA_CENTER] = json.dumps(kept, separators=(",", ":"), sort_keys=True)
    return meta


def _data_center_id(given: Document) -> str:
    """In Amazon's clouds an instance without an instanceId goes by its machine's."""
    center = given.get("dataCenterInfo")
    metadata = center.get("metadata") if isinstance(center, dict) else None
    return _text(metadata, "instance-id") if isinstance(metadata, dict) else ""


def _metadata(given: Document) -> dict[str, str]:
    found = given.get("metadata") or {}
    if not isinstance(found, dict):
        raise bad_request("metadata is not a map: give keys with texts")
    meta = {key: _plain(f"metadata {key[:40]!r}", value) for key, value in found.items() if not key.startswith("@")}
    for key in meta:
        if key.startswith(PREFIX):
            raise bad_request(f"metadata has the key {key[:80]!r}: keys that begin with {PREFIX} are kept for fields")
    return meta


def _lease_seconds(given: Document, meta: dict[str, str]) -> int:
    lease = given.get("leaseInfo") or {}
    if not isinstance(lease, dict):
        raise bad_request("leaseInfo is not a map: give renewalIntervalInSecs and durationInSecs")
    renewal_s = _whole("renewalIntervalInSecs", lease.get("renewalIntervalInSecs"), RENEWAL_S)
    duration_s = _whole("durationInSecs", lease.get("durationInSecs"), DURATION_S)
    if duration_s == 0:
        raise bad_request("durationInSecs is 0: give the seconds for which a heartbeat counts, as 90")
    if (renewal_s, duration_s) != (RENEWAL_S, DURATION_S):
        meta[LEASE] = f"{renewal_s}/{duration_s}"
    return duration_s


def _whole(field: str, value: Any, default: int, *, most: int = 86_400) -> int:
    if value is None or value == "":
        return default
    text = str(value) if type(value) in (int, str) else ""
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= most):
        raise bad_request(f"{field} is {str(value)[:40]!r}: give a whole number from 0 to {most}")
    return int(text)


def _text(given: Document, field: str) -> str:
    value = given.get(field)
    return "" if value is None else _plain(field, value).strip()


def _plain(field: str, value: Any) -> str:
    """A number or a truth value as JSON writes it, text as it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise bad_request(f"{field} is {str(value)[:40]!r}: give text")
    text = str(value)
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise bad_request(f"{field} is not UTF-8: give text")
    return text
