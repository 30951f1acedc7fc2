// `service.call(send)`: a function of the program as the attempts of one logical call, and the rule of fallbacks, which
// `fetch.mjs` shares.

import { busyTimer, monotonic } from "../clock.mjs";
import { BadParams, BreakerOpen, DeadlineExceeded, NoInstance, NotSynced } from "../errors.mjs";
import { requireBoolean, requireFunction, requireTextOrNull, shown } from "../given.mjs";
import { attemptHeaders } from "../picking/headers.mjs";
import { callOptions } from "../picking/options.mjs";
import { FAILURE, NEUTRAL, NEVER_SENT, SUCCESS, TIMED_OUT, errorOutcome, statusOutcome } from "../picking/outcomes.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { drive, orAborted } from "./drive.mjs";
import { servedLimits, serving } from "./served.mjs";

const DEADLINE_MS = 10_000;
const SHORTEST_S = 0.001;
export const ATTEMPT_OPTIONS = ["deadlineMs", "idempotent", "attemptsMax", "hedge", "key", "depth"];

/** The options of a call as `picking/` takes them. The request that this process serves bounds deadline and retries. */
export function coreOptions(options) {
  const { deadlineMs = DEADLINE_MS, idempotent = false, attemptsMax = 3, hedge = false, key = null, depth } = options;
  if (typeof deadlineMs !== "number") {
    throw new BadParams(`deadlineMs ${shown(deadlineMs)} is no number: give the time that the call may take`);
  }
  if (!Number.isInteger(attemptsMax)) {
    throw new BadParams(`attemptsMax ${shown(attemptsMax)} is no whole number: give the most attempts of the call`);
  }
  if (depth !== undefined && !Number.isInteger(depth)) {
    throw new BadParams(`depth ${shown(depth)} is no whole number: give the Gossipreg-Attempt of the request`);
  }
  requireBoolean("idempotent", idempotent);
  requireBoolean("hedge", hedge);
  requireTextOrNull("key", key);
  const served = servedLimits();
  if (served.leftS <= 0) {
    throw new DeadlineExceeded("the caller of the request that is served here waits no longer: nothing was sent");
  }
  const deadlineS = Math.min(deadlineMs / 1000, served.leftS);
  return callOptions({ deadlineS, idempotent, attemptsMax, hedge, depth: depth ?? served.depth });
}

/** See `Service.call` in index.d.ts. */
export async function callInstances(service, send, options) {
  refuseUnknown("call", options, [...ATTEMPT_OPTIONS, "fallback", "signal"]);
  requireFunction("send", send);
  const { fallback } = options;
  if (fallback !== undefined && typeof fallback !== "function" && typeof fallback?.picker !== "object") {
    throw new BadParams(`fallback ${shown(fallback)} is neither a function nor a Service`);
  }
  const core = coreOptions(options);
  const until = monotonic() + core.deadlineS;
  const sent = (attempt, signal) => sendByProgram(service.name, send, attempt, signal);
  const { answer, call } = await attempted(service, core, options, sent);
  if (isGood(answer) || fallback === undefined || answer.outcome.kind === "neutral" || !mayFallBack(service, call)) {
    return given(answer);
  }
  const limits = fallbackLimits(core, call, until);
  if (typeof fallback !== "function") {
    const second = await attempted(fallback, fallbackOptions(core, limits), options, sent);
    return given(isGood(second.answer) ? second.answer : answer);
  }
  try {
    return await runFallback(service.name, fallback, limits, options.signal ?? null);
  } catch (error) {
    throw isAbort(error, options.signal) ? error : (answer.error ?? error);
  }
}

/** What a fallback has to obey: until when, and which attempt of the call its first request is. */
export function fallbackLimits(core, call, until) {
  const attempts = call?.attempts ?? 0;
  return { until, attempts, depth: Math.max(core.depth, attempts + 1) };
}

/** The options of the same call at another service. */
export function fallbackOptions(core, { until, attempts }) {
  return callOptions({ ...core, deadlineS: Math.max(SHORTEST_S, until - monotonic()), attemptsBefore: attempts });
}

