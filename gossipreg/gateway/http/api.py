"""The table of all there is below this gateway, and how each question comes to its answer.

Owns the wiring: which read has which index, which may wait, and the sentences for what cannot be had here.
"""

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from gossipreg.core.view import View
from gossipreg.gateway.http import ask, knowing
from gossipreg.gateway.http.agent import Agent
from gossipreg.gateway.http.ask import How, flag, one
from gossipreg.gateway.http.blocking import Answers, Question, Topic
from gossipreg.gateway.http.catalog import CatalogEndpoints, Options
from gossipreg.gateway.http.client import Answer
from gossipreg.gateway.http.eureka.routes import REFUSALS as EUREKA_REFUSALS
from gossipreg.gateway.http.eureka.routes import eureka_routes
from gossipreg.gateway.http.filter import compile_filter_untrusted
from gossipreg.gateway.http.message import HttpError, Request, Response, bad_request, json_response, shown
from gossipreg.gateway.http.monitoring import Monitoring
from gossipreg.gateway.http.openapi import describe
from gossipreg.gateway.http.outside import Outside
from gossipreg.gateway.http.own_checks import OwnChecks
from gossipreg.gateway.http.routes import READ, WRITE, Handler, Param, Refusal, Route, Router
from gossipreg.gateway.http.writes import Writes
from gossipreg.model import Change, Health

if TYPE_CHECKING:
    from gossipreg.gateway.http.eureka.resources import Resources

FILTERS = {
    "health_service": "entry", "health_checks": "check", "health_state": "check", "health_node": "check",
    "catalog_service": "catalog", "catalog_services": "catalog", "catalog_nodes": "node", "catalog_node": "service",
    "catalog_node_services": "service",
    "agent_members": "member", "agent_services": "service", "agent_checks": "check",
}  # fmt: skip
"""The questions that take a filter, and the kind of what it chooses from: see `filter.KINDS`."""
NEARABLE = ("health_service", "catalog_service", "catalog_nodes")
STATES = ("any", "passing", "warning", "critical", "unknown")
"""Consul's state `unknown` does not occur here: a check that has not run yet is critical."""
QUESTION_MAX = 2048
"""Characters of names, tags and filter in a question; thousands of questions are kept."""
META_MAX = 16
"""Tags or node-meta pairs that one question may have."""

NONE_OF = {
    "/v1/session/list": "sessions", "/v1/session/node/{node}": "sessions", "/v1/session/info/{id}": "sessions",
    "/v1/event/list": "user events", "/v1/query": "prepared queries", "/v1/coordinate/nodes": "coordinates",
    "/v1/coordinate/datacenters": "coordinates", "/v1/health/connect/{service}": "mesh proxies",
    "/v1/catalog/connect/{service}": "mesh proxies", "/v1/health/ingress/{service}": "gateways",
    "/v1/catalog/gateway-services/{gateway}": "gateways", "/v1/connect/intentions": "intentions",
}  # fmt: skip
"""Paths at which a Consul agent without such objects answers an empty list. Programs read them in passing and expect no
error."""
PRETTY = Param("pretty", "indented", "boolean")
SHOWN = (
    PRETTY, Param("dc", "the cluster's name, or nothing"), Param("stale", "without effect", "boolean"),
    Param("consistent", "without effect", "boolean"), Param("cached", "without effect", "boolean"),
)  # fmt: skip
BLOCKING = (
    Param("index", "wait until the answer's index is another one", "integer"),
    Param("wait", "so long at most, as 30s (5m; at most 10m)"),
)
FILTER = Param("filter", "an expression, as Node.Node == one")
META = Param("node-meta", "KEY:VALUE of the member's labels; repeatable")
TAG = Param("tag", "all of them must be there; repeatable")
NEAR = Param("near", "_agent: the nearest first")


