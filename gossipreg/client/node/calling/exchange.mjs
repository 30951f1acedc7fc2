// One HTTP request to one instance: the URL keeps the service's name, the connection goes to the instance.
//
// It uses node:http and node:https with an agent that keeps connections alive for each instance. Owns: what counts as
// "never sent". A request is never sent as long as its connection is not made (for https: not secure). A connection
// that was kept alive counts as made: when it breaks, the instance may have carried out the request.

import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import { pipeline } from "node:stream";
import { checkServerIdentity } from "node:tls";
import { busyTimer } from "../clock.mjs";
import { BadParams, DeadlineExceeded } from "../errors.mjs";
import { LOAD, loadUntrusted } from "../picking/headers.mjs";
import { NEUTRAL, SUCCESS, isLocal, outcome, statusOutcome } from "../picking/outcomes.mjs";
import { retryAfterUntrusted } from "../picking/retry-after.mjs";

/**
 * A connection that is not used for so long is closed, in milliseconds. Node's servers close theirs after 5 s: a
 * request on one that is just being closed fails, and may not be sent again if it is not idempotent.
 */
const IDLE_MS = 4000;

/** The agents of one registry. `tls`: options of https.Agent, such as `ca`, `cert` and `key`. */
export function makeAgents(tls = {}) {
  return {
    "http:": new http.Agent({ keepAlive: true, timeout: IDLE_MS }),
    "https:": new https.Agent({ ...tls, keepAlive: true, timeout: IDLE_MS }),
    destroy() {
      this["http:"].destroy();
      this["https:"].destroy();
    },
  };
}

/**
 * Send one attempt, and resolve with its answer (see `drive.mjs`): `value` is the IncomingMessage. Never rejects.
 *
 * what: {url, method, headers (a Headers object), body (see body.mjs)}.
 */
export function exchange(agents, what, attempt, signal) {
  return new Promise((resolve) => new Exchange(agents, what, attempt, signal, resolve));
}

class Exchange {
  #what;
  #attempt;
  #signal;
  #resolve;
  #sent;
  #isMade = false; // the connection
  #timedOut = null;
  #bodyFault = null;
  #timers = [];

  constructor(agents, what, attempt, signal, resolve) {
    this.#what = what;
    this.#attempt = attempt;
    this.#signal = signal;
    this.#resolve = resolve;
    try {
      this.#sent = this.#begin(agents);
    } catch (error) {
      this.#settle({ outcome: NEUTRAL, error }); // a header or path that node:http refuses
      return;
    }
    this.#timers.push(busyTimer(() => this.#timeOut("answer", attempt.timeoutS), attempt.timeoutS));
    signal.addEventListener("abort", this.#abort, { once: true });
    this.#sent.on("socket", (socket) => this.#socketCame(socket));
    this.#sent.on("response", (response) => this.#answered(response));
    this.#sent.on("error", (error) => this.#failed(error));
  }

  #begin(agents) {
    const { url, method, headers, body } = this.#what;
    const { instance } = this.#attempt.pick;
    if (!instance.port) throw new BadParams(`${instance.id} has no port, so no request can go to it: register one`);
    const options = {
      host: instance.address,
      port: instance.port,
      path: url.pathname + url.search,
      method,
      headers: { ...Object.fromEntries(headers), ...this.#attempt.headers(), host: url.host, ...framing(method, body) },
      agent: agents[url.protocol],
    };
    if (url.protocol === "http:") return http.request(options);
    const name = instance.meta.tls_name || url.hostname;
    return https.request({
      ...options,
      servername: isIP(name) ? "" : name,
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    });
  }

  // -- the connection -------------------------------------------------------------------------------------------------

  #socketCame(socket) {
    const isSecure = this.#what.url.protocol === "https:";
    if (this.#sent.reusedSocket || (!socket.connecting && !isSecure)) {
      this.#made();
      return;
    }
    const { connectTimeoutS } = this.#attempt;
    this.#timers.push(busyTimer(() => this.#isMade || this.#timeOut("connection", connectTimeoutS), connectTimeoutS));
    socket.once(isSecure ? "secureConnect" : "connect", () => this.#made());
  }

  /** From now on the instance may get bytes; so the body, which may be a stream that can be read once, is opened now.
   * */
  #made() {
    if (this.#isMade || this.#signal.aborted) return;
    this.#isMade = true;
    const body = this.#what.body.open();
    if (body === null || body instanceof Uint8Array) this.#sent.end(body ?? undefined);
    else pipeline(this.#source(body), this.#sent, () => {}); // errors come from the request, or from #source
  }

  /** The pieces of a body that streams. An error of the program's stream is told apart from one of the connection. */
  async *#source(body) {
    try {
      yield* body;
    } catch (error) {
      this.#bodyFault = error;
      this.#sent.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  // -- ends -----------------------------------------------------------------------------------------------------------

  #abort = () => {
    this.#sent.destroy(new Error("aborted"));
  };

  #timeOut(what, seconds) {
    const { instance } = this.#attempt.pick;
    const { method, url } = this.#what;
    this.#timedOut = new DeadlineExceeded(
      `${method} ${url.origin} at ${instance.hostport}: no ${what} within ${Math.round(seconds * 1000)} ms`,
    );
    this.#sent.destroy(this.#timedOut);
  }

  #failed(error) {
    const neverSent = !this.#isMade;
    if (this.#signal.aborted) this.#settle({ outcome: NEUTRAL, error: this.#signal.reason });
    else if (this.#bodyFault !== null) this.#settle({ outcome: NEUTRAL, error: this.#bodyFault });
    else if (this.#timedOut !== null) {
      this.#settle({ outcome: outcome("failure", { timedOut: true, neverSent }), error: this.#timedOut });
    } else if (isLocal(error)) this.#settle({ outcome: NEUTRAL, error: this.#told(error) });
    else this.#settle({ outcome: outcome("failure", { neverSent }), error: this.#told(error) });
  }

  /** What fetch says when no answer came: a TypeError, with the cause. */
  #told(error) {
    const { instance } = this.#attempt.pick;
    const { method, url } = this.#what;
    const why = error.message || error.code;
    return new TypeError(`fetch failed: ${method} ${url.origin} at ${instance.hostport}: ${why}`, { cause: error });
  }

  #answered(response) {
    const { "retry-after": retryAfter, date } = response.headers;
    const retryAfterS = retryAfterUntrusted(retryAfter, date, Date.now() / 1000);
    const found = statusOutcome(response.statusCode, retryAfterS);
    this.#settle({
      outcome: found,
      load: loadUntrusted(response.headers[LOAD]),
      value: response,
      isOpen: found === SUCCESS,
      discard: () => discard(response),
    });
  }

  #settle(answer) {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#signal.removeEventListener("abort", this.#abort);
    this.#resolve(answer);
  }
}

/** A short rest of an unwanted answer is read, so that the connection can be used again; a long one ends it. */
const DISCARDED_MAX = 64 << 10;

function discard(response) {
  let size = 0;
  response.on("data", (piece) => {
    size += piece.length;
    if (size > DISCARDED_MAX) response.destroy();
  });
  response.on("error", () => {});
}

/** How the length of a body is told. */
function framing(method, { size }) {
  if (size === null) return { "transfer-encoding": "chunked" };
  if (size === 0 && ["GET", "HEAD", "DELETE", "OPTIONS"].includes(method)) return {};
  return { "content-length": String(size) };
}
