#!/usr/bin/env bash
# eureka-js-client 4.5.0, against a registry that answers a registration with 200 OK
#
# A registration is successful with 204 only. With any other 2xx start() reports an error, and the client stops there: it
# sends no heartbeat, and does not try to register again, though the instance is registered. The instance vanishes when
# its lease ends. A refused connection or a 5xx is treated in another way: those are tried again (maxRetries).
#
# Seen with Node 20: requests that arrived within 3 s, with heartbeats set to 200 ms:
#
#   204: POST once, then heartbeats
#   200: POST once, no heartbeat; start() said: eureka registration FAILED: status: 200 body: undefined
#
# Exits with 0 while this is so. Needs node and npm.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts eureka-js-client@4.5.0

cat >run.js <<'JS'
const http = require('http');
const { Eureka } = require('eureka-js-client');
const answer = Number(process.argv[2]);

let posts = 0;
let beats = 0;
const server = http.createServer((request, response) => {
  if (request.method === 'POST') { posts += 1; response.statusCode = answer; response.end(); return; }
  if (request.method === 'PUT') { beats += 1; response.end(); return; }
  response.setHeader('Content-Type', 'application/json');
  response.end('{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}');
});
server.listen(0, '127.0.0.1', () => {
  const client = new Eureka({
    instance: { app: 'me', hostName: 'me', ipAddr: '127.0.0.1', vipAddress: 'me', port: { $: 1, '@enabled': true },
                dataCenterInfo: { name: 'MyOwn' } },
    eureka: { host: '127.0.0.1', port: server.address().port, servicePath: '/eureka/v2/apps/', heartbeatInterval: 200,
              registryFetchInterval: 500, requestRetryDelay: 100 },
  });
  client.logger.level(100);
  let said = '';
  client.start((error) => { said = error ? `; start() said: ${error.message}` : ''; });
  setTimeout(() => {
    console.log(`POST ${posts} times, ${beats > 0 ? 'then heartbeats' : 'no heartbeat'}${said}`);
    process.exit(0);
  }, 3000);
});
JS

for status in 204 200; do
    seen=$(timeout 60 node run.js "$status")
    echo "$status: $seen"
    case $status:$seen in
    "204:POST 1 times, then heartbeats") ;;
    "200:POST 1 times, no heartbeat; start() said: eureka registration FAILED: status: 200"*) ;;
    *) echo "this behaviour has changed"; exit 1 ;;
    esac
done