class Api:
    def __init__(
        self, outside: Outside, monitoring: Monitoring, *, tell: Callable[[Any, Any, Response], None],
        rng: random.Random, clock_us: Callable[[], int],
    ) -> None:  # fmt: skip
        self._outside = outside
        self._view: View = outside.view
        self._rng = rng
        own_checks = OwnChecks(outside.registrations, outside.now)
        self.catalog = CatalogEndpoints(outside.view, outside.cluster, own_checks, clock_us)
        self.agent = Agent(outside)
        self._writes = Writes(outside, self.agent)
        self._monitoring = monitoring
        self.answers = Answers(self._render, self._topics, tell=tell, clock_us=clock_us, bug=outside.bug)
        self._agent_reads: dict[str, Callable[..., Any]] = {
            "agent_self": self.agent.self,
            "agent_members": self.agent.members,
            "agent_services": self.agent.services,
            "agent_service": self.agent.service,
            "agent_checks": self.agent.checks,
            "status_leader": self.agent.leader,
            "status_peers": self.agent.peers,
            "catalog_datacenters": lambda: [outside.cluster],
        }
        self._eureka: Resources | None = None
        """Loaded with the first request for it."""
        routes = [*self._reads(), *self._agent(), *self._writing(), *self._other(), *eureka_routes(self._resources)]
        self.router = Router(routes, [*REFUSALS, *EUREKA_REFUSALS])
        self._description = describe(self.router.routes, outside.version)

    def changed(self, changes: Iterable[Change]) -> None:
        """The catalog's answers have changed."""
        if self._eureka is not None:
            self._eureka.changed(changes)

    def _resources(self) -> "Resources":
        if self._eureka is None:
            from gossipreg.gateway.http.eureka.resources import Resources

            self._eureka = Resources(self._outside)
        return self._eureka

    # -- reads ---------------------------------------------------------------------------------------------------------

    def _render(self, question: Question) -> Any:
        read = self._agent_reads.get(question.name)
        if read is not None:
            return read(*question.args)
        now = self._outside.now()
        knowing.check_question(self._view, question.name, question.args, now)
        value = self.catalog.render(question)
        knowing.check_answer(self._view, question.name, value, now)
        return value

    def _topics(self, question: Question) -> tuple[Topic, ...]:
        return () if question.name in self._agent_reads else self.catalog.topics(question)

    def _read(self, name: str, request: Request, *args: str) -> Answer:
        """A read that may wait."""
        ask.check_datacenter(request, self._outside.cluster)
        ask.check_namespace(request)
        node = self.agent.own_node()
        near = name in NEARABLE and ask.near(request, node.name, node.uuid)
        if name == "health_state" and args[0] not in STATES:
            raise bad_request(f"the state is {shown(args[0])}: give {', '.join(STATES)}")
        question = Question(name, args, self._options(name, request, args))
        knowing.check_question(self._view, name, args, self._outside.now())
        how = How(self._view, ask.pretty(request), near, 404 if name == "kv" else 200)
        index, wait_s = ask.waited_index(request), ask.wait_s(request, self._rng)
        found = self.answers.ask(question)
        if index is None or found.index != index:
            return how(found)
        return self.answers.wait(question, how, trio.current_time() + wait_s)

    def _options(self, name: str, request: Request, args: tuple[str, ...]) -> Options:
        filter = _filter(name, request)
        tags = request.query.get("tag", []) if name in ("health_service", "catalog_service") else []
        meta = request.query.get("node-meta", [])
        if len(tags) > META_MAX or len(meta) > META_MAX:
            raise bad_request(f"more than {META_MAX} tags or node-meta: at most {META_MAX}")
        _check_size(filter, *args, *tags, *meta)
        passing = name == "health_service" and flag(request, "passing")
        pairs = tuple(sorted((key, value) for key, _, value in (text.partition(":") for text in meta)))
        return Options(filter, tuple(sorted(tags)), passing, pairs)

    def _local(self, name: str, request: Request, *args: str) -> Answer:
        """A read of what is here; it has an index, and does not wait, with Consul either."""
        _check_size(*args)
        ask.check_namespace(request)
        filter = _filter(name, request)
        if name in FILTERS:
            args = (*args, filter)
        return How(self._view, ask.pretty(request))(self.answers.ask(Question(name, args)))

    def _health_of(self, by: str, request: Request, wanted: str) -> Response:
        """The health of services that are registered here, by id or name: 200, 429 or 503, for load balancers."""
        mine = self.agent.instances()
        found = [one for one in mine if wanted == (one.service.id if by == "id" else one.service.name)]
        if not found:
            raise HttpError(404, "not_found", f"no service of the {by} {shown(wanted)} is registered here")
        worst = max(one.health for one in found)
        status = {Health.PASSING: 200, Health.WARNING: 429}.get(worst, 503)
        shapes = [self.agent.health(one) for one in found]
        if one(request, "format") == "text":
            return Response(status, shapes[0]["AggregatedStatus"].encode(), "text/plain; charset=utf-8")
        return json_response(shapes[0] if by == "id" else shapes, status=status, pretty=ask.pretty(request))

    def _reads(self) -> list[Route]:
        def read(
            path: str, name: str, summary: str, *takes: Param, gives: str, statuses: tuple[int, ...] = ()
        ) -> Route:
            return Route(path, summary, partial(self._read, name), READ, (*takes, *BLOCKING, *SHOWN), gives,
                         blocks=True, statuses=(*statuses, 500))  # fmt: skip

        return [
            read("/v1/health/service/{service}", "health_service", "The instances of a service, with node and checks",
                 Param("passing", "passing ones only", "boolean"), TAG, META, NEAR, FILTER, gives="health_entries"),
            read("/v1/health/checks/{service}", "health_checks", "The checks of a service", META, FILTER,
                 gives="checks"),
            read("/v1/health/state/{state}", "health_state", "The checks in a state: any, passing, warning, critical",
                 META, FILTER, gives="checks"),
            read("/v1/health/node/{node}", "health_node", "The checks of a node", FILTER, gives="checks"),
            read("/v1/catalog/services", "catalog_services", "The names of all services, with their tags", META, FILTER,
                 gives="names"),
            read("/v1/catalog/service/{service}", "catalog_service", "The instances of a service, of whatever health",
                 TAG, META, NEAR, FILTER, gives="catalog_entries"),
            read("/v1/catalog/nodes", "catalog_nodes", "The members", META, NEAR, FILTER, gives="nodes"),
            read("/v1/catalog/node/{node}", "catalog_node", "A member and its services, by id", FILTER, gives="node"),
            read("/v1/catalog/node-services/{node}", "catalog_node_services", "A member and its services, as a list",
                 FILTER, gives="any"),
            *(
                read(path, "none", f"There are no {what}: an empty list, and a wait lasts", gives="list")
                for path, what in NONE_OF.items()
            ),
            read("/v1/kv", "kv", "There are no keys: not found, and a wait lasts", gives="any", statuses=(404,)),
            read("/v1/kv/{key}", "kv", "There are no keys: not found, and a wait lasts", gives="any", statuses=(404,)),
        ]  # fmt: skip

    def _agent(self) -> list[Route]:
        def local(
            path: str, name: str, summary: str, *takes: Param, gives: str, statuses: tuple[int, ...] = ()
        ) -> Route:
            return Route(path, summary, partial(self._local, name), READ, (*takes, PRETTY), gives, statuses=statuses)

        return [
            local("/v1/agent/self", "agent_self", "This sidecar", gives="object"),
            local("/v1/agent/members", "agent_members", "The members as it sees them", FILTER, gives="members"),
            local("/v1/agent/services", "agent_services", "What is registered here, by id", FILTER, gives="services"),
            local("/v1/agent/service/{id}", "agent_service", "One of these", gives="service", statuses=(404,)),
            local("/v1/agent/checks", "agent_checks", "The checks that run here, by id", FILTER, gives="check_map"),
            local("/v1/catalog/datacenters", "catalog_datacenters", "The cluster's name", gives="texts"),
            local("/v1/status/leader", "status_leader", "Who answers: this sidecar", gives="text"),
            local("/v1/status/peers", "status_peers", "The members that live", gives="texts"),
            Route("/v1/agent/health/service/id/{id}", "The health of one of these, also as the status",
                  partial(self._health_of, "id"), READ, (Param("format", "text or json"), PRETTY), "object",
                  statuses=(404, 429, 503)),
            Route("/v1/agent/health/service/name/{name}", "The health of those of a name, also as the status",
                  partial(self._health_of, "name"), READ, (Param("format", "text or json"), PRETTY), "list",
                  statuses=(404, 429, 503)),
        ]  # fmt: skip

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _writing(self) -> list[Route]:
        w = self._writes

        def write(path: str, summary: str, handle: Handler, *takes: Param, body: str | None = None) -> Route:
            return Route(path, summary, handle, WRITE, takes, "nothing", body, statuses=(404, 413, 500, 503))

        note = Param("note", "what to show of it")
        enable, reason = Param("enable", "true or false", "boolean", required=True), Param("reason", "why")

        def beats(health: Health) -> Handler:
            return lambda request, check: w.heartbeat(request, check, health)

        return [
            write("/v1/agent/service/register", "Register a service, or update it", w.register,
                  Param("replace-existing-checks", "those not named go", "boolean"), body="registration"),
            write("/v1/agent/service/deregister/{id}", "Take a service out", w.deregister),
            write("/v1/agent/service/maintenance/{id}", "Take a service out of the answers for a while", w.maintain,
                  enable, reason),
            write("/v1/agent/maintenance", "Take all services of this sidecar out of the answers for a while",
                  lambda request: w.maintain(request, None), enable, reason),
            write("/v1/agent/check/register", "Add a check to a service, or change it", w.register_check, body="check"),
            write("/v1/agent/check/deregister/{id}", "Take a check away", w.deregister_check),
            write("/v1/agent/check/pass/{id}", "A TTL check passes", beats(Health.PASSING), note),
            write("/v1/agent/check/warn/{id}", "A TTL check warns", beats(Health.WARNING), note),
            write("/v1/agent/check/fail/{id}", "A TTL check fails", beats(Health.CRITICAL), note),
            write("/v1/agent/check/update/{id}", "What a TTL check says", w.update, body="update"),
            write("/v1/agent/join/{address}", "Call a member", w.join, Param("wan", "false")),
            write("/v1/agent/reload", "Read keys, tokens and the services file again", w.reload),
            write("/v1/agent/leave", "Leave the cluster and stop", w.leave),
            write("/v1/agent/force-leave/{member}", "Declare a dead member left", w.force_leave,
                  Param("prune", "taken and ignored", "boolean"), Param("wan", "taken and ignored", "boolean")),
        ]  # fmt: skip

    def _other(self) -> list[Route]:
        m = self._monitoring
        text = "text/plain"
        return [
            Route("/metrics", "Figures for Prometheus", m.metrics, media=text, gives="text"),
            Route("/healthz", "It runs", m.alive, media=text, gives="text"),
            Route("/readyz", "It is in step with the cluster", m.ready, media=text, gives="text", statuses=(503,)),
            Route("/sd/prometheus", "Targets for Prometheus (http_sd)", m.targets, gives="list",
                  statuses=(503,),
                  takes=(Param("service", "of this name only; repeatable"), TAG,
                         Param("passing", "passing ones only", "boolean"))),
            Route("/events", "Changes of the answers as they come (server-sent events)", m.events, ("GET",),
                  (Param("service", "of this name only"),), "text", media="text/event-stream", statuses=(503,)),
            Route("/openapi.json", "This description", lambda _request: json_response(self._description),
                  gives="object"),
        ]  # fmt: skip


