#!/usr/bin/env bash
# grpcio 1.85.3 (PyPI), its xDS client; the control plane is of xds-protos 1.85.0
#
# A call with wait_for_ready waits while a channel cannot serve it, and is sent once the channel can. If it waits
# because the name has no Listener (a control plane left it out of a response), and the Listener comes back, the
# channel serves each new call at once, but not those that wait: they end at their deadlines. Calls that wait because
# the Cluster was left out, or because the assignment has no endpoint, are sent. So a control plane should keep the
# Listener of a service that has nobody, and empty its assignment.
#
# Seen, of a call with wait_for_ready and a deadline of 15 s, begun while the resource was out, 1 s before it came
# back; and of a call that is begun 2 s after that:
#
#   Listener: the waiting call DEADLINE_EXCEEDED, the new one OK
#   Cluster: the waiting call OK, the new one OK
#   endpoints of the assignment: the waiting call OK, the new one OK
#
# Exits with 0 while this is so. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet grpcio==1.85.3 xds-protos==1.85.0 2>/dev/null

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


what = sys.argv[1]
full = an_assignment({a_server("a"): 1})
for resource in (a_listener(), a_cluster(), full):
    publish(resource)
client = Python()
assert client.begin(10)() == "OK: a"
if what == "Cluster":
    omit(a_cluster())
elif what == "Listener":
    omit(a_listener())
else:
    publish(an_assignment({}))
time.sleep(1)
assert client.begin(10)().startswith("UNAVAILABLE")
waiting = client.begin(15, waits=True)
time.sleep(1)
publish({"Cluster": a_cluster(), "Listener": a_listener()}.get(what, full))
time.sleep(2)
new = client.begin(10)().split(":")[0]
print(f"{what}: the waiting call {waiting().split(':')[0]}, the new one {new}", flush=True)
os._exit(0)  # the servers' threads wait
PY

for what in Listener Cluster "endpoints of the assignment"; do
  timeout 90 "$folder/v/bin/python" "$folder/run.py" "$what" 2>/dev/null
done | tee "$folder/seen"
diff - "$folder/seen" <<'TEXT' >/dev/null || { echo "this behaviour has changed"; exit 1; }
Listener: the waiting call DEADLINE_EXCEEDED, the new one OK
Cluster: the waiting call OK, the new one OK
endpoints of the assignment: the waiting call OK, the new one OK
TEXT
