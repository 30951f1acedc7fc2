// A new instance gets few requests at first: its caches and pools are cold (Envoy's slow start).
//
// The share grows from 10 % in ten steps of a second. Only an instance that joins others ramps: after a restart of the
// whole service, or of the sidecar, all are equally new.

import { NEVER } from "./instance-state.mjs";

const RAMP_S = 10;
/** Each step makes the table of weights anew, so there are few. */
const STEP_S = 1;
/** With fewer, the share that the new one does not get would be too much for the rest. */
export const SLOW_START_INSTANCES_MIN = 3;

/** The part of its weight that an instance gets which joined then: 0.1, 0.2, ... 1. */
export function ramp(joinedAt, now) {
  if (joinedAt === NEVER) return 1;
  return Math.min(1, ((1 + Math.floor((now - joinedAt) / STEP_S)) * STEP_S) / RAMP_S);
}

/** When its share grows next. */
export function nextStepAt(joinedAt, now) {
  return joinedAt + (Math.floor((now - joinedAt) / STEP_S) + 1) * STEP_S;
}
