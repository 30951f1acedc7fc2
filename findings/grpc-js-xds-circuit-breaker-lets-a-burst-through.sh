#!/usr/bin/env bash
# @grpc/grpc-js-xds 1.14.1 with @grpc/grpc-js 1.14.7 (npm); the control plane is of grpcio 1.85.3 and xds-protos 1.85.0
#
# A cluster's circuit breaker max_requests is the number of calls that may be under way at once (gRFC A32). The client
# counts a call when it is sent, and looks at the count when it picks an endpoint for it. Calls that a program begins
# in the same turn of its event loop are all picked before one of them is counted, so all of them are sent, whatever
# the limit: a burst, which is what a circuit breaker is for, passes. Calls that come one after another are counted.
# grpcio drops all but three in both cases.
#
# Seen, with max_requests 3 and a server that answers after 1 s:
#
#   10 calls, 50 ms between them: 3 sent, 7 dropped
#   10 calls in one turn: 10 sent, 0 dropped
#
# Exits with 0 while this is so. Needs node, npm, python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet grpcio==1.85.3 xds-protos==1.85.0 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" @grpc/grpc-js-xds@1.14.1 @grpc/grpc-js@1.14.7 \
  >/dev/null 2>&1

cat >"$folder/serve.py" <<'PY'
"""A server that answers after 1 s, and a control plane that says so; prints the port of the latter."""
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpConnectionManager
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse


def serve(service, **methods):
    server = grpc.server(ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


backend, port = serve("test", Slow=grpc.unary_unary_rpc_method_handler(lambda data, _context: time.sleep(1) or data))
manager = HttpConnectionManager(http_filters=[{"name": "router", "typed_config": {}}])
manager.http_filters[0].typed_config.Pack(Router())
route = manager.route_config.virtual_hosts.add(name="web", domains=["*"]).routes.add()
route.match.prefix = ""
route.route.cluster = "web"
listener = Listener(name="web")
listener.api_listener.api_listener.Pack(manager)
cluster = Cluster(name="web", type="EDS")
cluster.eds_cluster_config.eds_config.ads.SetInParent()
cluster.circuit_breakers.thresholds.add(max_requests={"value": 3})
assignment = ClusterLoadAssignment(cluster_name="web")
group = assignment.endpoints.add(load_balancing_weight={"value": 1}, locality={"zone": "z"})
address = group.lb_endpoints.add().endpoint.address.socket_address
address.address, address.port_value = "127.0.0.1", port
known = {f"type.googleapis.com/{one.DESCRIPTOR.full_name}": one for one in (listener, cluster, assignment)}


def stream(requests, _context):
    for request in requests:
        if not request.response_nonce and request.type_url in known:
            answer = DiscoveryResponse(type_url=request.type_url, version_info="1", nonce="1")
            answer.resources.add().Pack(known[request.type_url])
            yield answer


method = grpc.stream_stream_rpc_method_handler(stream, DiscoveryRequest.FromString, DiscoveryResponse.SerializeToString)
plane, at = serve("envoy.service.discovery.v3.AggregatedDiscoveryService", StreamAggregatedResources=method)
print(at, flush=True)
plane.wait_for_termination()
PY

cat >"$folder/run.js" <<'JS'
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();
const same = (data) => data;
const client = new grpc.Client('xds:///web', grpc.credentials.createInsecure());
const call = () => new Promise((done) => client.makeUnaryRequest(
  '/test/Slow', same, same, Buffer.from(''), { deadline: Date.now() + 20000 }, (error) => done(error ? 'dropped' : 'sent')));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const ten = async (ms) => {
  const calls = [];
  for (let i = 0; i < 10; i++) {
    calls.push(call());
    if (ms) await pause(ms);
  }
  const ended = await Promise.all(calls);
  return `${ended.filter((one) => one === 'sent').length} sent, ${ended.filter((one) => one === 'dropped').length} dropped`;
};
(async () => {
  await call(); // connected
  console.log('10 calls, 50 ms between them:', await ten(50));
  console.log('10 calls in one turn:', await ten(0));
  process.exit(0);
})();
JS

"$folder/v/bin/python" "$folder/serve.py" >"$folder/port" 2>/dev/null &
server=$!
for _ in $(seq 300); do [[ -s $folder/port ]] && break; sleep 0.1; done
export GRPC_XDS_BOOTSTRAP_CONFIG='{"xds_servers":[{"server_uri":"127.0.0.1:'$(cat "$folder/port")'","channel_creds":[{"type":"insecure"}]}],"node":{"id":"test","locality":{"zone":"z"}}}'
seen=$(cd "$folder" && timeout 60 node run.js 2>/dev/null)
echo "$seen"
[[ $seen == "10 calls, 50 ms between them: 3 sent, 7 dropped
10 calls in one turn: 10 sent, 0 dropped" ]] || { echo "this behaviour has changed"; exit 1; }
