"""The table of routes: one row for each path. All that is true of a path stands in its row and nowhere else.

The small functions at the top make the rows of one group; they add what all rows of the group share. `route.py` says
what each field of a row means.
"""

from collections.abc import Callable
from typing import Any, Concatenate

from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.catalog import CatalogReads
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.eureka.routes import EUREKA_ROUTES
from gossipreg.gateway.http.message import READ, Request, json_response
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.parts import Parts
from gossipreg.gateway.http.refusals import EMPTY_LISTS
from gossipreg.gateway.http.route import WRITE, About, Param, Route
from gossipreg.gateway.http.writes import Writes
from gossipreg.model import Health

PASSING = Param("passing", "passing ones only", "boolean")
TAG = Param("tag", "an instance must have all of them; repeatable", repeatable=True)
NODE_META = Param("node-meta", "KEY:VALUE of the member's labels; repeatable", repeatable=True)
NEAR = Param("near", "_agent: the nearest first")
FILTER = Param("filter", "an expression, as Node.Node == one")
PRETTY = Param("pretty", "indented", "boolean")
BLOCKING = (
    Param("index", "wait until the answer's index is another one", "integer"),
    Param("wait", "the longest wait, as 30s (default 5m, at most 10m)"),
)
SHOWN = (
    PRETTY, Param("dc", "the cluster's name, or nothing"), Param("stale", "without effect", "boolean"),
    Param("consistent", "without effect", "boolean"), Param("cached", "without effect", "boolean"),
)  # fmt: skip
FORMAT = Param("format", "text or json")
SERVICE = Param("service", "of this name only; repeatable", repeatable=True)
ENABLE = Param("enable", "true or false", "boolean", required=True)
REASON = Param("reason", "why")
NOTE = Param("note", "what to show of it")

STATES = ("any", "passing", "warning", "critical", "unknown")
"""Consul's state `unknown` does not occur here: a check that has not run yet is critical."""


def _catalog(
    path: str,
    operation: str,
    about: About,
    summary: str,
    render: Callable[Concatenate[CatalogReads, ...], Any],
    *params: Param,
    gives: str,
    filter: str = "",
    choices: tuple[str, ...] = (),
    missing: int = 200,
) -> Route:
    """A read of what all members know. It may wait for a change."""
    return Route(
        path,
        operation,
        summary,
        gives,
        params=(*params, *_filter(filter), *BLOCKING, *SHOWN),
        render=lambda parts, *args: render(parts.catalog, *args),
        about=about,
        filter=filter,
        choices=choices,
        missing=missing,
        statuses=(500,) if missing == 200 else (missing, 500),
    )


def _agent(
    path: str,
    operation: str,
    summary: str,
    render: Callable[Concatenate[AgentReads, ...], Any],
    *,
    gives: str,
    filter: str = "",
    statuses: tuple[int, ...] = (),
) -> Route:
    """A read of what is registered here. It answers at once, as it does with Consul."""
    return Route(
        path,
        operation,
        summary,
        gives,
        params=(*_filter(filter), PRETTY),
        render=lambda parts, *args: render(parts.agent, *args),
        filter=filter,
        statuses=statuses,
    )


def _health(path: str, summary: str, handle: Callable[[AgentReads, Request, str], Answer], *, gives: str) -> Route:
    """The health of services that are registered here, also as the status, for load balancers."""
    return Route(
        path,
        "registered",
        summary,
        gives,
        params=(FORMAT, PRETTY),
        handle=lambda parts, *args: handle(parts.agent, *args),
        statuses=(404, 429, 503),
    )


def _write(
    path: str,
    operation: str,
    summary: str,
    handle: Callable[Concatenate[Writes, Request, ...], Answer],
    *params: Param,
    body: str | None = None,
) -> Route:
    return Route(
        path,
        operation,
        summary,
        "nothing",
        WRITE,
        params,
        body=body,
        handle=lambda parts, *args: handle(parts.writes, *args),
        statuses=(404, 413, 500, 503),
    )


