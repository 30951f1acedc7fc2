// Real HTTP servers on loopback, registered as instances of services.

import http from "node:http";
import https from "node:https";
import { createServer } from "node:net";

const running = new Set();

/** A server with this handler, on a port that the kernel chooses. */
export async function serve(handler, tls = null) {
  const server = tls === null ? http.createServer(handler) : https.createServer(tls, handler);
  running.add(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

/** A handler that always gives this answer. */
export function answer(status, body = "", headers = {}) {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  };
}

/** A server of bytes, for answers that no HTTP server gives. */
export async function serveBytes(handler) {
  const server = createServer(handler);
  server.closeAllConnections = () => {};
  running.add(server);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

/** A port on which nobody listens. */
export async function deadPort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function endServers() {
  for (const server of running) {
    server.close();
    server.closeAllConnections();
  }
  running.clear();
}
