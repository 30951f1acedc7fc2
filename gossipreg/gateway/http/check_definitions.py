"""Consul's words for a health check, as a table of `register` (see `daemon/checks/parse.py`). Services are read in
`definitions.py`."""

import shlex
from typing import Any

from gossipreg.gateway.http.ask import duration_untrusted
from gossipreg.gateway.http.definitions import Given, keys, refuse, text_of, unknown_keys
from gossipreg.model import Health
from gossipreg.net.http_message import bad_request, shown

STATUSES = {"passing": Health.PASSING, "warning": Health.WARNING, "critical": Health.CRITICAL}
_CHECK = frozenset(
    ("id", "checkid", "name", "notes", "status", "ttl", "http", "tcp", "args", "scriptargs", "grpc", "grpcusetls",
     "aliasnode", "aliasservice", "interval", "timeout", "method", "header", "body", "disableredirects",
     "tlsskipverify", "tlsservername", "deregistercriticalserviceafter", "successbeforepassing",
     "failuresbeforecritical", "failuresbeforewarning", "serviceid", "servicename", "servicetags", "token", "namespace",
     "partition", "outputmaxsize", "node", "type", "definition", "output", "createindex", "modifyindex", "peername",
     "exposedport")
)  # fmt: skip
_WAYS = {
    "ttl": ("ttl",), "http": ("http",), "tcp": ("tcp",), "grpc": ("grpc",), "args": ("args", "scriptargs"),
    "alias": ("aliasservice", "aliasnode"),
}  # fmt: skip
"""The kinds of checks, with the keys that give them."""

Check = dict[str, Any]


def check_id(given: Given) -> str:
    return text_of(given, "checkid") or text_of(given, "id")


def check_name(given: Given) -> str:
    name = text_of(given, "name")
    if not name:
        raise bad_request("Missing check name")
    return name


def check_service(given: Given) -> str:
    return text_of(given, "serviceid")


def check_output(given: Given) -> str:
    """The output that a program gives for its check, cut to the length that is shown."""
    return text_of(given, "output")[:1024]


def status_untrusted(given: Given) -> Health | None:
    """The initial health of a check; None if it is not given."""
    status = text_of(given, "status")
    if not status:
        return None
    if status not in STATUSES:
        raise bad_request(f"Status is {shown(status)}: give passing, warning or critical")
    return STATUSES[status]


def check_untrusted(given: Given, id: str) -> Check:
    """The check as `register` takes it, under this id. Raises HttpError, 400, for a check that `register` cannot
    express; `register` itself refuses values out of range."""
    given = {**given, **(keys(given["definition"]) if type(given.get("definition")) is dict else {})}
    refuse(given, _CHECK, "a check")
    way = _way(given)
    check: Check = _WHAT[way](given)
    if way not in ("ttl", "alias"):
        check |= _some(interval=_seconds(given, "interval"), timeout=_seconds(given, "timeout"))
        passes, fails = _whole(given, "successbeforepassing"), _whole(given, "failuresbeforecritical")
        check |= _some(passes=passes if passes > 1 else None, fails=fails if fails > 1 else None)
    if check["check"].startswith(("https:", "grpcs:")):
        check |= _some(server_name=text_of(given, "tlsservername") or None)
        check |= {"verify": False} if given.get("tlsskipverify") else {}
    notes = " ".join(text_of(given, "notes").split())  # they may have lines
    return check | _some(
        deregister_after=_seconds(given, "deregistercriticalserviceafter"),
        check_id=id or None, check_name=text_of(given, "name") or None, check_notes=notes or None,
    )  # fmt: skip


def _some(**options: Any) -> Check:
    """The values that are given."""
    return {name: value for name, value in options.items() if value is not None}


def _way(given: Given) -> str:
    ways = [way for way, named in _WAYS.items() if any(given.get(key) for key in named)]
    if len(ways) != 1:
        raise bad_request(
            f"a check is one of TTL, HTTP, TCP, GRPC, Args, AliasService; this one: {' and '.join(ways) or 'none'}"
        )
    return ways[0]


def _ttl(given: Given) -> Check:
    if (seconds := _seconds(given, "ttl")) is None:
        raise bad_request("TTL is 0: give a duration above 0")
    return {"check": f"ttl:{seconds}"}


def _http(given: Given) -> Check:
    url = text_of(given, "http")
    if not url.startswith(("http://", "https://")):
        raise bad_request(f"HTTP is {shown(url)}: give an http:// or https:// URL")
    header = given.get("header") or None
    if header is not None and type(header) is not dict:
        raise bad_request('Header is not a JSON object: give {"Name": ["value"]}')
    method, body = text_of(given, "method") or None, text_of(given, "body") or None
    return {"check": url, **_some(method=method, body=body, header=header)}


def _tcp(given: Given) -> Check:
    return {"check": f"tcp://{text_of(given, 'tcp')}"}


def _grpc(given: Given) -> Check:
    return {"check": f"{'grpcs' if given.get('grpcusetls') else 'grpc'}://{text_of(given, 'grpc')}"}


def _args(given: Given) -> Check:
    args = given.get("args") or given.get("scriptargs")
    if type(args) is not list or not all(type(arg) is str for arg in args):
        raise bad_request("Args is not a list of texts")
    return {"check": f"cmd:{shlex.join(args)}"}


def _alias(given: Given) -> Check:
    return {"check": f"alias:{text_of(given, 'aliasservice')}", **_some(node=text_of(given, "aliasnode") or None)}


_WHAT = {"ttl": _ttl, "http": _http, "tcp": _tcp, "grpc": _grpc, "args": _args, "alias": _alias}


def _seconds(given: Given, key: str) -> str | None:
    """The duration as `register` takes it; JSON numbers are Go's nanoseconds."""
    value = given.get(key)
    if value in (None, "", 0):
        return None
    if type(value) in (int, float):
        if not 0 < value < 1e18:
            raise bad_request(f"{key} is {shown(value)}: a number counts nanoseconds, give a duration, as 10s")
        seconds = value / 1e9
    elif type(value) is str:
        seconds = duration_untrusted(key, value)
    else:
        raise bad_request(f"{key} is {shown(value)}: give a duration, as 10s")
    if seconds == 0:  # "0s": how Go writes that there is none
        return None
    if not 0 < seconds < 1e9:
        raise bad_request(f"{key} is {shown(value)}: give a duration above 0")
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def _whole(given: Given, key: str) -> int:
    value = given.get(key) or 0
    if type(value) is not int or not 0 <= value <= 1000:
        raise bad_request(f"{key} is {shown(value)}: give a whole number")
    return value


def ignored(given: Given) -> list[str]:
    """The keys of this check that have no effect."""
    given = {**given, **(keys(given["definition"]) if type(given.get("definition")) is dict else {})}
    names = ("FailuresBeforeWarning", "DisableRedirects", "OutputMaxSize")
    return unknown_keys(given, _CHECK) + [name for name in names if given.get(name.lower())]


def has_way(given: Given) -> bool:
    """Whether it says how to check. A check as GET answers it does not."""
    given = {**given, **(keys(given["definition"]) if type(given.get("definition")) is dict else {})}
    return any(given.get(key) for named in _WAYS.values() for key in named)


def labels_untrusted(given: Given) -> tuple[str, str]:
    """Its name and notes."""
    return check_name(given), " ".join(text_of(given, "notes").split())
