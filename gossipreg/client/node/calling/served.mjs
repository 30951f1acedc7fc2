// The request that this process serves now, as far as calls that it makes meanwhile have to know: whether it is a
// retry, and until when its caller waits. `load.mjs` sets it; without it a call knows nothing of what it serves.

import { AsyncLocalStorage } from "node:async_hooks";
import { monotonic } from "../clock.mjs";

const served = new AsyncLocalStorage();

/** Run `work` as part of a request with this depth (`Gossipreg-Attempt`), whose caller waits until then (Infinity: it
 * does not say). */
export function serving(request, work) {
  return served.run(request, work);
}

/** The depth and the deadline in seconds for calls that are made now. */
export function servedLimits() {
  const { depth = 1, until = Infinity } = served.getStore() ?? {};
  return { depth, leftS: until - monotonic() };
}