/** A function of the program as fallback: it is given up at the deadline, and told so by its signal. Requests that it
 * makes with `fetch` or `call` obey the deadline too, and say that they are retries. */
async function runFallback(name, fallback, { until, depth }, signal) {
  const leftS = Math.max(SHORTEST_S, until - monotonic());
  const late = new DeadlineExceeded(`${name}: the fallback has not ended within ${Math.round(leftS * 1000)} ms`);
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  signal?.addEventListener("abort", abort, { once: true });
  const timer = busyTimer(() => controller.abort(late), leftS);
  const limits = { signal: controller.signal, timeoutMs: leftS * 1000, headers: attemptHeaders(leftS, depth) };
  try {
    return await orAborted(serving({ depth, until }, async () => fallback(limits)), controller.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * The answer of a call to this service, and its LogicalCall, which is null if nothing was sent since the breaker is
 * open or nothing is known of the service. The wait for the first list of instances is part of the call's time. An
 * answer that `isOpen` keeps its call open. Rejects with the reason of the caller's signal.
 */
export async function attempted(service, core, { key = null, signal = null }, send) {
  const until = monotonic() + core.deadlineS;
  let call = null;
  let answer = null;
  let left = core;
  try {
    if (service.known === null) {
      await orAborted(service.ready(core.deadlineS), signal);
      left = callOptions({ ...core, deadlineS: Math.max(SHORTEST_S, until - monotonic()) });
    }
    call = service.picker.ready().begin(left, monotonic(), key);
    answer = await drive(service.picker, call, send, signal);
  } catch (error) {
    if (isAbort(error, signal)) throw error;
    if (![BreakerOpen, NotSynced, NoInstance, DeadlineExceeded].some((kind) => error instanceof kind)) throw error;
    answer = { outcome: FAILURE, error };
  } finally {
    if (!answer?.isOpen) call?.close(monotonic());
  }
  return { answer, call };
}

/** Whether a call that failed may go to its fallback. Null: nothing was sent. */
export function mayFallBack(service, call) {
  if (call !== null) return call.mayFallBack(monotonic());
  service.picker.core.balancer.counters.fallbacks++;
  return true;
}

export function isGood({ outcome }) {
  return outcome.kind === "success";
}

/** Whether this is what the caller's signal was aborted with. */
export function isAbort(error, signal) {
  return Boolean(signal?.aborted) && error === signal.reason;
}

/** What the program gets of an answer. */
function given(answer) {
  if (answer.error !== undefined) throw answer.error;
  return answer.value;
}

/** One attempt: the function gets the instance, and what it has to obey. */
async function sendByProgram(name, send, attempt, signal) {
  let said = null;
  let load = null;
  const timeout = new AbortController();
  const timedOut = new DeadlineExceeded(`${name}: no answer within ${Math.round(attempt.timeoutS * 1000)} ms`);
  const stopped = new Promise((_, reject) => {
    timeout.signal.addEventListener("abort", () => reject(timeout.signal.reason), { once: true });
  });
  stopped.catch(() => {});
  signal.addEventListener("abort", () => timeout.abort(signal.reason), { once: true });
  const timer = busyTimer(() => timeout.abort(timedOut), attempt.timeoutS);
  const context = {
    signal: timeout.signal,
    timeoutMs: attempt.timeoutS * 1000,
    number: attempt.number,
    headers: attempt.headers(),
    failed: () => void (said = FAILURE),
    neverSent: () => void (said = NEVER_SENT),
    status: (status, retryAfterS = null) => void (said = statusOutcome(status, retryAfterS)),
    serverLoad: (inFlight) => void (load = inFlight),
  };
  try {
    const value = await Promise.race([Promise.resolve().then(() => send(attempt.pick.instance, context)), stopped]);
    return { outcome: said ?? SUCCESS, load, value };
  } catch (error) {
    if (signal.aborted) return { outcome: NEUTRAL, error };
    if (timeout.signal.aborted) return { outcome: TIMED_OUT, error: timedOut };
    return { outcome: said ?? errorOutcome(error, Date.now() / 1000), load, error };
  } finally {
    clearTimeout(timer);
  }
}
