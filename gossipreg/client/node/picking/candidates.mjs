// The instances that may be picked now, and the share of each. One order of rules, as in the Python client:
//
//     1. what the registry has: an instance that left or is dead is in no snapshot
//     2. not in maintenance
//     3. passing its health checks. If none passes: with panic "all" those that are warning or critical, else nothing
//     4. less what is ejected; but if that leaves fewer than half of the passing ones, all of them (panic: so many
//        failures are not single instances). Panic ignores ejection, never the registry
//     5. the zone (`zones.mjs`), from 6 instances
//     6. slow start (`slow-start.mjs`), from 3 passing ones
//     7. weights. An instance of weight 0 gets requests only if all have weight 0
//
// Owns: the states of the instances, in step with the snapshot, and their shares. Never knows: latency, outcomes,
// policies.

import { NEVER, OUT, PROBING, InstanceState, passes } from "./instance-state.mjs";
import { HashRing } from "./ring-hash.mjs";
import { SLOW_START_INSTANCES_MIN, nextStepAt, ramp } from "./slow-start.mjs";
import { WeightedGroup } from "./weighted-group.mjs";
import { ZONE_INSTANCES_MIN, zoneShares } from "./zones.mjs";

export class Candidates {
  #options;
  #ramping = new Set();
  #ring = null;
  #callers = new Map();
  #snapshot = [];
  /** In the order of the snapshot. */
  states = [];
  passing = 0;
  /** All passing instances are picked, ejected or not. */
  panic = false;
  /** No instance passes, and those that are warning or critical are picked. */
  critical = false;
  /** All that can be picked, whatever their zones. */
  everywhere = new WeightedGroup([], []);
  /** The zones to choose from: {upTo: the parts of all up to this one, group}. One element: no choice. */
  byZone = [];

  constructor(options) {
    this.#options = options;
  }

  // -- input ----------------------------------------------------------------------------------------------------------

  /** Follow a new snapshot: all instances in a steady order. Return the states of those that are gone. `rebuild` has to
   * follow. */
  update(snapshot, now) {
    const ramps = this.passing > 0;
    const { start, oldEnd, newEnd } = changedSpan(this.#snapshot, snapshot);
    const former = new Map(this.states.slice(start, oldEnd).map((state) => [state.instance.key, state]));
    const [taken, stopped, started] = [[], [], []];
    for (const instance of snapshot.slice(start, newEnd)) {
      const held = former.get(instance.key);
      former.delete(instance.key);
      const before = held !== undefined && passes(held);
      const weight = held === undefined ? -1 : held.weight;
      const state = follow(held, instance);
      taken.push(state);
      if (before && (!passes(state) || weight !== state.weight)) stopped.push(state);
      if (passes(state) && (!before || weight !== state.weight)) started.push(state);
      if (passes(state) && !before) this.#joined(state, ramps ? now : NEVER);
    }
    const gone = [...former.values()];
    stopped.push(...gone.filter(passes));
    this.states = [...this.states.slice(0, start), ...taken, ...this.states.slice(oldEnd)];
    this.#snapshot = snapshot;
    this.passing += started.length - stopped.length;
    this.#forget(gone);
    this.#ring?.change(stopped, started);
    return gone;
  }

  /** By zone, how many members call this service; a Map. */
  setCallers(callers) {
    this.#callers = new Map(callers);
  }

  // -- the tables -----------------------------------------------------------------------------------------------------

  /** Make the tables anew. `out`: the ejected instances. Return when it has to be done again for slow start, if nothing
   * else happens. */
  rebuild(out, now) {
    for (const state of this.#ramping) if (ramp(state.joinedAt, now) >= 1) this.#ramping.delete(state);
    let away = 0;
    for (const state of out) away += isOut(state) && passes(state);
    this.panic = this.passing - away < this.passing / 2;
    this.critical = !this.passing && this.#options.panic === "all";
    this.#workOutShares(false, now);
    this.everywhere = group(this.states);
    if (!this.everywhere.members.length && (this.passing || this.critical)) {
      this.#workOutShares(true, now); // all have weight 0
      this.everywhere = group(this.states);
    }
    this.byZone = this.#zoneGroups();
    let next = Infinity;
    for (const state of this.#ramping) next = Math.min(next, nextStepAt(state.joinedAt, now));
    return next;
  }

  /** The instance of a key at this point of the ring (null: none that passes can be picked), and whether it is another
   * than the key's own. */
  holder(point, inFlight) {
    if (this.#ring === null) {
      this.#ring = new HashRing();
      this.#ring.change([], this.passingStates());
    }
    return this.#ring.pick(point, inFlight, this.everywhere.total);
  }

  passingStates() {
    return this.states.filter(passes);
  }

  /** Why none can be picked, for a person: `2 critical, 1 maintenance`. */
  reasons() {
    const counts = new Map();
    for (const { instance } of this.states) counts.set(instance.health, (counts.get(instance.health) ?? 0) + 1);
    return [...counts.keys()]
      .sort()
      .map((health) => `${counts.get(health)} ${health}`)
      .join(", ");
  }

  // -- inside ---------------------------------------------------------------------------------------------------------

  #joined(state, at) {
    state.joinedAt = at;
    if (at !== NEVER) this.#ramping.add(state);
  }

  #forget(gone) {
    for (const state of gone) {
      state.gone = true;
      state.share = 0;
      this.#ramping.delete(state);
    }
  }

  #workOutShares(allAlike, now) {
    const ramps = this.passing >= SLOW_START_INSTANCES_MIN;
    for (const state of this.states) state.share = this.#share(state, allAlike, ramps, now);
  }

  #share(state, allAlike, ramps, now) {
    const { health } = state.instance;
    const may = health === "passing" || (this.critical && (health === "warning" || health === "critical"));
    if (!may || (isOut(state) && !this.panic)) return 0;
    const weight = allAlike ? 1 : state.weight;
    return ramps ? weight * ramp(state.joinedAt, now) : weight;
  }

  #zoneGroups() {
    const one = [{ upTo: 1, group: this.everywhere }];
    if (!this.#options.zone || this.everywhere.members.length < ZONE_INSTANCES_MIN) return one;
    const weights = new Map();
    for (const { instance, share } of this.everywhere.members) {
      weights.set(instance.zone, (weights.get(instance.zone) ?? 0) + share);
    }
    if (weights.size === 1) return one;
    const parts = zoneShares(this.#options.zone, this.#callers, weights);
    let upTo = 0;
    return [...parts.keys()].sort().map((zone) => {
      upTo += parts.get(zone);
      return { upTo, group: group(this.everywhere.members.filter(({ instance }) => instance.zone === zone)) };
    });
  }
}

function isOut(state) {
  return state.phase === OUT || state.phase === PROBING;
}

function group(states) {
  const members = states.filter((state) => state.share > 0);
  return new WeightedGroup(
    members,
    members.map((state) => state.share),
  );
}

function follow(held, instance) {
  if (held === undefined) return new InstanceState(instance);
  held.instance = instance;
  held.weight = Math.max(0, instance.weight);
  return held;
}

/** The stretch in which two snapshots differ. Equal elements are the same object: that is how snapshots are made. */
function changedSpan(old, fresh) {
  const shorter = Math.min(old.length, fresh.length);
  let start = 0;
  while (start < shorter && old[start] === fresh[start]) start++;
  let [oldEnd, newEnd] = [old.length, fresh.length];
  while (oldEnd > start && newEnd > start && old[oldEnd - 1] === fresh[newEnd - 1]) {
    oldEnd--;
    newEnd--;
  }
  return { start, oldEnd, newEnd };
}
