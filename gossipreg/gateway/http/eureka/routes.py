"""The paths of a Eureka server, below both prefixes that clients use.

`/eureka/v2` is the default of eureka-js-client, `/eureka` that of Spring, py-eureka-client and Prometheus. The handlers
are loaded with the first request, so that a sidecar that no Eureka client asks does not hold them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.message import Request
from gossipreg.gateway.http.routes import READ, Handler, Refusal, Route

if TYPE_CHECKING:
    from gossipreg.gateway.http.eureka.resources import Resources

PREFIXES = ("/eureka", "/eureka/v2")

_TABLE: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("/apps", READ, "all", "All applications with their instances that are up"),
    ("/apps/delta", READ, "delta", "The changes of the last three minutes"),
    ("/apps/{app}/{id}", READ, "instance", "One instance, whatever its status"),
    ("/apps/{app}/{id}", ("PUT",), "heartbeat", "Renew an instance's lease"),
    ("/apps/{app}/{id}", ("DELETE",), "deregister", "Take an instance out"),
    ("/apps/{app}", READ, "app", "One application"),
    ("/apps/{app}", ("POST",), "register", "Register an instance, or update it"),
    ("/apps/{app}/{id}/status", ("PUT",), "override", "Set an instance's status: all but UP is maintenance"),
    ("/apps/{app}/{id}/status", ("DELETE",), "end_override", "End a status that was set"),
    ("/apps/{app}/{id}/metadata", ("PUT",), "change_metadata", "Change an instance's metadata"),
    ("/instances/{id}", READ, "instance_by_id", "One instance, by its id alone"),
    ("/vips/{vip}", READ, "vip", "The instances of a VIP address"),
    ("/svips/{vip}", READ, "secure_vip", "The instances of a secure VIP address"),
)
"""Path, methods, name of the handler in Resources, summary. The last brace of a path takes all that follows, so
`{app}/{id}` stands before `{app}`."""

REFUSALS = [
    Refusal(f"{prefix}/{path}", "sidecars keep each other up to date by gossip: a Eureka server cannot be their peer")
    for prefix in PREFIXES
    for path in ("peerreplication", "asg")
]


def eureka_routes(resources: Callable[[], "Resources"]) -> list[Route]:
    def handler(name: str) -> Handler:
        def handle(request: Request, *args: str) -> Answer:
            answer: Answer = getattr(resources(), name)(request, *args)
            return answer

        return handle

    return [
        Route(prefix + path, summary, handler(name), methods, described=False)
        for prefix in PREFIXES
        for path, methods, name, summary in _TABLE
    ]
