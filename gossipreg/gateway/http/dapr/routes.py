"""The routes of Dapr's HTTP API, and the parts of it that do not exist here.

A route names its handler by text: the first request loads the handlers, so that a sidecar that no Dapr client asks
does not hold them.
"""

from typing import TYPE_CHECKING

from gossipreg.gateway.http.route import Handle, Refusal, Route
from gossipreg.net.http_message import READ, Head, target_untrusted

if TYPE_CHECKING:
    from gossipreg.gateway.http.client import Answer
    from gossipreg.gateway.http.parts import Parts
    from gossipreg.net.http_message import Request

ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "QUERY")
APP_ID = b"dapr-app-id"
"""A request with this header is an invocation, whatever its path."""
INVOKE_PATH = ("v1.0", "invoke")

VERSIONS = ("/v1.0", "/v1.0-alpha1", "/v1.0-beta1")
NOT_HERE = {
    "publish/bulk": "publish the events one by one: POST /v1.0/publish/PUBSUB/TOPIC",
    "state": "keep state in a database",
    "bindings": "call the other system itself",
    "secrets": "read secrets from files or variables",
    "actors": "keep state in a database",
    "reminders": "use a scheduler of the system",
    "configuration": "read settings from files or variables",
    "lock": "use a database for locks",
    "unlock": "use a database for locks",
    "workflows": "use the sagas of `gossipreg docs`",
    "crypto": "use a library",
    "subtlecrypto": "use a library",
    "jobs": "use a scheduler of the system",
    "conversation": "call the model's own API",
    "shutdown": "`gossipreg leave` ends this sidecar",
}
"""Dapr's APIs that do not exist here, and what to use."""


def _handler(name: str) -> Handle:
    def handle(parts: "Parts", request: "Request", *args: str) -> "Answer":
        answer: Answer = getattr(parts.dapr, name)(request, *args)
        return answer

    return handle


def _route(
    path: str, operation: str, summary: str, name: str, methods: tuple[str, ...] = READ, *, open: bool = False
) -> Route:  # fmt: skip
    return Route(path, operation, summary, methods=methods, handle=_handler(name), open=open, described=False)


INVOKE_BY_HEADER = _route(
    "/{path}", "publish", "Call the service that the header dapr-app-id names", "invoke_by_header", ANY_METHOD
)
DAPR_ROUTES = (
    _route("/v1.0/publish/{pubsub}/{topic}", "publish", "Publish an event", "publish", ("POST", "PUT")),
    _route("/v1.0/invoke/{call}", "publish", "Call a service: APP/method/PATH", "invoke", ANY_METHOD),
    _route("/v1.0/metadata", "info", "This sidecar, in Dapr's words", "metadata"),
    _route("/v1.0/healthz", "info", "Whether the sidecar is synced with the cluster", "health", open=True),
    _route("/v1.0/healthz/outbound", "info", "Whether the sidecar answers programs", "outbound", open=True),
)
DAPR_REFUSALS = tuple(
    Refusal(f"{version}/{name}", f"there is no {name} API here: {instead}")
    for version in VERSIONS
    for name, instead in NOT_HERE.items()
)


def invokes_untrusted(head: Head) -> bool:
    """Whether a request is an invocation: whatever its method, it does what the service does with it. Raises
    HttpError."""
    if APP_ID in head.headers:
        return True
    target = head.target
    return (b"invoke" in target or b"%" in target) and target_untrusted(target).path[:2] == INVOKE_PATH
