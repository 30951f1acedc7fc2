// The two clocks of this client, in seconds.
//
// Node has no CLOCK_BOOTTIME. On Linux `os.uptime()` reads it (in steps of 10 ms): it goes on while the host sleeps, so
// a laptop's nap makes a snapshot older too. `performance.now()` stands still meanwhile, and is for requests. Timers
// stand still too: what a timer was set for may come late by the time that the host slept, so whoever wakes looks at
// the clock.

import { uptime } from "node:os";
import { performance } from "node:perf_hooks";

/** Since the host was booted, its sleep included. */
export function bootClock() {
  return uptime();
}

/** For latencies and deadlines. */
export function monotonic() {
  return performance.now() / 1000;
}

const LONGEST_MS = 2 ** 31 - 1;

/** `setTimeout` in seconds, which does not keep the process alive. */
export function idleTimer(callback, seconds) {
  return busyTimer(callback, seconds).unref();
}

/** `setTimeout` in seconds. */
export function busyTimer(callback, seconds) {
  return setTimeout(callback, Math.min(LONGEST_MS, Math.max(0, Math.ceil(seconds * 1000))));
}
