// The event that is handled right now, so that an event which its handler publishes can name it as its cause.

import { AsyncLocalStorage } from "node:async_hooks";
import { serving } from "../calling/served.mjs";
import { requireText } from "../given.mjs";

const CORRELATION = "correlationid";
const CAUSATION = "causationid";
const TRACE_PARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** An event that is published while another is handled has these of its handling, unless it names its own. */
const TRACE = ["traceparent", "tracestate"];

const handled = new AsyncLocalStorage();

/** Run `work` as a part of the handling of this event. Nothing of the request in which the program subscribed applies
 * to it: calls that it makes are none of that request's. */
export function handling(event, work) {
  return serving({}, () => handled.run(event, work));
}

/** The event whose handler asks; undefined: it is none. */
export function handledNow() {
  return handled.getStore();
}

/** `traceparent` and `tracestate` of what follows from what the program does now; empty if there is none. Strangers
 * write events: a text without its form is not passed on. */
export function tracedNow() {
  const { traceparent, tracestate } = handledNow() ?? {};
  if (!traceparent || !TRACE_PARENT.test(traceparent)) return {};
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The trace that a program names, or else the one of what it does now. Throws BadParams. */
export function givenTrace(traceparent, tracestate) {
  if (traceparent !== undefined) requireText("traceparent", traceparent);
  if (tracestate !== undefined) requireText("tracestate", tracestate);
  if (!traceparent) return tracedNow();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** These extensions, and those that come from the event that is handled now. */
export function withInherited(given) {
  const cause = handledNow();
  if (cause === undefined) return { ...given };
  const inherited = { [CORRELATION]: cause.correlationid || cause.id };
  if (given?.traceparent === undefined) {
    for (const name of TRACE) if (cause[name]) inherited[name] = cause[name];
  }
  return { ...inherited, [CAUSATION]: cause.id, ...given };
}
