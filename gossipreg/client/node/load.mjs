// Middleware for servers: it tells callers how many requests this server has in flight, and obeys what callers say.
//
//     app.use(loadMiddleware());                                   Express
//     createServer(withLoad((request, response) => ...))           node:http
//
// The header `gossipreg-load` of each answer lets callers pick the instance that has least to do. Calls that are made
// with this client while a request is served know whether it is a retry, and until when its caller waits.

import { serving } from "./calling/served.mjs";
import { monotonic } from "./clock.mjs";
import { ATTEMPT, LOAD, TIMEOUT_MS, attemptUntrusted, timeoutMsUntrusted } from "./picking/headers.mjs";

/** A middleware `(request, response, next)`, with a count of its own: use one for a server. */
export function loadMiddleware() {
  let inFlight = 0;
  return (request, response, next) => {
    inFlight++;
    response.once("close", () => void inFlight--);
    const writeHead = response.writeHead;
    response.writeHead = function (...given) {
      if (!response.headersSent) response.setHeader(LOAD, `in_flight=${inFlight}`);
      return writeHead.apply(this, given);
    };
    const timeoutMs = timeoutMsUntrusted(request.headers[TIMEOUT_MS.toLowerCase()]);
    const until = timeoutMs === null ? Infinity : monotonic() + timeoutMs / 1000;
    const served = { depth: attemptUntrusted(request.headers[ATTEMPT.toLowerCase()]), until };
    // Nobody waits for what the program does after its answer.
    response.once("finish", () => Object.assign(served, { depth: 1, until: Infinity }));
    serving(served, next);
  };
}

/** A handler of node:http with the middleware before it. */
export function withLoad(handler) {
  const middleware = loadMiddleware();
  return (request, response) => middleware(request, response, () => handler(request, response));
}
