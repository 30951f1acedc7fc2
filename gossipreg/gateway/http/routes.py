"""The table of all routes. All that is true of a path stands in its route and nowhere else.

`route.py` says what each field of a route means; `route_groups.py` has the functions that make routes with much in
common.
"""

from collections.abc import Callable

from gossipreg.gateway.http.agent import AgentReads
from gossipreg.gateway.http.catalog import CatalogReads
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.dapr.routes import DAPR_ROUTES
from gossipreg.gateway.http.eureka.routes import EUREKA_ROUTES
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.params import ENABLE, NEAR, NODE_META, NOTE, PASSING, REASON, SERVICE, TAG, Param
from gossipreg.gateway.http.parts import Parts
from gossipreg.gateway.http.refusals import EMPTY_LISTS
from gossipreg.gateway.http.route import About, Route
from gossipreg.gateway.http.route_groups import agent_read, catalog_read, health_status, monitoring, write
from gossipreg.gateway.http.ui.routes import UI_ROUTES
from gossipreg.gateway.http.writes import Writes
from gossipreg.model import Health
from gossipreg.net.http_message import Request, json_response

STATES = ("any", "passing", "warning", "critical", "unknown")
"""Consul's state `unknown` does not occur here: a check that has not run yet is critical."""


def _beat(health: Health) -> Callable[[Writes, Request, str], Answer]:
    return lambda writes, request, check: writes.heartbeat(request, check, health)


def _description(parts: Parts, _request: Request) -> Answer:
    return json_response(parts.describe())