def _monitoring(
    path: str,
    operation: str,
    summary: str,
    handle: Callable[[Monitoring, Request], Answer],
    *params: Param,
    gives: str = "text",
    media: str = "text/plain",
    statuses: tuple[int, ...] = (),
    methods: tuple[str, ...] = READ,
    open: bool = False,
) -> Route:
    return Route(
        path,
        operation,
        summary,
        gives,
        methods,
        params,
        handle=lambda parts, *args: handle(parts.monitoring, *args),
        media=media,
        statuses=statuses,
        open=open,
    )


def _filter(kind: str) -> tuple[Param, ...]:
    return (FILTER,) if kind else ()


def _beat(health: Health) -> Callable[[Writes, Request, str], Answer]:
    return lambda writes, request, check: writes.heartbeat(request, check, health)


def _description(parts: Parts, _request: Request) -> Answer:
    return json_response(parts.description)


ROUTES: tuple[Route, ...] = (
    # -- what all members know -----------------------------------------------------------------------------------------
    _catalog("/v1/health/service/{service}", "lookup", About.SERVICE,
             "The instances of a service, with node and checks", CatalogReads.health_service,
             PASSING, TAG, NODE_META, NEAR, gives="health_entries", filter="entry"),
    _catalog("/v1/health/checks/{service}", "lookup", About.SERVICE,
             "The checks of a service", CatalogReads.health_checks,
             NODE_META, gives="checks", filter="check"),
    _catalog("/v1/health/state/{state}", "lookup", About.CLUSTER,
             "The checks in a state: any, passing, warning, critical", CatalogReads.health_state,
             NODE_META, gives="checks", filter="check", choices=STATES),
    _catalog("/v1/health/node/{node}", "members", About.NODE,
             "The checks of a node", CatalogReads.health_node,
             gives="checks", filter="check"),
    _catalog("/v1/catalog/services", "services", About.CLUSTER,
             "The names of all services, with their tags", CatalogReads.services,
             NODE_META, gives="names", filter="catalog"),
    _catalog("/v1/catalog/service/{service}", "lookup", About.SERVICE,
             "The instances of a service, passing or not", CatalogReads.service,
             TAG, NODE_META, NEAR, gives="catalog_entries", filter="catalog"),
    _catalog("/v1/catalog/nodes", "members", About.CLUSTER,
             "The members", CatalogReads.nodes,
             NODE_META, NEAR, gives="nodes", filter="node"),
    _catalog("/v1/catalog/node/{node}", "members", About.NODE,
             "A member and its services, by id", CatalogReads.node,
             gives="node", filter="service"),
    _catalog("/v1/catalog/node-services/{node}", "members", About.NODE,
             "A member and its services, as a list", CatalogReads.node_services,
             gives="any", filter="service"),
    # -- objects of Consul's that do not exist here --------------------------------------------------------------------
    *(
        _catalog(path, "lookup", About.NOTHING,
                 f"There are no {what}: an empty list, and a wait lasts", lambda *_args: [],
                 gives="list")
        for path, what in EMPTY_LISTS.items()
    ),
    *(
        _catalog(path, "lookup", About.NOTHING,
                 "There are no keys: not found, and a wait lasts", lambda *_args: None,
                 gives="any", missing=404)
        for path in ("/v1/kv", "/v1/kv/{key}")
    ),
    # -- what is registered here ---------------------------------------------------------------------------------------
    _agent("/v1/agent/self", "info", "This sidecar", AgentReads.self, gives="object"),
    _agent("/v1/agent/members", "members", "The members as this sidecar sees them", AgentReads.members,
           gives="members", filter="member"),
    _agent("/v1/agent/services", "registered", "What is registered here, by id", AgentReads.services,
           gives="services", filter="service"),
    _agent("/v1/agent/service/{id}", "registered", "One of the services that are registered here", AgentReads.service,
           gives="service", statuses=(404,)),
    _agent("/v1/agent/checks", "registered", "The checks that run here, by id", AgentReads.checks,
           gives="check_map", filter="check"),
    _agent("/v1/catalog/datacenters", "info", "The cluster's name", AgentReads.datacenters, gives="texts"),
    _agent("/v1/status/leader", "info", "The address of this sidecar, since there is no leader", AgentReads.leader,
           gives="text"),
    _agent("/v1/status/peers", "members", "The addresses of the members that live", AgentReads.peers, gives="texts"),
    _health("/v1/agent/health/service/id/{id}", "The health of one service, also as the status",
            AgentReads.health_of_id, gives="object"),
    _health("/v1/agent/health/service/name/{name}", "The health of the services of a name, also as the status",
            AgentReads.health_of_name, gives="list"),
    # -- writes --------------------------------------------------------------------------------------------------------
    _write("/v1/agent/service/register", "register", "Register a service, or update it", Writes.register,
           Param("replace-existing-checks", "remove the checks that are not named", "boolean"), body="registration"),
    _write("/v1/agent/service/deregister/{id}", "deregister", "Take a service out", Writes.deregister),
    _write("/v1/agent/service/maintenance/{id}", "maint", "Take a service out of the answers for a while",
           Writes.maintain, ENABLE, REASON),
    _write("/v1/agent/maintenance", "maint", "Take all services of this sidecar out of the answers for a while",
           Writes.maintain, ENABLE, REASON),
    _write("/v1/agent/check/register", "register", "Add a check to a service, or change it", Writes.register_check,
           body="check"),
    _write("/v1/agent/check/deregister/{id}", "deregister", "Take a check away", Writes.deregister_check),
    _write("/v1/agent/check/pass/{id}", "heartbeat", "A TTL check passes", _beat(Health.PASSING), NOTE),
    _write("/v1/agent/check/warn/{id}", "heartbeat", "A TTL check warns", _beat(Health.WARNING), NOTE),
    _write("/v1/agent/check/fail/{id}", "heartbeat", "A TTL check fails", _beat(Health.CRITICAL), NOTE),
    _write("/v1/agent/check/update/{id}", "heartbeat", "What a TTL check says", Writes.update, body="update"),
    _write("/v1/agent/join/{address}", "join", "Join the cluster of the member at this address", Writes.join,
           Param("wan", "false")),
    _write("/v1/agent/reload", "reload", "Read keys, tokens and the services file again", Writes.reload),
    _write("/v1/agent/leave", "leave", "Leave the cluster and stop", Writes.leave),
    _write("/v1/agent/force-leave/{member}", "force-leave", "Declare a dead member left", Writes.force_leave,
           Param("prune", "taken and ignored", "boolean"), Param("wan", "taken and ignored", "boolean")),
    # -- monitoring ----------------------------------------------------------------------------------------------------
    _monitoring("/metrics", "info", "Figures for Prometheus", Monitoring.metrics),
    _monitoring("/healthz", "info", "It runs", Monitoring.alive, open=True),
    _monitoring("/readyz", "info", "It is synced with the cluster", Monitoring.ready, statuses=(503,), open=True),
    _monitoring("/sd/prometheus", "lookup", "Targets for Prometheus (http_sd)", Monitoring.targets,
                SERVICE, TAG, PASSING, gives="list", media="application/json", statuses=(503,)),
    _monitoring("/events", "watch", "Changes of the answers as they come (server-sent events)", Monitoring.events,
                Param("service", "of this name only"),
                media="text/event-stream", statuses=(503,), methods=("GET",)),
    Route("/openapi.json", "info", "This description", "object",
          handle=_description),
    *EUREKA_ROUTES,
)  # fmt: skip

OPEN_PATHS = frozenset(route.path.encode() for route in ROUTES if route.open)
"""The paths that may be read from another machine without a token."""
