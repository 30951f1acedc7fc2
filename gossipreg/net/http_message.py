"""Requests and responses as values, and what is wrong with a request.

Owns how a target is taken apart: split first and percent-decoded then, so that `%2F` in a name is no slash of the path.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from gossipreg.callers import Caller
from gossipreg.errors import GossipregError

READ = ("GET", "HEAD")
"""The methods that change nothing."""
SHORT_BYTES = 512
KEPT_TARGETS = 64
"""Targets up to SHORT_BYTES that were read last, as they were read: most clients ask the same again and again."""
FIELDS_MAX = 64
"""Fields that a query may have; the longest useful question has ten."""
PATH_MAX = 16
"""Segments that a path may have: ids may have slashes, but not that many."""

PLAIN = "text/plain; charset=utf-8"
DAPR_PREFIXES = (b"/v1.0/", b"/v1.0-")
"""The paths of Dapr's HTTP API."""
SHOWN_MAX = 28
_HEX = b"0123456789abcdefABCDEF"


class HttpError(GossipregError):
    """A request that cannot be answered. The client is at fault unless the status says otherwise."""

    def __init__(self, status: int, code: str, message: str, *headers: tuple[str, str], close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.close = close
        """Bytes that follow on this connection cannot be trusted to be a request."""


def shown(value: object) -> str:
    """A value in a message, short enough to leave room for what to do: some clients show 80 characters of it."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 3]}..."


def bad_request(message: str) -> HttpError:
    return HttpError(400, "bad_request", message)


@dataclass(frozen=True, slots=True)
class Target:
    path: tuple[str, ...]
    """Its segments, decoded."""
    query: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request, before its body."""

    method: str
    target: bytes
    version: bytes
    headers: Mapping[bytes, list[bytes]] = field(default_factory=dict)
    """By lower-case name."""
    refused: "HttpError | None" = None
    """The error to answer with. The body is read all the same, so that the client reads the error and not a reset."""

    def one(self, name: bytes) -> bytes | None:
        """The value of a header that may be there once. Raises HttpError if it is there more often."""
        values = self.headers.get(name, [])
        if len(values) > 1:
            raise HttpError(400, "bad_request", f"{name.decode()} is given {len(values)} times", close=True)
        return values[0] if values else None

    def text(self, name: bytes) -> str:
        """All values of a header, with commas between; empty if there is none."""
        return joined(self.headers.get(name, []))

    @property
    def keep_alive(self) -> bool:
        tokens = b",".join(self.headers.get(b"connection", [])).lower().split(b",")
        return self.version == b"1.1" and all(token.strip() != b"close" for token in tokens)


def joined(values: Iterable[bytes]) -> str:
    """The values of a header as one text, with commas between."""
    return ", ".join(value.decode("latin-1") for value in values)


TCP_CALLER = Caller()


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: tuple[str, ...]
    query: Mapping[str, list[str]]
    body: bytes = b""
    caller: Caller = TCP_CALLER
    accept: str = ""
    """The Accept header; empty if there is none."""
    content_type: str = ""
    """The Content-Type header of the body; empty if there is none."""
    target: bytes = b""
    """As it was sent: path and query, not decoded."""
    headers: Mapping[bytes, list[bytes]] = field(default_factory=dict)
    """By lower-case name."""

    def header(self, name: bytes) -> str:
        """All values of a header, with commas between; empty if there is none."""
        return joined(self.headers.get(name, []))

    @property
    def wants_json(self) -> bool:
        """Whether the Accept header asks for JSON by name, as Eureka's servers read it."""
        return "json" in self.accept.lower()


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def json_response(value: Any, *headers: tuple[str, str], status: int = 200, pretty: bool = False) -> Response:
    return Response(status, json_bytes(value, pretty=pretty), headers=headers)


def json_bytes(value: Any, *, pretty: bool = False) -> bytes:
    text = json.dumps(value, indent=4) if pretty else json.dumps(value, separators=(",", ":"))
    return text.encode() + (b"\n" if pretty else b"")


def error_response(error: HttpError, target: bytes = b"") -> Response:
    """Below /v1 the sentence alone, as Consul's agents answer: its clients show the body, some the first 80 characters
    of it. Below /v1.0 JSON as Dapr's sidecars have it, elsewhere JSON of our own."""
    if target.startswith(DAPR_PREFIXES):
        return dapr_error_response(error)
    if target == b"/v1" or target.startswith(b"/v1/"):
        return Response(error.status, str(error).encode(), PLAIN, error.headers, error.close)
    body = json_bytes({"error": {"code": error.code, "message": str(error)}})
    return Response(error.status, body + b"\n", headers=error.headers, close=error.close)


def dapr_error_response(error: HttpError) -> Response:
    body = json_bytes({"errorCode": f"ERR_{error.code.upper()}", "message": str(error)})
    return Response(error.status, body, headers=error.headers, close=error.close)


def target_untrusted(target: bytes) -> Target:
    """A request's target in origin or absolute form (RFC 9112 section 3.2). Raises HttpError."""
    return _short_target_untrusted(target) if len(target) <= SHORT_BYTES else _target_untrusted(target)


def _target_untrusted(target: bytes) -> Target:
    if not target.startswith(b"/"):
        scheme, mark, rest = target.partition(b"://")
        if not mark or scheme.lower() not in (b"http", b"https"):
            raise bad_request("the target is not a path: begin it with a slash")
        slash = rest.find(b"/")
        target = b"/" if slash < 0 else rest[slash:]
    path, _, query = target.partition(b"?")
    segments = path[1:].split(b"/")
    if len(segments) > PATH_MAX:
        raise bad_request(f"the path has {len(segments)} segments: at most {PATH_MAX}")
    return Target(tuple(_name(segment, "path") for segment in segments), _query(query))


_short_target_untrusted = lru_cache(maxsize=KEPT_TARGETS)(_target_untrusted)


def _query(query: bytes) -> Mapping[str, list[str]]:
    fields: dict[str, list[str]] = {}
    pieces = [piece for piece in query.split(b"&") if piece]
    if len(pieces) > FIELDS_MAX:
        raise bad_request(f"the query has {len(pieces)} fields: at most {FIELDS_MAX}")
    for piece in pieces:
        name, _, value = piece.replace(b"+", b" ").partition(b"=")
        text = _decoded(value, "query")
        if any(char < " " and char not in "\t\n\r" for char in text):
            raise bad_request("a control character in the query")
        fields.setdefault(_name(name, "query"), []).append(text)
    return fields


def _name(data: bytes, where: str) -> str:
    """A part of the path, or the name of a field: printable, as all registered names are. The value of a field (a note,
    a filter) may have several lines."""
    text = _decoded(data, where)
    if not text.isprintable():
        raise bad_request(f"a control character in the {where}")
    return text


def _decoded(data: bytes, where: str) -> str:
    """Percent-decoded once."""
    first, *escaped = data.split(b"%")
    out = bytearray(first)
    for piece in escaped:
        if len(piece) < 2 or piece[0] not in _HEX or piece[1] not in _HEX:
            raise bad_request(f"a percent sign in the {where} does not begin an escape: write it as %25")
        out.append(int(piece[:2], 16))
        out += piece[2:]
    try:
        return out.decode()
    except UnicodeDecodeError:
        raise bad_request(f"the {where} is not UTF-8") from None
