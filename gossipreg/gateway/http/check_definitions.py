"""Consul's words for a health check, in those of `register`. Services are read in `definitions.py`."""

import re
import shlex
from urllib.parse import quote

from gossipreg.gateway.http.ask import duration_untrusted
from gossipreg.gateway.http.definitions import Given, keys, refuse, refuse_value, text_of
from gossipreg.gateway.http.message import bad_request
from gossipreg.model import Health

STATUSES = {"passing": Health.PASSING, "warning": Health.WARNING, "critical": Health.CRITICAL}
_CHECK = frozenset(
    ("id", "checkid", "name", "notes", "status", "ttl", "http", "tcp", "args", "scriptargs", "interval", "timeout",
     "method", "tlsskipverify", "tlsservername", "deregistercriticalserviceafter", "successbeforepassing",
     "failuresbeforecritical", "failuresbeforewarning", "serviceid", "servicename", "servicetags", "token", "namespace",
     "partition", "outputmaxsize", "node", "type", "definition")
)  # fmt: skip
_OPTION = re.compile(",(?=[a-z_]+=)")
"""A comma in a URL or an argument that `register` would take for the begin of an option."""
_COMMA_AND_NOTHING = ",''"
"""Means a comma in a shell's words, in quotes and outside."""
_PLAIN = ":/@!$&'()*+;=?# "
"""What is not percent-encoded in names and notes, so that people can read them. A comma is."""


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
    """What a program says of its check. Longer than it is shown: cut."""
    return text_of(given, "output")[:1024]


def status_untrusted(given: Given) -> Health | None:
    """The health that a check begins with; None where it is not said."""
    status = text_of(given, "status")
    if not status:
        return None
    if status not in STATUSES:
        raise bad_request(f"Status is {status[:40]!r}: give passing, warning or critical")
    return STATUSES[status]


def check_text_untrusted(given: Given, id: str) -> str:
    """The check as `register` takes it, under this id. Raises HttpError, 400, for what cannot be said so; what is out
    of range is for `register` to say."""
    given = {**given, **(keys(given["definition"]) if type(given.get("definition")) is dict else {})}
    refuse(given, _CHECK, "a check")
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
        if name := text_of(given, "tlsservername"):
            text += f",server_name={name}"
    notes = " ".join(text_of(given, "notes").split())  # they may have lines
    for option, value in (("id", id), ("name", text_of(given, "name")), ("notes", notes)):
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
            refuse_value(given, "method", ("", "GET", "get"), "a check sends GET")
            url = text_of(given, "http")
            if not url.startswith(("http://", "https://")):
                raise bad_request(f"HTTP is {url[:80]!r}: give an http:// or https:// URL")
            return _OPTION.sub("%2C", url), url.partition(":")[0]
        case "tcp":
            if "," in (address := text_of(given, "tcp")):
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
