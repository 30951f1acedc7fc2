// The event that is handled right now, so that an event which its handler publishes can name it as its cause.

import { AsyncLocalStorage } from "node:async_hooks";
import { serving } from "../calling/served.mjs";

const CORRELATION = "correlationid";
const CAUSATION = "causationid";
/** An event that is published while another is handled has these of the other one, unless it names its own. */
const INHERITED = ["traceparent", CORRELATION];

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

/** These extensions, and those that come from the event that is handled now. */
export function withInherited(given) {
  const cause = handledNow();
  if (cause === undefined) return { ...given };
  const inherited = { [CORRELATION]: cause.id };
  for (const name of INHERITED) if (cause.extensions[name] !== undefined) inherited[name] = cause.extensions[name];
  return { ...inherited, [CAUSATION]: cause.id, ...given };
}
