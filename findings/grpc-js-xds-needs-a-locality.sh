#!/usr/bin/env bash
# @grpc/grpc-js-xds 1.14.1 with @grpc/grpc-js 1.14.7 (npm); beside it grpcio 1.85.3
#
# The node of a bootstrap has optional fields, locality among them: gRFC A27 says so, and grpcio takes a node with an id
# alone. The Node.js client refuses the whole bootstrap if the node has no locality, also an empty one. It does not say
# so: each call fails with an error about a property of null, which names neither the bootstrap nor the locality. Only
# GRPC_TRACE=xds_client with GRPC_VERBOSITY=DEBUG shows more. Without a node it would make up one, with `locality: {}`.
#
# Seen, with no control plane at the address, and a call with 3 s of time:
#
#   without a locality: UNAVAILABLE, xDS name resolution failed for target xds:///web: Cannot read properties of null
#     (reading 'clientDefaultListenerResourceNameTemplate')
#   with "locality":{}: DEADLINE_EXCEEDED, it waits for the control plane
#   grpcio without a locality: it waits for the control plane, or says that it cannot be reached
#
# Exits with 0 while this is so. Needs node, npm, python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet grpcio==1.85.3 2>/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" @grpc/grpc-js-xds@1.14.1 @grpc/grpc-js@1.14.7 \
  >/dev/null 2>&1

cat >"$folder/run.js" <<'JS'
const grpc = require('@grpc/grpc-js');
require('@grpc/grpc-js-xds').register();
const same = (data) => data;
const client = new grpc.Client('xds:///web', grpc.credentials.createInsecure());
client.makeUnaryRequest('/test/Call', same, same, Buffer.from(''), { deadline: Date.now() + 3000 }, (error) => {
  console.log(`${grpc.status[error.code]}, ${error.details}`);
  process.exit(0);
});
JS
cat >"$folder/run.py" <<'PY'
import grpc

with grpc.insecure_channel("xds:///web") as channel:
    try:
        channel.unary_unary("/test/Call")(b"", timeout=3)
    except grpc.RpcError as error:
        print(f"{error.code().name}, {error.details()}")
PY

bootstrap() {
  echo '{"xds_servers":[{"server_uri":"127.0.0.1:9","channel_creds":[{"type":"insecure"}]}],"node":{"id":"test"'"$1"'}}'
}
cd "$folder"
without=$(GRPC_XDS_BOOTSTRAP_CONFIG=$(bootstrap '') timeout 60 node run.js 2>/dev/null)
with=$(GRPC_XDS_BOOTSTRAP_CONFIG=$(bootstrap ',"locality":{}') timeout 60 node run.js 2>/dev/null)
python=$(GRPC_XDS_BOOTSTRAP_CONFIG=$(bootstrap '') timeout 60 v/bin/python run.py 2>/dev/null)
printf 'without a locality: %s\nwith an empty one: %s\ngrpcio without a locality: %s\n' "$without" "$with" "$python"
[[ $without == "UNAVAILABLE, "*"Cannot read properties of null"*"clientDefaultListenerResourceNameTemplate"* ]] ||
  { echo "this behaviour has changed"; exit 1; }
[[ $with != *"properties of null"* && $python != *"null"* && -n $with && -n $python ]] ||
  { echo "this behaviour has changed"; exit 1; }
