#!/usr/bin/env bash
# @grpc/grpc-js-xds 1.14.1 with @grpc/grpc-js 1.14.7 (npm); beside it grpcio 1.85.3 with xds-protos 1.85.0
#
# A route configuration may have no virtual host for the name that a client calls. The resource is good and is
# acknowledged, but calls can lead nowhere. grpcio fails them at once and names the cause. In the Node.js client each
# call waits to its deadline, and then says only that it was "waiting for name resolution"; the control plane hears
# nothing either. A capital letter in the domain is enough, which makes no difference to grpcio. So a control plane
# whose Listener is for one name gives it the domain "*".
#
# Seen, for a call of `xds:///web` with a deadline of 10 s:
#
#   grpcio, domain *: OK
#   grpcio, domain WEB: OK
#   grpcio, domain other: UNAVAILABLE, could not find VirtualHost for web in RouteConfiguration
#   grpc-js, domain *: OK
#   grpc-js, domain WEB: DEADLINE_EXCEEDED, waiting for name resolution
#   grpc-js, domain other: DEADLINE_EXCEEDED, waiting for name resolution
#
# Exits with 0 while this is so. Needs node, npm, python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet grpcio==1.85.3 xds-protos==1.85.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" @grpc/grpc-js-xds@1.14.1 @grpc/grpc-js@1.14.7 \
  >/dev/null 2>&1

cat >"$folder/caller.js" <<'JS'
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();
const same = (data) => data;
const client = new grpc.Client('xds:///web', grpc.credentials.createInsecure());
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [seconds, waits] = line.split(' ').map(Number);
  const metadata = new grpc.Metadata({ waitForReady: waits === 1 });
  const options = { deadline: Date.now() + 1000 * seconds };
  client.makeUnaryRequest('/test/Call', same, same, Buffer.from(''), metadata, options, (error, answer) =>
    console.log(error ? `${grpc.status[error.code]}: ${error.details.replace(/\s+/g, ' ')}` : `OK: ${answer}`));
}).on('close', () => process.exit(0));
console.log('ready');
JS

cat >"$folder/run.py" <<'PY'
import json
import os
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse

servers, streams, refused = [], [], []
known = {}  # the resource `web` of each type


def serve(service, **methods):
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    servers.append(server)
    return port


def discover(requests, _context):
    """A stream in the state of the world: answers each new name, and what `publish` and `omit` put into `inbox`."""
    inbox, asked, number = queue.Queue(), {}, 0
    streams.append(inbox)
    threading.Thread(target=lambda: [inbox.put(one) for one in requests], daemon=True).start()
    while True:
        event = inbox.get()
        if isinstance(event, str):
            kind, wanted = event, event in asked
        else:
            kind, names = event.type_url, set(event.resource_names)
            wanted = not event.response_nonce or bool(names - asked.get(kind, set()))
            asked[kind] = names
            if event.HasField("error_detail"):
                refused.append(event.error_detail.message)
        if wanted:
            number += 1
            answer = DiscoveryResponse(type_url=kind, version_info=str(number), nonce=str(number))
            if "web" in asked[kind] and kind in known:
                answer.resources.add().Pack(known[kind])
            yield answer


def kind_of(resource):
    return f"type.googleapis.com/{resource.DESCRIPTOR.full_name}"


def publish(resource):
    known[kind_of(resource)] = resource
    for inbox in streams:
        inbox.put(kind_of(resource))


def omit(resource):
    del known[kind_of(resource)]
    for inbox in streams:
        inbox.put(kind_of(resource))


def a_listener():
    manager = HttpConnectionManager(http_filters=[{"name": "router", "typed_config": {}}])
    manager.http_filters[0].typed_config.Pack(Router())
    route = manager.route_config.virtual_hosts.add(name="web", domains=["*"]).routes.add()
    route.match.prefix = ""
    route.route.cluster = "web"
    made = Listener(name="web")
    made.api_listener.api_listener.Pack(manager)
    return made


def a_cluster():
    made = Cluster(name="web", type="EDS")
    made.eds_cluster_config.eds_config.ads.SetInParent()
    return made


def an_assignment(ports):
    """With `ports` as keys, and a weight for each."""
    made = ClusterLoadAssignment(cluster_name="web")
    group = made.endpoints.add(load_balancing_weight={"value": 1}, locality={"zone": "z"})
    for port, weight in ports.items():
        one = group.lb_endpoints.add(load_balancing_weight={"value": weight})
        address = one.endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    return made


def a_server(name):
    return serve("test", Call=grpc.unary_unary_rpc_method_handler(lambda _data, _context: name.encode()))


ads = grpc.stream_stream_rpc_method_handler(discover, DiscoveryRequest.FromString, DiscoveryResponse.SerializeToString)
at = serve("envoy.service.discovery.v3.AggregatedDiscoveryService", StreamAggregatedResources=ads)
os.environ["GRPC_XDS_BOOTSTRAP_CONFIG"] = json.dumps({
    "xds_servers": [{"server_uri": f"127.0.0.1:{at}", "channel_creds": [{"type": "insecure"}]}],
    "node": {"id": "test", "locality": {"zone": "z"}},
})


class Python:
    """A channel of grpcio."""

    def __init__(self):
        self.channel = grpc.insecure_channel("xds:///web")

    def begin(self, seconds, waits=False):
        """Begin a call; what this returns waits for its end, and returns its status and answer or reason."""
        call = self.channel.unary_unary("/test/Call").future(b"", timeout=seconds, wait_for_ready=waits)
        return lambda: f"{call.code().name}: {call.details() or call.result().decode()}"


class Node:
    """A channel of grpc-js, in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen(["node", "caller.js"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def begin(self, seconds, waits=False):
        """Begin a call; what this returns waits for its end, and returns its status and answer or reason."""
        print(seconds, int(waits), file=self.process.stdin, flush=True)
        return lambda: self.process.stdout.readline().strip()


client, domain = sys.argv[1:3]
channel = {"grpcio": Python, "grpc-js": Node}[client]()
listener = a_listener()
manager = HttpConnectionManager()
listener.api_listener.api_listener.Unpack(manager)
manager.route_config.virtual_hosts[0].domains[0] = domain
listener.api_listener.api_listener.Pack(manager)
for resource in (listener, a_cluster(), an_assignment({a_server("a"): 1})):
    publish(resource)
status, _, text = channel.begin(10)().partition(": ")
assert not refused, refused
for known_text in ("could not find VirtualHost for web in RouteConfiguration", "waiting for name resolution"):
    status += f", {known_text}" if known_text in text else ""
print(f"{client}, domain {domain}: {status}", flush=True)
os._exit(0)  # the servers' threads wait; a client of Node.js ends with its input
PY

cd "$folder"
for client in grpcio grpc-js; do
  for domain in "*" WEB other; do
    timeout 60 v/bin/python run.py "$client" "$domain" 2>/dev/null
  done
done | tee seen
diff - seen <<'TEXT' >/dev/null || { echo "this behaviour has changed"; exit 1; }
grpcio, domain *: OK
grpcio, domain WEB: OK
grpcio, domain other: UNAVAILABLE, could not find VirtualHost for web in RouteConfiguration
grpc-js, domain *: OK
grpc-js, domain WEB: DEADLINE_EXCEEDED, waiting for name resolution
grpc-js, domain other: DEADLINE_EXCEEDED, waiting for name resolution
TEXT
