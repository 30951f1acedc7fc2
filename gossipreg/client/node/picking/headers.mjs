// The HTTP headers and methods that picking and retries know. All of it is untrusted text.
//
// Gossipreg-Attempt      to the server: 2 or more if this request is a retry, or serves one
// Gossipreg-Timeout-Ms   to the server: how long the caller still waits. A duration, so clocks need not agree
// gossipreg-load         from the server: `in_flight=12`, its requests in flight, this one included
// Idempotency-Key        of a request that may be sent again whatever its method is
// Retry-After            from the server: do not come back earlier; `retry-after.mjs` reads it

export const ATTEMPT = "Gossipreg-Attempt";
export const TIMEOUT_MS = "Gossipreg-Timeout-Ms";
export const LOAD = "gossipreg-load";
export const IDEMPOTENCY_KEY = "Idempotency-Key";

/** RFC 9110, section 9.2.2, without TRACE, which nobody sends to a service. */
const IDEMPOTENT_METHODS = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);
/** A larger number in a header is taken for nonsense. */
const NUMBER_MAX = 1_000_000;

/** What a server has to know: how long its caller waits, and whether this is a retry (`number` is 2 or more). */
export function attemptHeaders(timeoutS, number) {
  const sent = { [TIMEOUT_MS]: String(Math.max(1, Math.floor(timeoutS * 1000))) };
  if (number > 1) sent[ATTEMPT] = String(number);
  return sent;
}

/** Whether a request may be sent again after it was sent. That its body can be is for the caller to know. `headers`: a
 * Headers object. */
export function isIdempotent(method, headers) {
  return IDEMPOTENT_METHODS.has(method.toUpperCase()) || headers.has(IDEMPOTENCY_KEY);
}

/** The depth for `callOptions` that the header Gossipreg-Attempt of an incoming request asks for; 1 if it has none. */
export function attemptUntrusted(text) {
  return Math.max(1, number(text) ?? 1);
}

/** The milliseconds that the caller of an incoming request still waits; null if it says nothing. */
export function timeoutMsUntrusted(text) {
  return number(text);
}

/** The requests in flight that a server tells in gossipreg-load; null if it tells none. */
export function loadUntrusted(text) {
  for (const part of String(text ?? "").split(",")) {
    const [name, ...value] = part.split("=");
    if (name.trim().toLowerCase() === "in_flight") return number(value.join("="));
  }
  return null;
}

function number(text) {
  const digits = /^\s*([0-9]{1,7})\s*$/.exec(String(text ?? ""));
  const found = digits === null ? null : Number(digits[1]);
  return found !== null && found <= NUMBER_MAX ? found : null;
}
