#!/usr/bin/env bash
# @dapr/dapr 3.18.0 (npm), DaprServer over HTTP
#
# A handler of an event that throws is logged, and the sidecar is answered 200 {"status":"SUCCESS"}: the event is done,
# and lost. Dapr's own rule is that an error is tried again; other SDKs answer 500 then. The way out is to catch all
# errors in the handler and return DaprPubSubStatusEnum.RETRY.
#
# Seen:
#
#   a handler that threw: 200 {"status":"SUCCESS"}
#   a handler that returned RETRY: 200 {"status":"RETRY"}
#
# Exits with 0 while this is so. Needs node, npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" @dapr/dapr@3.18.0 >/dev/null 2>&1

cat >"$folder/run.js" <<'JS'
const http = require('http');
const { DaprServer, CommunicationProtocolEnum, DaprPubSubStatusEnum } = require('@dapr/dapr');
const free = () => new Promise((done) => {
  const one = http.createServer().listen(0, '127.0.0.1', () => {
    const { port } = one.address();
    one.close(() => done(String(port)));
  });
});
(async () => {
  // What the SDK waits for before it starts.
  const sidecar = http.createServer((_request, response) => response.end('{"id":"app"}'));
  await new Promise((done) => sidecar.listen(0, '127.0.0.1', done));
  const port = await free();
  const server = new DaprServer({
    serverHost: '127.0.0.1', serverPort: port, communicationProtocol: CommunicationProtocolEnum.HTTP,
    clientOptions: { daprHost: '127.0.0.1', daprPort: String(sidecar.address().port) },
    logger: { level: 'error' },
  });
  await server.pubsub.subscribe('p', 'throws', async () => { throw new Error('not done'); });
  await server.pubsub.subscribe('p', 'retries', async () => DaprPubSubStatusEnum.RETRY);
  await server.start();
  const wanted = await (await fetch(`http://127.0.0.1:${port}/dapr/subscribe`)).json();
  const answers = {};
  for (const { topic, route, routes } of wanted) {
    const response = await fetch(`http://127.0.0.1:${port}${(routes && routes.default) || route}`, {
      method: 'POST', headers: { 'content-type': 'application/cloudevents+json' },
      body: JSON.stringify({ specversion: '1.0', id: '1', source: 's', type: 't', topic, pubsubname: 'p', data: {} }),
    });
    answers[topic] = `${response.status} ${await response.text()}`;
  }
  console.log('a handler that threw:', answers.throws);
  console.log('a handler that returned RETRY:', answers.retries);
  process.exit(answers.throws === '200 {"status":"SUCCESS"}' ? 0 : 1);
})().catch((error) => { console.error(error); process.exit(2); });
JS
cd "$folder" && node run.js 2>/dev/null
