"""Consul's words for a service and its checks, in those of `register`.

Owns what of them can be said here, and the sentence for what cannot: nothing that would change what happens is ignored.
Keys are taken in any case and with or without underscores, as Consul's agents take them (`ServiceID`, `service_id`).
What is empty, false or null says nothing, whatever its key.
"""

import json
import re
import shlex
from typing import Any
from urllib.parse import quote

from gossipreg.gateway.http.ask import duration_untrusted
from gossipreg.gateway.http.message import bad_request
from gossipreg.model import Health

STATUSES = {"passing": Health.PASSING, "warning": Health.WARNING, "critical": Health.CRITICAL}
DEPTH_MAX = 16

Given = dict[str, Any]

_SERVICE = frozenset(
    ("id", "name", "tags", "address", "port", "meta", "check", "checks", "weights", "kind", "taggedaddresses",
     "enabletagoverride", "token", "namespace", "partition", "replaceexistingchecks")
)  # fmt: skip
_CHECK = frozenset(
    ("id", "checkid", "name", "notes", "status", "ttl", "http", "tcp", "args", "scriptargs", "interval", "timeout",
     "method", "tlsskipverify", "tlsservername", "deregistercriticalserviceafter", "successbeforepassing",
     "failuresbeforecritical", "failuresbeforewarning", "serviceid", "servicename", "servicetags", "token", "namespace",
     "partition", "outputmaxsize", "node", "type", "definition")
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
_OPTION = re.compile(",(?=[a-z_]+=)")
"""A comma in a URL or an argument that `register` would take for the begin of an option."""
_COMMA_AND_NOTHING = ",''"
"""Means a comma in a shell's words, in quotes and outside."""
_PLAIN = ":/@!$&'()*+;=?# "
"""What is not percent-encoded in names and notes, so that people can read them. A comma is."""


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
    _refuse(given, _SERVICE, "a service")
    name = _text(given, "name")
    if not name:
        raise bad_request("Missing service name")
    _refuse_value(given, "kind", ("", "typical"), "there is no service mesh here")
    _refuse_value(given, "enabletagoverride", (False,), "tags are those of who registered")
    _refuse_value(given, "namespace", ("", "default"), "there is one namespace")
    _refuse_value(given, "partition", ("", "default"), "there is one partition")
    params: dict[str, Any] = {"name": name, "id": _text(given, "id") or name, "port": given.get("port") or 0}
    if address := _text(given, "address"):
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


# -- checks ------------------------------------------------------------------------------------------------------------


def check_id(given: Given) -> str:
    return _text(given, "checkid") or _text(given, "id")


def check_name(given: Given) -> str:
    name = _text(given, "name")
    if not name:
        raise bad_request("Missing check name")
    return name


def check_service(given: Given) -> str:
    return _text(given, "serviceid")


def check_output(given: Given) -> str:
    """What a program says of its check. Longer than it is shown: cut."""
    return _text(given, "output")[:1024]


def status_untrusted(given: Given) -> Health | None:
    """The health that a check begins with; None where it is not said."""
    status = _text(given, "status")
    if not status:
        return None
    if status not in STATUSES:
        raise bad_request(f"Status is {status[:40]!r}: give passing, warning or critical")
    return STATUSES[status]


def check_text_untrusted(given: Given, id: str) -> str:
    """The check as `register` takes it, under this id. Raises HttpError, 400, for what cannot be said so; what is out
    of range is for `register` to say."""
    given = {**given, **(keys(given["definition"]) if type(given.get("definition")) is dict else {})}
    _refuse(given, _CHECK, "a check")
    text, kind = _what(given)
    for key, option in (("interval", "interval"), ("timeout", "timeout")):
        if kind != "ttl" and (seconds := _seconds(given, key)) is not None:
            text += f",{option}={seconds}"
    if (seconds := _seconds(given, "deregistercriticalserviceafter")) is not None:
        text += f",deregister_after={seconds}"
    text += _in_a_row(given, kind)
    if kind == "https":
        if given.get("tlsskipverify"):
            text += ",verify=no"
        if name := _text(given, "tlsservername"):
            text += f",server_name={name}"
    notes = " ".join(_text(given, "notes").split())  # they may have lines
    for option, value in (("id", id), ("name", _text(given, "name")), ("notes", notes)):
        if value:
            text += f",check_{option}={quote(value, safe=_PLAIN)}"
    return text


def _what(given: Given) -> tuple[str, str]:
    """What is checked, and how."""
    ways = [
        way for way in ("ttl", "http", "tcp", "args") if given.get(way) or (way == "args" and given.get("scriptargs"))
    ]
    if len(ways) != 1:
        raise bad_request(f"a check is one of TTL, HTTP, TCP and Args: this one is {' and '.join(ways) or 'none'}")
    match ways[0]:
        case "ttl":
            if (seconds := _seconds(given, "ttl")) is None:
                raise bad_request("TTL is 0: give a duration above 0")
            return f"ttl:{seconds}", "ttl"
        case "http":
            _refuse_value(given, "method", ("", "GET", "get"), "a check sends GET")
            url = _text(given, "http")
            if not url.startswith(("http://", "https://")):
                raise bad_request(f"HTTP is {url[:80]!r}: give an http:// or https:// URL")
            return _OPTION.sub("%2C", url), url.partition(":")[0]
        case "tcp":
            if "," in (address := _text(given, "tcp")):
                raise bad_request(f"TCP is {address[:80]!r}: give HOST:PORT")
            return f"tcp://{address}", "tcp"
    args = given.get("args") or given.get("scriptargs")
    if type(args) is not list or not all(type(arg) is str for arg in args):
        raise bad_request("Args is no list of texts")
    return f"cmd:{_OPTION.sub(_COMMA_AND_NOTHING, shlex.join(args))}", "cmd"


def _in_a_row(given: Given, kind: str) -> str:
    passes, fails = (_whole(given, key) for key in ("successbeforepassing", "failuresbeforecritical"))
    warning = _whole(given, "failuresbeforewarning")
    if warning not in (0, fails):
        raise bad_request("FailuresBeforeWarning is FailuresBeforeCritical here: leave it out")
    if kind == "ttl":  # each heartbeat counts at once, with Consul as well
        return ""
    return (f",passes={passes}" if passes > 1 else "") + (f",fails={fails}" if fails > 1 else "")


def _seconds(given: Given, key: str) -> str | None:
    """As `register` takes durations; JSON numbers are Go's nanoseconds."""
    value = given.get(key)
    if value in (None, "", 0, "0"):
        return None
    if type(value) in (int, float):
        if not 0 < value < 1e18:
            raise bad_request(f"{key} is {value!r:.80}: a number counts nanoseconds, give a duration, as 10s")
        seconds = value / 1e9
    elif type(value) is str:
        seconds = duration_untrusted(key, value)
    else:
        raise bad_request(f"{key} is {value!r:.80}: give a duration, as 10s")
    if not 0 < seconds < 1e9:
        raise bad_request(f"{key} is {value!r:.80}: give a duration above 0")
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def _whole(given: Given, key: str) -> int:
    value = given.get(key) or 0
    if type(value) is not int or not 0 <= value <= 1000:
        raise bad_request(f"{key} is {value!r:.80}: give a whole number")
    return value


def _text(given: Given, key: str) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise bad_request(f"{key} is {value!r:.80}: give text")
    if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise bad_request(f"{key} is {value!r:.80}: give UTF-8 text")
    return value


def _refuse(given: Given, known: frozenset[str], what: str) -> None:
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


def _refuse_value(given: Given, key: str, fine: tuple[Any, ...], why: str) -> None:
    value = given.get(key)
    if value is not None and value not in fine:
        raise bad_request(f"{key} is {value!r:.40}: {why}")