ROUTES: tuple[Route, ...] = (
    # -- what all members know -----------------------------------------------------------------------------------------
    catalog_read("/v1/health/service/{service}", "lookup", About.SERVICE,
                 "The instances of a service, with node and checks", CatalogReads.health_service,
                 PASSING, TAG, NODE_META, NEAR, gives="health_entries", filter="entry"),
    catalog_read("/v1/health/checks/{service}", "lookup", About.SERVICE,
                 "The checks of a service", CatalogReads.health_checks,
                 NODE_META, gives="checks", filter="check"),
    catalog_read("/v1/health/state/{state}", "lookup", About.CLUSTER,
                 "The checks in a state: any, passing, warning, critical", CatalogReads.health_state,
                 NODE_META, gives="checks", filter="check", choices=STATES),
    catalog_read("/v1/health/node/{node}", "members", About.NODE,
                 "The checks of a node", CatalogReads.health_node,
                 gives="checks", filter="check"),
    catalog_read("/v1/catalog/services", "services", About.CLUSTER,
                 "The names of all services, with their tags", CatalogReads.services,
                 NODE_META, gives="names", filter="catalog"),
    catalog_read("/v1/catalog/service/{service}", "lookup", About.SERVICE,
                 "All instances of a service, passing or not", CatalogReads.service,
                 TAG, NODE_META, NEAR, gives="catalog_entries", filter="catalog"),
    catalog_read("/v1/catalog/nodes", "members", About.CLUSTER,
                 "The members", CatalogReads.nodes,
                 NODE_META, NEAR, gives="nodes", filter="node"),
    catalog_read("/v1/catalog/node/{node}", "members", About.NODE,
                 "A member and its services, by id", CatalogReads.node,
                 gives="node", filter="service"),
    catalog_read("/v1/catalog/node-services/{node}", "members", About.NODE,
                 "A member and its services, as a list", CatalogReads.node_services,
                 gives="any", filter="service"),
    # -- objects of Consul's that do not exist here --------------------------------------------------------------------
    *(
        catalog_read(path, "lookup", About.NOTHING,
                     f"There are no {what}: always an empty list; a blocking query waits to its end", lambda *_args: [],
                     gives="list")
        for path, what in EMPTY_LISTS.items()
    ),
    *(
        catalog_read(path, "lookup", About.NOTHING,
                     "There are no keys: always not found; a blocking query waits to its end", lambda *_args: None,
                     gives="any", missing=404)
        for path in ("/v1/kv", "/v1/kv/{key}")
    ),
    # -- what is registered here ---------------------------------------------------------------------------------------
    agent_read("/v1/agent/self", "info", "This sidecar", AgentReads.self, gives="object"),
    agent_read("/v1/agent/members", "members", "The members as this sidecar sees them", AgentReads.members,
               gives="members", filter="member"),
    agent_read("/v1/agent/services", "registered", "The services that are registered here, by id", AgentReads.services,
               gives="services", filter="service"),
    agent_read("/v1/agent/service/{id}", "registered", "A service that is registered here", AgentReads.service,
               gives="service", statuses=(404,)),
    agent_read("/v1/agent/checks", "registered", "The checks that run here, by id", AgentReads.checks,
               gives="check_map", filter="check"),
    agent_read("/v1/catalog/datacenters", "info", "The cluster's name", AgentReads.datacenters, gives="texts"),
    agent_read("/v1/status/leader", "info", "The address of this sidecar, since there is no leader", AgentReads.leader,
               gives="text"),
    agent_read("/v1/status/peers", "members", "The addresses of the living members", AgentReads.peers,
               gives="texts"),
    health_status("/v1/agent/health/service/id/{id}", "The health of one service, as the status too",
                  AgentReads.health_of_id, gives="object"),
    health_status("/v1/agent/health/service/name/{name}", "The health of all services of a name, as the status too",
                  AgentReads.health_of_name, gives="list"),
    # -- writes --------------------------------------------------------------------------------------------------------
    write("/v1/agent/service/register", "register", "Register a service, or update it", Writes.register,
          Param("replace-existing-checks", "remove the checks that the request does not name", "boolean"),
          body="registration"),
    write("/v1/agent/service/deregister/{id}", "deregister", "Deregister a service", Writes.deregister),
    write("/v1/agent/service/maintenance/{id}", "maint", "Put a service in maintenance, or end that",
          Writes.maintain, ENABLE, REASON),
    write("/v1/agent/maintenance", "maint", "Put all services of this sidecar in maintenance, or end that",
          Writes.maintain, ENABLE, REASON),
    write("/v1/agent/check/register", "register", "Add a check to a service, or change it", Writes.register_check,
          body="check"),
    write("/v1/agent/check/deregister/{id}", "deregister", "Remove a check", Writes.deregister_check),
    write("/v1/agent/check/pass/{id}", "heartbeat", "Report a TTL check as passing", _beat(Health.PASSING), NOTE),
    write("/v1/agent/check/warn/{id}", "heartbeat", "Report a TTL check as warning", _beat(Health.WARNING), NOTE),
    write("/v1/agent/check/fail/{id}", "heartbeat", "Report a TTL check as critical", _beat(Health.CRITICAL), NOTE),
    write("/v1/agent/check/update/{id}", "heartbeat", "Set the status and output of a TTL check", Writes.update,
          body="update"),
    write("/v1/agent/join/{address}", "join", "Join the cluster of the member at this address", Writes.join,
          Param("wan", "false")),
    write("/v1/agent/reload", "reload", "Read keys, tokens and the services file again", Writes.reload),
    write("/v1/agent/leave", "leave", "Leave the cluster and stop", Writes.leave),
    write("/v1/agent/force-leave/{member}", "force-leave", "Declare a dead member left", Writes.force_leave,
          Param("prune", "accepted and ignored", "boolean"), Param("wan", "accepted and ignored", "boolean")),
    # -- monitoring ----------------------------------------------------------------------------------------------------
    monitoring("/metrics", "info", "Metrics for Prometheus", Monitoring.metrics),
    monitoring("/healthz", "info", "Whether the sidecar runs", Monitoring.alive, open=True),
    monitoring("/readyz", "info", "Whether the sidecar is synced with the cluster", Monitoring.ready,
               statuses=(503,), open=True),
    monitoring("/sd/prometheus", "lookup", "Targets for Prometheus (http_sd)", Monitoring.targets,
               SERVICE, TAG, PASSING, gives="list", media="application/json", statuses=(503,)),
    monitoring("/events", "watch", "Changes of the answers as they come (server-sent events)", Monitoring.events,
               Param("service", "only changes of the service of this name"),
               media="text/event-stream", statuses=(503,), methods=("GET",)),
    Route("/openapi.json", "info", "This description", "object", handle=_description),
    *EUREKA_ROUTES,
    *DAPR_ROUTES,
    *UI_ROUTES,
)  # fmt: skip

_OPEN = [route.path.encode() for route in ROUTES if route.open]
_OPEN_PATHS = frozenset([*_OPEN, *(path.rstrip(b"/") for path in _OPEN)])
_OPEN_BELOW = tuple(path.partition(b"{")[0] for path in _OPEN if path.endswith(b"}"))


def is_open_untrusted(path: bytes) -> bool:
    """Whether this path, as it was sent, may be read from another machine without a token. The router takes it apart at
    its slashes and only then decodes it, so it cannot lead from an open folder to a path that is not open."""
    return path in _OPEN_PATHS or path.startswith(_OPEN_BELOW)
