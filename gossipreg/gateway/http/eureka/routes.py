"""The routes of a Eureka server, below both prefixes that clients use.

`/eureka/v2` is the default of eureka-js-client, `/eureka` that of Spring, py-eureka-client and Prometheus. A route
names its handler by text: the first request loads the handlers, so that a sidecar that no Eureka client asks does not
hold them.
"""

from typing import TYPE_CHECKING

from gossipreg.gateway.http.route import Handle, Refusal, Route
from gossipreg.net.http_message import READ

if TYPE_CHECKING:
    from gossipreg.gateway.http.client import Answer
    from gossipreg.gateway.http.parts import Parts
    from gossipreg.net.http_message import Request

PREFIXES = ("/eureka", "/eureka/v2")

TABLE: tuple[tuple[str, tuple[str, ...], str, str, str], ...] = (
    ("/apps", READ, "services", "all", "All applications with their instances that are up"),
    ("/apps/delta", READ, "services", "delta", "The changes of the last three minutes"),
    ("/apps/{app}/{id}", READ, "lookup", "instance", "One instance, whatever its status"),
    ("/apps/{app}/{id}", ("PUT",), "heartbeat", "heartbeat", "Renew an instance's lease"),
    ("/apps/{app}/{id}", ("DELETE",), "deregister", "deregister", "Deregister an instance"),
    ("/apps/{app}", READ, "lookup", "app", "One application"),
    ("/apps/{app}", ("POST",), "register", "register", "Register an instance, or update it"),
    (
        "/apps/{app}/{id}/status",
        ("PUT",),
        "maint",
        "override",
        "Set an instance's status: every status except UP is maintenance",
    ),
    ("/apps/{app}/{id}/status", ("DELETE",), "maint", "end_override", "End a status that was set"),
    ("/apps/{app}/{id}/metadata", ("PUT",), "register", "change_metadata", "Change an instance's metadata"),
    ("/instances/{id}", READ, "lookup", "instance_by_id", "One instance, by its id alone"),
    ("/vips/{vip}", READ, "lookup", "vip", "The instances of a VIP address"),
    ("/svips/{vip}", READ, "lookup", "secure_vip", "The instances of a secure VIP address"),
)
"""Path, methods, operation, name of the handler in Resources, summary. The last brace of a path stands for the rest of
it, so `{app}/{id}` stands before `{app}`."""


def _handler(name: str) -> Handle:
    def handle(parts: "Parts", request: "Request", *args: str) -> "Answer":
        answer: Answer = getattr(parts.eureka, name)(request, *args)
        return answer

    return handle


EUREKA_ROUTES = tuple(
    Route(prefix + path, operation, summary, methods=methods, handle=_handler(name), described=False)
    for prefix in PREFIXES
    for path, methods, operation, name, summary in TABLE
)
EUREKA_REFUSALS = tuple(
    Refusal(f"{prefix}/{path}", "sidecars keep each other up to date by gossip: a Eureka server cannot be their peer")
    for prefix in PREFIXES
    for path in ("peerreplication", "asg")
)
