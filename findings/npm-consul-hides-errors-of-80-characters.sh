#!/usr/bin/env bash
# consul 2.0.1 of npm (the client of Consul's HTTP API for Node.js; papi 1.1.2 does its requests)
#
# Consul's agent says in a text/plain body why it refuses a request. The client shows that sentence as the error's message
# only if it has fewer than 80 characters. A longer sentence is not cut: the name of the status replaces it, so a
# developer sees only "bad request", and the reason is only in `error.response.body`.The same mistake has a good message
# with a short service name and none with a long one, since agents quote what was wrong. A server that wants to be
# understood has to say what to do in 79 characters.
#
# Seen (status 400, Content-Type text/plain):
#
#   a sentence of 79 characters: the sentence
#   a sentence of 80 characters: bad request
#
# Exits with 0 while this is so. Needs node and npm. The HTTP server is in this script.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder" consul@2.0.1 >/dev/null 2>&1

cat >"$folder/run.cjs" <<'JS'
const http = require('http');
const Consul = require('consul');

const server = http.createServer((request, response) => {
  const size = Number(new URL(request.url, 'http://x').pathname.split('/').pop());
  request.resume().on('end', () => {
    response.writeHead(400, { 'Content-Type': 'text/plain; charset=utf-8' });
    response.end('Invalid check: TTL must be greater than 0'.padEnd(size, '.'));
  });
});
server.listen(0, '127.0.0.1', async () => {
  const consul = new Consul({ host: '127.0.0.1', port: server.address().port });
  let fine = true;
  for (const [size, whole] of [[79, true], [80, false]]) {
    const error = await consul.agent.service.deregister(String(size)).then(() => null, (error) => error);
    const sentence = 'Invalid check: TTL must be greater than 0'.padEnd(size, '.');
    const shown = error.message.endsWith(sentence) ? 'the sentence' : error.message;
    console.log(`a sentence of ${size} characters: ${shown}`);
    fine &&= whole ? shown === 'the sentence' : shown.endsWith('bad request') && error.response.body === sentence;
  }
  server.close();
  process.exit(fine ? 0 : 1);
});
JS
NODE_PATH=$folder/node_modules node "$folder/run.cjs"
