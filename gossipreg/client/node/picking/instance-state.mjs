// What this process knows of one instance beside what the registry says: requests in flight, latency, failures.
//
// A record without behaviour: `candidates`, `balancer`, `latency` and `ejection` own the groups of its fields that are
// named after them.

import { LatencyEstimate } from "./latency.mjs";

export const NEVER = -Infinity;

/** The phases of an ejection: it gets requests; ejected; its next request is a probe; the probe is under way. */
export const IN = 0;
export const OUT = 1;
export const PROBE_DUE = 2;
export const PROBING = 3;

export class InstanceState {
  constructor(instance) {
    this.instance = instance;
    this.weight = Math.max(0, instance.weight);

    // candidates
    this.gone = false; // it is in the snapshot no longer; requests to it may still be in flight
    this.share = 0; // its weight among those that can be picked now; 0 if it cannot be
    this.joinedAt = NEVER; // when slow start began; NEVER: it gets its full weight

    // balancer
    this.inFlight = 0;
    this.others = 0; // requests of other clients that it has in flight, as its last `gossipreg-load` said
    this.othersUntil = NEVER;
    this.load = 0; // `inFlight` + `others`

    this.latency = new LatencyEstimate();

    // ejection
    this.phase = IN;
    this.failedInRow = 0;
    this.requests = 0; // of the current window of the success rate
    this.failures = 0;
    this.lastSuccessAt = NEVER;
    this.timesEjected = 0;
    this.outUntil = NEVER;
    this.returnedAt = NEVER;
  }
}

export function passes(state) {
  return state.instance.health === "passing";
}
