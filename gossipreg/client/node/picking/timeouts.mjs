// How long an attempt may take, and when a second one is sent beside it.
//
// A deadline is for the whole call. If the first attempt could use it up, an instance that hangs would leave nothing
// for another one. So an attempt that can be followed by another ends after 4 times the p99 of the service, but at
// least 250 ms; and the first leaves a third of the deadline. An attempt that nothing can follow gets all that is left.

const SHORTEST_S = 0.25;
const P99_TIMES = 4;
const KEPT_PART = 1 / 3;
const HEDGE_SAMPLES = 100;
/** Then at most about 5 % of the requests are sent twice (Dean and Barroso, The Tail at Scale, 2013). */
const HEDGE_QUANTILE = 0.95;

/** The time for an attempt that another one can follow. `leftS`: until the deadline, above 0. */
export function attemptTimeoutS(quantiles, deadlineS, leftS, first, now) {
  const p99S = quantiles.quantileS(0.99, now);
  const timeoutS = p99S === null ? leftS : Math.min(leftS, Math.max(SHORTEST_S, P99_TIMES * p99S));
  return first ? Math.min(timeoutS, Math.max(leftS - KEPT_PART * deadlineS, KEPT_PART * leftS)) : timeoutS;
}

/** The part of an attempt's time that may pass until its connection is made: what was never sent can go elsewhere. */
export function connectTimeoutS(timeoutS, leftS) {
  return Math.min(timeoutS, Math.max(SHORTEST_S, KEPT_PART * leftS));
}

/** After what time a second attempt is worth sending; null while too little is known. */
export function hedgeAfterS(quantiles, now) {
  return quantiles.samples(now) < HEDGE_SAMPLES ? null : quantiles.quantileS(HEDGE_QUANTILE, now);
}
