"""Consul's words for a service and its checks, in those of `register`.

Owns what of them can be said here, and the sentence for what cannot: nothing that would change what happens is ignored.
Keys are taken in any case and with or without underscores, as Consul's agents take them (`ServiceID`, `service_id`).
What is empty, false or null says nothing, whatever its key.
"""

import json
from typing import Any

from gossipreg.gateway.http.message import bad_request

DEPTH_MAX = 16

Given = dict[str, Any]

_SERVICE = frozenset(
    ("id", "name", "tags", "address", "port", "meta", "check", "checks", "weights", "kind", "taggedaddresses",
     "enabletagoverride", "token", "namespace", "partition", "replaceexistingchecks")
)  # fmt: skip
_CANNOT = {
    "connect": "there is no service mesh here", "proxy": "there is no service mesh here",
    "socketpath": "an instance is an address and a port", "locality": "the zone is the sidecar's: join --zone",
    "script": "give Args, a list", "shell": "give Args, a list, with the shell in it",
    "dockercontainerid": "give Args, TCP, HTTP or TTL", "grpc": "give TCP, HTTP or TTL",
    "h2ping": "give TCP, HTTP or TTL", "udp": "give TCP, HTTP or TTL", "osservice": "give Args, TCP, HTTP or TTL",
    "aliasnode": "lookups leave out dead nodes already", "aliasservice": "give the check of that service",
    "header": "a check sends none of its own", "body": "a check sends none", "tcpusetls": "give HTTP with https://",
    "ports": "register each port as a service",
}  # fmt: skip
"""What is not to be had, and what to do."""


def body_untrusted(body: bytes) -> Given:
    """A JSON object, its keys in lower case without underscores. Raises HttpError, 400."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON") from None
    if type(value) is not dict:
        raise bad_request("the body is no JSON object")
    return keys(value)


def keys(value: dict[str, Any]) -> Given:
    given: Given = {}
    for key, item in value.items():
        plain = key.replace("_", "").replace("-", "").lower()
        if plain in given:
            raise bad_request(f"{key[:80]} is given twice")
        given[plain] = item
    return given


def service_untrusted(given: Given) -> tuple[dict[str, Any], list[Given]]:
    """The parameters of `register` but for its checks, and the definitions of these. Raises HttpError, 400."""
    refuse(given, _SERVICE, "a service")
    name = text_of(given, "name")
    if not name:
        raise bad_request("Missing service name")
    refuse_value(given, "kind", ("", "typical"), "there is no service mesh here")
    refuse_value(given, "enabletagoverride", (False,), "tags are those of who registered")
    refuse_value(given, "namespace", ("", "default"), "there is one namespace")
    refuse_value(given, "partition", ("", "default"), "there is one partition")
    params: dict[str, Any] = {"name": name, "id": text_of(given, "id") or name, "port": given.get("port") or 0}
    if address := text_of(given, "address"):
        params["address"] = address
    _refuse_tagged(given, address, params["port"])
    if tags := given.get("tags"):
        params["tags"] = tags
    if meta := given.get("meta"):
        params["meta"] = meta
    if (weight := _weight(given)) is not None:
        params["weight"] = weight
    if params["port"] == 0:
        raise bad_request("Port is missing: an instance is an address and a port, 1 to 65535")
    return params, _definitions(given)


def _definitions(given: Given) -> list[Given]:
    found = given.get("checks") or []
    if type(found) is not list:
        raise bad_request("Checks is no list")
    alone = given.get("check")
    wanted = ([alone] if alone else []) + [one for one in found if one]
    for one in wanted:
        if type(one) is not dict:
            raise bad_request("a check is no JSON object")
    return [keys(one) for one in wanted]


def _weight(given: Given) -> int | None:
    weights = given.get("weights")
    if not weights:
        return None
    if type(weights) is not dict:
        raise bad_request('Weights is no JSON object: give {"Passing": 10, "Warning": 1}')
    plain = keys(weights)
    if plain.get("warning", 1) not in (1, 0, None):
        raise bad_request("Weights.Warning is always 1 here: leave it out")
    weight: int | None = plain.get("passing")
    return weight


def _refuse_tagged(given: Given, address: str, port: Any) -> None:
    tagged = given.get("taggedaddresses")
    if not tagged:
        return
    if type(tagged) is not dict:
        raise bad_request("TaggedAddresses is no JSON object")
    for name, one in tagged.items():
        plain = keys(one) if type(one) is dict else {}
        if (plain.get("address"), plain.get("port")) != (address, port):
            raise bad_request(f"TaggedAddresses: {name[:40]} is another address; an instance has one here")


# -- single values ---------------------------------------------------------------------------------------------------


def text_of(given: Given, key: str) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise bad_request(f"{key} is {value!r:.80}: give text")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise bad_request(f"{key} is {value!r:.80}: give UTF-8 text")
    return value


def refuse(given: Given, known: frozenset[str], what: str) -> None:
    for key, value in given.items():
        if key in known or not _says_something(value):
            continue
        if key in _CANNOT:
            raise bad_request(f"{key} cannot be said here: {_CANNOT[key]}")
        raise bad_request(f"{key[:80]!r} is nothing that {what} has")


def _says_something(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth > DEPTH_MAX or any(_says_something(one, depth + 1) for one in value.values())
    return bool(value)


def refuse_value(given: Given, key: str, fine: tuple[Any, ...], why: str) -> None:
    value = given.get(key)
    if value is not None and value not in fine:
        raise bad_request(f"{key} is {value!r:.40}: {why}")
