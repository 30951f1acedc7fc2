// What the end of a request says about the instance that served it.
//
//     success      it answered
//     failure      it did not: counts towards ejection, breaker and retries; its latency counts as at least twice the
//                  p95, since an instance that fails fast must not look fast (sinkholing; Wydrowski et al., NSDI 2024)
//     overloaded   it refused for load (429): counts for latency alone
//     neutral      it says nothing about the instance: an error of the caller's own code, a cancellation, a local limit
//
// In each case the request is in flight no longer.

import { provesNotSent } from "./not-sent.mjs";
import { retryAfterUntrusted } from "./retry-after.mjs";

const FAILURE_STATUSES = new Set([500, 502, 503, 504]);
const OVERLOAD_STATUS = 429;

/** Limits of this host: no port, descriptor, memory or space left. No instance is at fault. */
const LOCAL_CODES = new Set(["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ENOSPC", "EDQUOT"]);
/** Codes of the system that no connection to an instance gives. */
const OF_FILES_AND_PROCESSES = new Set(["ENOENT", "EEXIST", "EISDIR", "ENOTDIR", "ECHILD", "ESRCH"]);
const TIMEOUT_CODES = new Set([
  "ETIMEDOUT",
  "ESOCKETTIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);
/** An error is rarely wrapped more often, and a chain may be a circle. */
const CHAIN_MAX = 8;
/** Errors of connections that carry no number of the system. */
const OF_CONNECTIONS = new Set(["UND_ERR_SOCKET", "ERR_STREAM_PREMATURE_CLOSE"]);

/**
 * kind; neverSent: the instance got no byte of the request, so it can be sent again whatever it does; timedOut;
 * retryAfterS: the server asked to wait so long, or null.
 */
export function outcome(kind, { neverSent = false, timedOut = false, retryAfterS = null } = {}) {
  return Object.freeze({ kind, neverSent, timedOut, retryAfterS });
}

export const SUCCESS = outcome("success");
export const FAILURE = outcome("failure");
export const TIMED_OUT = outcome("failure", { timedOut: true });
export const NEVER_SENT = outcome("failure", { neverSent: true });
export const NEUTRAL = outcome("neutral");

/** The outcome of a response with this HTTP status. */
export function statusOutcome(status, retryAfterS = null) {
  if (FAILURE_STATUSES.has(status)) return outcome("failure", { retryAfterS });
  if (status === OVERLOAD_STATUS) return outcome("overloaded", { retryAfterS });
  return SUCCESS;
}

/**
 * The outcome of a request that ended with this error. wallS: see `retryAfterUntrusted`.
 *
 * An error that carries the response's status is what the status and its Retry-After say. Otherwise the first error of
 * the system or timeout counts in the chain of `cause`: fetch wraps its own.
 */
export function errorOutcome(error, wallS = null) {
  return chainOutcome(error, wallS, CHAIN_MAX);
}

/** deepest: so many errors are looked at, one inside the other. */
function chainOutcome(error, wallS, deepest) {
  const found = statusOf(error);
  if (found !== null) return statusOutcome(found.status, retryAfterOf(found.holder, wallS));
  let cause = error;
  for (let left = deepest; left > 0 && cause instanceof Error; left--) {
    if (provesNotSent(cause)) return notSentOutcome(cause);
    if (cause.name === "TimeoutError" || TIMEOUT_CODES.has(cause.code)) return TIMED_OUT;
    if (Array.isArray(cause.errors)) return worstOf(cause.errors, wallS, left - 1);
    if (OF_CONNECTIONS.has(cause.code)) return FAILURE;
    if (typeof cause.errno === "number" || cause.syscall !== undefined || cause.code === "ECONNRESET") {
      return systemOutcome(cause.code);
    }
    cause = cause.cause;
  }
  return NEUTRAL;
}

function notSentOutcome({ code }) {
  if (LOCAL_CODES.has(code)) return NEUTRAL;
  return outcome("failure", { neverSent: true, timedOut: TIMEOUT_CODES.has(code) });
}

/** Of an AggregateError, such as that of all addresses of a name: nothing was sent if none of them sent it. An error of
 * the program proves nothing: it may have come after the request. */
function worstOf(errors, wallS, deepest) {
  const outcomes = errors.map((error) => chainOutcome(error, wallS, deepest));
  const failures = outcomes.filter(({ kind }) => kind !== "neutral");
  const worst = failures.find(({ neverSent }) => !neverSent) ?? failures[0] ?? NEUTRAL;
  const unproven = errors.some((error, at) => outcomes[at].kind === "neutral" && !isLocal(error));
  return unproven && worst.neverSent ? outcome(worst.kind, { ...worst, neverSent: false }) : worst;
}

function systemOutcome(code) {
  return OF_FILES_AND_PROCESSES.has(code) || LOCAL_CODES.has(code) ? NEUTRAL : FAILURE;
}

/** Whether this error is a limit of this host, for which no instance is at fault. */
export function isLocal(error) {
  return LOCAL_CODES.has(error?.code);
}

function statusOf(error) {
  if (!(error instanceof Error)) return null;
  for (const holder of [error.response, error]) {
    for (const name of ["statusCode", "status"]) {
      const status = holder?.[name];
      if (Number.isInteger(status) && status >= 100 && status <= 599) return { status, holder };
    }
  }
  return null;
}

/** What the headers beside a status say: those of fetch, or an object of node:http and others. */
function retryAfterOf({ headers }, wallS) {
  const read = (name) => (typeof headers?.get === "function" ? headers.get(name) : headers?.[name]) ?? null;
  return retryAfterUntrusted(read("retry-after"), read("date"), wallS);
}