def _filter(name: str, request: Request) -> str:
    """The filter of this question, one that can be used; empty: none."""
    filter = one(request, "filter") or ""
    if filter:
        if name not in FILTERS:
            raise bad_request("filter: this question takes none")
        compile_filter_untrusted(filter, FILTERS[name])
    return filter


def _check_size(*texts: str) -> None:
    size = sum(map(len, texts))
    if size > QUESTION_MAX:
        raise bad_request(f"the question has {size} characters of names and filter: at most {QUESTION_MAX}")


REFUSALS = [
    Refusal("/v1/kv", "there is no key-value store here: keep values in a database; reads find nothing"),
    Refusal("/v1/session", "there are no sessions and no locks here: use a database for them"),
    Refusal("/v1/txn", "there are no transactions here: register and deregister one by one"),
    Refusal("/v1/acl", "there are no ACLs here: --http-token-file says which tokens may write"),
    Refusal("/v1/connect", "there is no service mesh here"),
    Refusal("/v1/agent/connect", "there is no service mesh here"),
    Refusal("/v1/catalog/connect", "there is no service mesh here"),
    Refusal("/v1/health/connect", "there is no service mesh here"),
    Refusal("/v1/health/ingress", "there is no service mesh here"),
    Refusal("/v1/catalog/gateway-services", "there is no service mesh here"),
    Refusal("/v1/config", "there are no configuration entries here"),
    Refusal("/v1/discovery-chain", "there is no service mesh here"),
    Refusal("/v1/intentions", "there is no service mesh here"),
    Refusal("/v1/exported-services", "there are no peers and partitions here"),
    Refusal("/v1/peering", "there are no peers and partitions here"),
    Refusal("/v1/peerings", "there are no peers and partitions here"),
    Refusal("/v1/namespaces", "there is one namespace here"),
    Refusal("/v1/namespace", "there is one namespace here"),
    Refusal("/v1/partitions", "there is one partition here"),
    Refusal("/v1/partition", "there is one partition here"),
    Refusal("/v1/query", "there are no prepared queries here: ask /v1/health/service/NAME?passing&near=_agent"),
    Refusal("/v1/event", "there are no user events here"),
    Refusal("/v1/coordinate", "there are no coordinates here: near=_agent sorts by measured round trips"),
    Refusal("/v1/operator", "there are no servers and no Raft here"),
    Refusal("/v1/snapshot", "there is nothing to be saved: each sidecar keeps what is registered with it"),
    Refusal("/v1/catalog/register", "every sidecar registers its own: ask /v1/agent/service/register of that one"),
    Refusal("/v1/catalog/deregister", "every sidecar takes out its own: ask its /v1/agent/service/deregister"),
    Refusal("/v1/agent/token", "there are no ACLs here: tokens stand in the file of --http-token-file"),
    Refusal("/v1/agent/metrics", "ask /metrics, for Prometheus"),
    Refusal("/v1/agent/monitor", "the log goes to stderr"),
    Refusal("/v1/agent/host", "this sidecar tells nothing of its host"),
    Refusal("/v1/internal", "this is for Consul's own page"),
]
