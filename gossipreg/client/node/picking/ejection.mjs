// Ejection: an instance that fails while it passes its health checks gets no requests for a while (Envoy's outlier
// detection; gRFC A50).
//
// Two rules. Failures in a row: 5. Success rate: in windows of 10 s, once 5 instances have 20 requests each, one that
// succeeds less often than the mean - 1.9 standard deviations, and at least 5 points below the mean.
//
// An ejection lasts 5 s x times ejected, up to 5 min, and up to a quarter more at random, so that processes do not
// return together. Then the next request is a probe, and the only one until it has ended. A success ends the ejection.
// Each 10 s without an ejection take one from the times.
//
// At most so many are out: floor((n - 1) / 2) of up to 5 passing instances, half of more. Of two, one may be out if the
// other succeeded in the last 10 s; a single one never is.

import { IN, NEVER, OUT, PROBE_DUE, PROBING } from "./instance-state.mjs";

const FAILED_IN_ROW = 5;
const WINDOW_S = 10;
const REQUESTS_MIN = 20;
const INSTANCES_MIN = 5;
/** As in Envoy. One bad instance of n is sqrt(n - 1) deviations below the mean: with 5 it is found. */
const DEVIATIONS = 1.9;
/** If nearly all requests succeed, the deviation is tiny, and 99 % would be an outlier. */
const BELOW_MEAN = 0.05;
const FIRST_S = 5;
const LONGEST_S = 300;
const JITTER = 0.25;
const FORGIVEN_S = 10;
const RECENTLY_S = 10;

/** How many of so many passing instances may be out at once. `otherSucceededAt`: with two, of the other one. */
export function ejectedMax(passing, otherSucceededAt, now) {
  if (passing === 2) return now - otherSucceededAt <= RECENTLY_S ? 1 : 0;
  return passing <= 5 ? Math.floor((passing - 1) / 2) : Math.floor(passing / 2);
}

/** The ejections of one service. It owns the fields of InstanceState under "ejection". */
export class Ejection {
  #uniform;
  #passing;
  /** Those with requests in this window. */
  #counted = new Set();
  #windowUntil = NEVER;
  /** All that are not IN. */
  out = new Set();
  ejected = 0;
  /** Ejections that the bound on the share did not allow. */
  refused = 0;
  returned = 0;

  /** `passing()`: the instances that pass their checks, of which a part may be out. */
  constructor(uniform, passing) {
    this.#uniform = uniform;
    this.#passing = passing;
  }

  /** Take in a success. Return whether the phase of any instance has changed. */
  succeeded(state, probe, now) {
    state.lastSuccessAt = now;
    state.failedInRow = 0;
    if (probe && state.phase === PROBING) {
      this.out.delete(state);
      this.returned++;
      state.phase = IN;
      state.returnedAt = now;
      return true;
    }
    return this.#count(state, 0, now);
  }

  /** Take in a failure. Return whether the phase of any instance has changed. */
  failed(state, probe, now) {
    if (probe && state.phase === PROBING) {
      this.#eject(state, now);
      return true;
    }
    let changed = this.#count(state, 1, now);
    state.failedInRow++;
    if (state.phase === IN && state.failedInRow >= FAILED_IN_ROW && this.#try(state, now)) changed = true;
    return changed;
  }

  /** Take in an outcome that says nothing: after a probe, the next request is one. */
  neutral(state, probe) {
    if (!probe || state.phase !== PROBING) return false;
    state.phase = PROBE_DUE;
    return true;
  }

  /** Whether this request, which is about to go to an instance in `out`, is its probe. */
  picked(state) {
    if (state.phase !== PROBE_DUE) return false;
    state.phase = PROBING;
    return true;
  }

  /** A probe is due for the instances whose time has ended. */
  over(now) {
    for (const state of this.out) if (state.phase === OUT && now >= state.outUntil) state.phase = PROBE_DUE;
  }

  nextOverAt() {
    let next = Infinity;
    for (const state of this.out) if (state.phase === OUT) next = Math.min(next, state.outUntil);
    return next;
  }

  forget(states) {
    for (const state of states) {
      this.out.delete(state);
      this.#counted.delete(state);
    }
  }

  #try(state, now) {
    const passing = this.#passing();
    let otherSucceededAt = NEVER;
    let out = 0;
    for (const one of passing) {
      if (one !== state) otherSucceededAt = Math.max(otherSucceededAt, one.lastSuccessAt);
      if (one.phase !== IN) out++;
    }
    if (out >= ejectedMax(passing.length, otherSucceededAt, now)) {
      this.refused++;
      return false;
    }
    this.#eject(state, now);
    return true;
  }

  #eject(state, now) {
    if (state.phase === IN && state.timesEjected) {
      const forgiven = Math.floor((now - state.returnedAt) / FORGIVEN_S);
      state.timesEjected = Math.max(0, state.timesEjected - forgiven);
    }
    state.timesEjected++;
    this.ejected++;
    state.phase = OUT;
    state.failedInRow = 0;
    state.outUntil = now + Math.min(LONGEST_S, FIRST_S * state.timesEjected) * (1 + JITTER * this.#uniform());
    this.out.add(state);
  }

  #count(state, failures, now) {
    const changed = now >= this.#windowUntil && this.#turn(now);
    if (state.phase === IN) {
      this.#counted.add(state);
      state.requests++;
      state.failures += failures;
    }
    return changed;
  }

  /** End the window, and eject the outliers of it, if it is not long over. */
  #turn(now) {
    const counted = this.#counted;
    this.#counted = new Set();
    const recent = now - this.#windowUntil < WINDOW_S;
    this.#windowUntil = now + WINDOW_S;
    const rates = new Map();
    for (const state of counted) {
      if (recent && state.requests >= REQUESTS_MIN) rates.set(state, 1 - state.failures / state.requests);
      state.requests = state.failures = 0;
    }
    if (rates.size < INSTANCES_MIN) return false;
    const least = leastRate([...rates.values()]);
    const worstFirst = [...rates.keys()].filter((state) => rates.get(state) < least);
    worstFirst.sort((a, b) => rates.get(a) - rates.get(b));
    let changed = false;
    for (const state of worstFirst) if (state.phase === IN && this.#try(state, now)) changed = true;
    return changed;
  }
}

/** The success rate below which an instance is an outlier. */
function leastRate(rates) {
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length);
  return Math.min(mean - DEVIATIONS * deviation, mean - BELOW_MEAN);
}
