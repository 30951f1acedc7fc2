"""Objects of Consul's that do not exist here: paths that answer an empty list, and paths that answer the reason."""

from gossipreg.gateway.http.dapr.routes import DAPR_REFUSALS
from gossipreg.gateway.http.eureka.routes import EUREKA_REFUSALS
from gossipreg.gateway.http.route import Refusal

EMPTY_LISTS = {
    "/v1/session/list": "sessions", "/v1/session/node/{node}": "sessions", "/v1/session/info/{id}": "sessions",
    "/v1/event/list": "user events", "/v1/query": "prepared queries", "/v1/coordinate/nodes": "coordinates",
    "/v1/coordinate/datacenters": "coordinates", "/v1/health/connect/{service}": "mesh proxies",
    "/v1/catalog/connect/{service}": "mesh proxies", "/v1/health/ingress/{service}": "gateways",
    "/v1/catalog/gateway-services/{gateway}": "gateways", "/v1/connect/intentions": "intentions",
}  # fmt: skip
"""Paths at which a Consul agent without such objects answers an empty list. Programs read them and expect no error."""

REFUSALS = (
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
    Refusal("/v1/snapshot", "there are no snapshots here: each sidecar keeps what is registered with it"),
    Refusal(
        "/v1/catalog/register",
        "each sidecar registers its own services: use /v1/agent/service/register of that sidecar",
    ),
    Refusal(
        "/v1/catalog/deregister",
        "each sidecar deregisters its own services: use /v1/agent/service/deregister of that sidecar",
    ),
    Refusal("/v1/agent/token", "there are no ACLs here: the file of --http-token-file has the tokens"),
    Refusal("/v1/agent/metrics", "there are no streamed metrics here: use /metrics, for Prometheus"),
    Refusal("/v1/agent/monitor", "the log is not available here: it goes to stderr"),
    Refusal("/v1/agent/host", "there are no facts about the host here"),
    Refusal("/v1/internal", "this is for Consul's own page"),
    *EUREKA_REFUSALS,
    *DAPR_REFUSALS,
)
"""The longest path that fits a request gives the reason."""
