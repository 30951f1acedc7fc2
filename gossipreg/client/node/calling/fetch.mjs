// `registry.fetch`: fetch, where `http://NAME.service/path` is the service of that name. Other hosts go to the fetch of
// Node untouched.
//
// For a service it picks, retries, breaks and falls back as `picking/` says. URL, Host and cookies keep the service's
// name; only the connection goes to the instance, so nothing in the program has to know its address.

import { domainToUnicode } from "node:url";
import { monotonic } from "../clock.mjs";
import { BadParams, DeadlineExceeded } from "../errors.mjs";
import { requireBoolean, shown } from "../given.mjs";
import { isIdempotent } from "../picking/headers.mjs";
import { NEUTRAL } from "../picking/outcomes.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { requestBody } from "./body.mjs";
import {
  ATTEMPT_OPTIONS,
  attempted,
  coreOptions,
  fallbackLimits,
  fallbackOptions,
  isAbort,
  isGood,
  mayFallBack,
} from "./call.mjs";
import { exchange } from "./exchange.mjs";
import { makeResponse } from "./response.mjs";

const SUFFIX = ".service";
const REDIRECTS_MAX = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Not for another host than the one they were meant for. */
const PRIVATE_HEADERS = ["authorization", "cookie", "proxy-authorization"];

/** The service that the host of this URL names; null: it is another host. */
export function serviceOfUrl(url) {
  const isHttp = url.protocol === "http:" || url.protocol === "https:";
  return isHttp && url.hostname.endsWith(SUFFIX) ? domainToUnicode(url.hostname.slice(0, -SUFFIX.length)) : null;
}

/** See `Registry.fetch` in index.d.ts. context: {service(name), agents}. */
export async function fetchFrom(context, input, init, options = {}) {
  const text = input instanceof Request ? input.url : String(input);
  if (!URL.canParse?.(text) && !canParse(text)) return fetch(input, init);
  if (serviceOfUrl(new URL(text)) === null) return fetch(input, init);
  refuseUnknown("fetch", options, [...ATTEMPT_OPTIONS, "fallback"]);
  requireServiceName(options.fallback);
  const request = new Request(input, init);
  // The signal of `request` follows the program's only as long as nobody collects it.
  const signal = init?.signal ?? (input instanceof Request ? input.signal : null);
  signal?.throwIfAborted();
  const what = {
    url: new URL(request.url),
    method: request.method,
    headers: new Headers(request.headers),
    body: await requestBody(init, request),
  };
  if (!what.headers.has("accept")) what.headers.set("accept", "*/*");
  if (options.idempotent != null) requireBoolean("idempotent", options.idempotent);
  const core = coreOptions({
    ...options,
    idempotent: (options.idempotent ?? isIdempotent(what.method, what.headers)) && what.body.canRepeat,
    hedge: options.hedge ?? false,
  });
  const until = monotonic() + core.deadlineS;
  return follow(context, what, { core, until, key: options.key ?? null, signal, options }, request.redirect);
}

/** Send the request, and follow where it is redirected to: to another instance of the same service, to another service,
 * or to any host. */
async function follow(context, what, how, mode) {
  for (let redirects = 0; ; redirects++) {
    const { answer, url } = await answered(context, what, how);
    const response = answer.value;
    const isRedirect = REDIRECTS.has(response.statusCode) && response.headers.location !== undefined;
    if (isRedirect && mode === "error") {
      close(answer);
      throw new TypeError(`fetch failed: ${what.url.origin} redirects, and redirect is "error"`);
    }
    if (!isRedirect || mode === "manual") {
      const end = (outcome) => answer.end?.(outcome);
      return makeResponse(response, { method: what.method, url, redirected: redirects > 0, end, signal: how.signal });
    }
    close(answer);
    if (redirects === REDIRECTS_MAX) throw new TypeError(`fetch failed: more than ${REDIRECTS_MAX} redirects`);
    what = redirected(what, response);
    if (serviceOfUrl(what.url) === null) return fetchElsewhere(what, how.signal);
  }
}

/** The answer of the service that the URL names, or of the fallback; and its URL. */
async function answered(context, what, how) {
  const service = context.service(serviceOfUrl(what.url));
  const left = { ...how.core, deadlineS: how.until - monotonic() };
  if (left.deadlineS <= 0)
    throw new DeadlineExceeded(`${service.name}: the deadline of ${how.core.deadlineS} s has passed`);
  const first = await attempted(service, left, how, (attempt, signal) =>
    exchange(context.agents, what, attempt, signal),
  );
  const { fallback } = how.options;
  const { kind } = first.answer.outcome;
  if (isGood(first.answer) || fallback === undefined || kind === "neutral" || !mayFallBack(service, first.call)) {
    return { answer: orThrow(first.answer), url: what.url };
  }
  let found;
  try {
    const limits = fallbackLimits(left, first.call, how.until);
    found = await fallenBack(context, what, how, { name: fallback, limits });
  } catch (error) {
    if (isAbort(error, how.signal)) {
      first.answer.discard?.();
      throw error;
    }
    if (first.answer.value !== undefined) return { answer: first.answer, url: what.url };
    throw first.answer.error ?? error;
  }
  first.answer.discard?.();
  return found;
}

/** The same request to the service of the fallback. Its failure is none of the first service: then that one's counts.
 * */
async function fallenBack(context, what, how, { name, limits }) {
  const url = new URL(what.url);
  url.hostname = name + SUFFIX;
  const elsewhere = { ...what, url };
  const core = fallbackOptions(how.core, limits);
  const sent = (attempt, signal) => exchange(context.agents, elsewhere, attempt, signal);
  const { answer } = await attempted(context.service(name), core, how, sent);
  if (!isGood(answer)) {
    answer.discard?.();
    throw answer.error ?? new Error(`${name} answered with status ${answer.value.statusCode}`);
  }
  return { answer, url };
}

function requireServiceName(fallback) {
  if (fallback === undefined || (typeof fallback === "string" && fallback)) return;
  throw new BadParams(`fallback ${shown(fallback)} is not the name of a service: for functions use service.call`);
}

function orThrow(answer) {
  if (answer.value === undefined) throw answer.error;
  return answer;
}

/** The answer is not for the program. */
function close(answer) {
  answer.end?.(answer.outcome ?? NEUTRAL);
  answer.discard();
}

/** The request to the place that a response redirects to, as the Fetch standard says. */
function redirected(what, response) {
  const url = new URL(response.headers.location, what.url);
  const headers = new Headers(what.headers);
  let { method, body } = what;
  const { statusCode } = response;
  const isPost = (statusCode === 301 || statusCode === 302) && method === "POST";
  if (isPost || (statusCode === 303 && method !== "GET" && method !== "HEAD")) {
    method = "GET";
    body = { size: 0, canRepeat: true, open: () => null };
    for (const name of ["content-encoding", "content-language", "content-location", "content-type", "content-length"]) {
      headers.delete(name);
    }
  } else if (!body.canRepeat) {
    throw new TypeError(
      `fetch failed: ${what.url.origin} redirects, and the body is a stream, which cannot be sent again`,
    );
  }
  if (url.origin !== what.url.origin) for (const name of PRIVATE_HEADERS) headers.delete(name);
  return { url, method, headers, body };
}

function fetchElsewhere({ url, method, headers, body }, signal) {
  return fetch(url, { method, headers, body: body.open(), signal, duplex: "half" });
}

function canParse(text) {
  try {
    return Boolean(new URL(text));
  } catch {
    return false;
  }
}
