"""The call that a request to invoke asks for: which service, and the request that its instance gets.

Two forms: `/v1.0/invoke/APP/method/PATH`, and any path with the header dapr-app-id. Path and query go on as they were
sent, undecoded. Headers of the connection, of the framing and of this sidecar's own doors do not go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gossipreg.net.http_client import HttpAnswer
from gossipreg.net.http_message import HttpError, Request, Response, shown

METHOD = b"/method"
HOP_BY_HOP = frozenset((
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
))  # fmt: skip
"""RFC 9110, section 7.6.1: for one connection only, beside those that `Connection` names."""
NOT_SENT_ON = HOP_BY_HOP | {"host", "content-length", "expect", "dapr-app-id", "dapr-api-token", "x-consul-token"}
NOT_SENT_BACK = HOP_BY_HOP | {"content-length", "content-type", "date"}


@dataclass(frozen=True, slots=True)
class Invocation:
    app: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def invocation_untrusted(request: Request) -> Invocation:
    """Of a request to /v1.0/invoke/APP/method/PATH. Raises HttpError."""
    path, mark, query = _origin_form(request.target).partition(b"?")
    rest = b"".join(path.split(b"/", 3)[3:])
    if rest.lower().startswith((b"http:", b"https:", b"http%3a", b"https%3a")):
        raise url_refused(unquote_to_bytes(rest.partition(METHOD)[0]).decode(errors="replace"))
    app, slash, method = rest.partition(b"/")
    if not slash or not (method == METHOD[1:] or method.startswith(METHOD[1:] + b"/")):
        raise HttpError(400, "direct_invoke", "the path is none of an invocation: /v1.0/invoke/APP/method/PATH")
    target = (method[len(METHOD) - 1 :] or b"/") + mark + query
    return _invocation(request, unquote_to_bytes(app).decode(errors="replace"), target)


def invocation_by_header_untrusted(request: Request) -> Invocation:
    """Of a request with dapr-app-id: its path is that of the service. Raises HttpError."""
    return _invocation(request, request.header(b"dapr-app-id"), _origin_form(request.target))


def _invocation(request: Request, app: str, target: bytes) -> Invocation:
    if "://" in app or app.lower().startswith(("http:", "https:")):
        raise url_refused(app)
    if not app or not app.isprintable():
        raise HttpError(400, "direct_invoke", f"the app id is {shown(app)}: give the name of a service")
    if not target.isascii():
        raise HttpError(400, "direct_invoke", "the path has bytes that are not ASCII: write them as %XX")
    named = _named_by_connection(request.headers)
    sent = tuple(
        (name, value.decode("latin-1"))
        for name, values in ((key.decode("ascii"), some) for key, some in request.headers.items())
        if name not in NOT_SENT_ON and name not in named
        for value in values
    )
    return Invocation(app, request.method, target.decode("ascii"), sent, request.body)


def url_refused(app: str) -> HttpError:
    return HttpError(400, "direct_invoke", f"the app id {shown(app)} is a URL: this sidecar calls services of the "
                     "registry alone, so give the name of one")  # fmt: skip


def _named_by_connection(headers: Mapping[bytes, Iterable[bytes]]) -> frozenset[str]:
    values = b",".join(headers.get(b"connection", ())).decode("latin-1").lower()
    return frozenset(name.strip() for name in values.split(","))


def _origin_form(target: bytes) -> bytes:
    """Path and query of a target, which may have a scheme and a host before them."""
    if target.startswith(b"/"):
        return target
    rest = target.partition(b"://")[2]
    slash = rest.find(b"/")
    return b"/" if slash < 0 else rest[slash:]


def response_of(answer: HttpAnswer) -> Response:
    """The response of a service, as it goes back."""
    headers = tuple(item for item in answer.headers if item[0] not in NOT_SENT_BACK)
    kind = answer.header("content-type") or "application/octet-stream"
    return Response(answer.status, answer.body, kind, headers)
