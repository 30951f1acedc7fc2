// The picking core of one service under one choice of settings: with a clock, and in step with the snapshots.

import { monotonic } from "./clock.mjs";
import { pickOptions } from "./picking/options.mjs";
import { Resilience } from "./picking/resilience.mjs";

export class Picker {
  #source;
  #options;
  #callers;
  #snapshot = null;
  #callersSnapshot = null;
  core;

  /**
   * source: the service. options(): asked at the first pick, since the zone is known then. callers(): the snapshot of
   * the service that this program belongs to, or null.
   */
  constructor(source, options, callers) {
    this.#source = source;
    this.#options = options;
    this.#callers = callers;
    this.core = new Resilience(source.name, pickOptions(), Math.random);
  }

  /** The core, up to date with the newest snapshot. Throws NotSynced, TooStale, Refused, as a lookup does. */
  ready() {
    this.#source.requireFresh();
    this.follow();
    return this.core;
  }

  /** A request has failed: see, without waiting, whether the sidecar is still there. */
  check() {
    this.#source.check();
  }

  /** Bring the core up to date, however old the snapshot is. */
  follow() {
    const { known } = this.#source;
    if (known !== this.#snapshot) {
      if (this.#snapshot === null) this.#begin();
      this.#snapshot = known;
      this.core.balancer.update(known.all, monotonic());
    }
    const callers = this.#callers();
    if (callers !== this.#callersSnapshot) {
      this.#callersSnapshot = callers;
      this.core.balancer.setCallers(callers === null ? new Map() : membersByZone(callers));
    }
  }

  /** The zone is known now. What was counted stays: metrics only grow. */
  #begin() {
    const { counters } = this.core.balancer;
    this.core = new Resilience(this.#source.name, this.#options(), Math.random);
    Object.assign(this.core.balancer.counters, counters);
  }
}

/** In each zone, the members that have this service. */
function membersByZone(snapshot) {
  const zones = new Map(snapshot.all.map((one) => [one.node, one.zone]));
  const counts = new Map();
  for (const zone of zones.values()) counts.set(zone, (counts.get(zone) ?? 0) + 1);
  return counts;
}
