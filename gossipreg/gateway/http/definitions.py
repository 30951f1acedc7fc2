"""Translate Consul's definition of a service and its checks into the parameters of `register`.

Owns which keys are supported, which are accepted without effect (`ignored`), and the message for a key that is refused,
because its writer would wait for its effect in vain. Keys are accepted in any case and with or without underscores, as
Consul's agents accept them (`ServiceID`, `service_id`). A value that is empty, false or null counts as absent, whatever
its key. A service as GET answers it is accepted: its name is under `Service` there.
"""

import json
from typing import Any

from gossipreg.net.http_message import bad_request, shown
from gossipreg.strict_json import RepeatedName, unique_names

DEPTH_MAX = 16

Given = dict[str, Any]

_SERVICE = frozenset(
    ("id", "name", "service", "tags", "address", "port", "meta", "check", "checks", "weights", "kind",
     "taggedaddresses", "enabletagoverride", "token", "namespace", "partition", "replaceexistingchecks", "connect",
     "contenthash", "datacenter", "createindex", "modifyindex", "peername")
)  # fmt: skip
"""Keys that are used, or that our own answers have."""
_CANNOT = {
    "proxy": "there is no service mesh here", "socketpath": "an instance is an address and a port",
    "script": "give Args, a list", "shell": "give Args, a list, with the shell in it",
    "dockercontainerid": "give Args, TCP, HTTP or TTL", "h2ping": "give TCP, HTTP, GRPC or TTL",
    "udp": "give TCP, HTTP, GRPC or TTL", "osservice": "give Args, TCP, HTTP or TTL",
    "tcpusetls": "give HTTP with https://",
    **dict.fromkeys(("grpc", "aliasnode", "aliasservice", "header", "body"), "it belongs inside Check"),
    "ports": "register each port as a service",
}  # fmt: skip
"""Keys that are not supported, with the reason or the way out."""


def body_untrusted(body: bytes) -> Given:
    """A JSON object, its keys in lower case without underscores. Raises HttpError, 400."""
    try:
        value = json.loads(body, object_pairs_hook=unique_names)
    except RepeatedName as error:
        raise bad_request(f"the body has {error}") from None
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON") from None
    if type(value) is not dict:
        raise bad_request("the body is not a JSON object")
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
    name = text_of(given, "name") or text_of(given, "service")
    if not name:
        raise bad_request("Missing service name")
    refuse_value(given, "kind", ("", "typical"), "there is no service mesh here")
    _refuse_proxy(given)
    refuse_value(given, "namespace", ("", "default"), "there is one namespace")
    refuse_value(given, "partition", ("", "default"), "there is one partition")
    params: dict[str, Any] = {"name": name, "id": text_of(given, "id") or name, "port": given.get("port") or 0}
    if address := text_of(given, "address"):
        params["address"] = address
    if tags := given.get("tags"):
        params["tags"] = [tag for tag in tags if tag != ""] if type(tags) is list else tags
    if meta := given.get("meta"):
        params["meta"] = meta
    if (weight := _weight(given)) is not None:
        params["weight"] = weight
    return params, _definitions(given)


def _definitions(given: Given) -> list[Given]:
    found = given.get("checks") or []
    if type(found) is not list:
        raise bad_request("Checks is not a list")
    alone = given.get("check")
    wanted = ([alone] if alone else []) + [one for one in found if one]
    for one in wanted:
        if type(one) is not dict:
            raise bad_request("a check is not a JSON object")
    return [keys(one) for one in wanted]


def _weight(given: Given) -> int | None:
    weights = given.get("weights")
    if not weights:
        return None
    if type(weights) is not dict:
        raise bad_request('Weights is not a JSON object: give {"Passing": 10, "Warning": 1}')
    plain = keys(weights)
    weight: int | None = plain.get("passing")
    return weight


def _refuse_proxy(given: Given) -> None:
    value = given.get("connect")
    if not value:
        return
    if type(value) is not dict:
        raise bad_request('Connect is not a JSON object: leave it out, or give {"Native": true}')
    connect = keys(value)
    # An empty SidecarService asks for a proxy, too: one with the defaults.
    if connect.get("sidecarservice") is not None or any(
        says_something(value) for key, value in connect.items() if key != "native"
    ):
        raise bad_request("connect is not supported here: there is no service mesh here")


# -- what is taken without effect --------------------------------------------------------------------------------------


def ignored(given: Given) -> list[str]:
    """The keys of this registration that have no effect: Consul's agents use them, or ignore them too."""
    found = unknown_keys(given, _SERVICE)
    if given.get("enabletagoverride"):
        found.append("EnableTagOverride")
    if says_something(given.get("taggedaddresses")) and not _only_ours(given):
        found.append("TaggedAddresses")
    if says_something(given.get("connect")):
        found.append("Connect.Native")
    weights = given.get("weights")
    if type(weights) is dict and keys(weights).get("warning", 1) not in (1, 0, None):
        found.append("Weights.Warning")
    tags = given.get("tags")
    if type(tags) is list and "" in tags:
        found.append("an empty tag")
    return found


def unknown_keys(given: Given, known: frozenset[str]) -> list[str]:
    return [key[:80] for key, value in given.items() if key not in known and says_something(value)]


def _only_ours(given: Given) -> bool:
    """The tagged addresses are those that GET answers, all of the one address and port."""
    tagged, port = given["taggedaddresses"], given.get("port")
    if type(tagged) is not dict:
        return False
    return all(
        type(one) is dict and keys(one) == {"address": given.get("address"), "port": port} for one in tagged.values()
    )


# -- single values ---------------------------------------------------------------------------------------------------


def text_of(given: Given, key: str) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise bad_request(f"{key} is {shown(value)}: give text")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise bad_request(f"{key} is {shown(value)}: give UTF-8 text")
    return value


def refuse(given: Given, known: frozenset[str], what: str) -> None:
    """Raise HttpError for a key that is not supported."""
    for key in unknown_keys(given, known):
        if key in _CANNOT:
            raise bad_request(f"{key} of {what} is not supported here: {_CANNOT[key]}")


def says_something(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict):
        return depth > DEPTH_MAX or any(says_something(one, depth + 1) for one in value.values())
    return bool(value)


def refuse_value(given: Given, key: str, fine: tuple[Any, ...], why: str) -> None:
    value = given.get(key)
    if value is not None and value not in fine:
        raise bad_request(f"{key} is {shown(value)}: {why}")
