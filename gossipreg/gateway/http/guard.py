"""The defence against web pages: the host names of this gateway, and the origins that may use it.

A page that somebody reads in a browser can send requests to this machine. Two tricks make that dangerous, and each has
its check:

    DNS rebinding   the page's own name suddenly means 127.0.0.1, so the browser thinks that we are its server. The Host
                    header still says the name: names that are not ours are refused. Literal addresses are nobody's
                    trick, since a page at a literal address came from there. Between two ends on loopback a read
                    below /v1 may also name a host of one label, or in .consul: no page of the internet has such a name
    cross-site      the page sends a request to us without being allowed to read the answer. Browsers say so in Origin
                    or Sec-Fetch-Site: what does not come from ourselves is refused

On a unix socket this is checked below /ui alone: no browser can use it unless somebody forwards it to a port, as people
do for the page, and programs send any Host there.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from gossipreg.errors import BadConfig
from gossipreg.net.http_message import Head, HttpError, shown

LOCAL_NAMES = ("localhost",)
_LABELS = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class Guard:
    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names`: host names of this gateway, in addition to literal addresses and localhost. Raises
        BadConfig."""
        names = tuple(names)
        for name in names:
            if not _is_name(name):
                raise BadConfig(f"--http-host {name!r}: write the name of a host alone, such as registry.example.org")
        self._names = frozenset(name.lower().rstrip(".") for name in (*LOCAL_NAMES, *names))

    def check_untrusted(self, head: Head, *, loopback: bool = False) -> None:
        """`loopback`: both ends of the connection are on it. Raises HttpError only."""
        host = head.one(b"host")
        local_read = loopback and head.method in ("GET", "HEAD") and head.target.startswith(b"/v1/")
        if host is not None and not self._ours(host) and not (local_read and _is_local_name(host)):
            raise HttpError(
                403, "wrong_host", f"{_shown(host)} is not a name of this gateway: use an address, or allow the name "
                "with --http-host"
            )  # fmt: skip
        origin = head.one(b"origin")
        if origin is not None and (host is None or origin.lower() not in _own_origins(host)):
            raise HttpError(403, "wrong_origin", f"pages of {_shown(origin)} may not use this gateway")
        if head.one(b"sec-fetch-site") not in (None, b"same-origin", b"none"):
            raise HttpError(403, "wrong_origin", "pages of other sites may not use this gateway")

    def _ours(self, host: bytes) -> bool:
        try:
            name = split_host_untrusted(host.decode("ascii")).lower()
        except ValueError:  # also what is not ASCII
            return False
        if name.rstrip(".") in self._names or name.endswith(".localhost"):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _own_origins(host: bytes) -> tuple[bytes, bytes]:
    """A page of this host. With https it came through a proxy: nothing here speaks TLS, so on this port no other server
    can."""
    return b"http://" + host.lower(), b"https://" + host.lower()


def _is_local_name(host: bytes) -> bool:
    """A name of one label, or one of Consul's: what /etc/hosts or our own DNS gives this machine, and what no page of
    the internet can be called."""
    try:
        name = split_host_untrusted(host.decode("ascii")).lower().rstrip(".")
    except ValueError:
        return False
    return bool(_LABELS.fullmatch(name)) and ("." not in name or name.endswith(".consul"))


def _is_name(text: str) -> bool:
    try:
        return text.isascii() and text.isprintable() and split_host_untrusted(text) == text
    except ValueError:
        return False


def split_host_untrusted(text: str) -> str:
    """The host of a Host header, without its port and brackets. Raises ValueError if it is none."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host:
            raise ValueError
    else:
        host, colon, port = text.partition(":")
        rest = colon + port
    if rest and not (rest[0] == ":" and (rest[1:] == "" or (rest[1:].isascii() and rest[1:].isdigit()))):
        raise ValueError
    if not host or any(char in host for char in " /@?#%\\"):
        raise ValueError
    return host


def _shown(value: bytes) -> str:
    return shown(value.decode("ascii", "backslashreplace"))
