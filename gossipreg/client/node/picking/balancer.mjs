// Picks an instance of one service for each request, and learns from how the request ends.
//
//     candidates (who may be picked) -> policy (who is picked) -> Pick -> outcome -> latency, ejection -> candidates
//
// Owns: the requests in flight. Pure: `now` in seconds and `uniform`, which gives numbers from 0 to below 1, are handed
// in. The same algorithm as the Python client's `picking/balancer.py`: one table of cases tests both.
//
// A pick costs the same for 3 and for 10,000 instances. All that takes longer is done in `#advance`, which runs when
// something is due: after a change of the snapshot or of an ejection, and at the next time that `#due` names.

import { NoInstance } from "../errors.mjs";
import { Candidates } from "./candidates.mjs";
import { newCounters } from "./counters.mjs";
import { Ejection } from "./ejection.mjs";
import { IN, NEVER } from "./instance-state.mjs";
import { LatencyQuantiles, MedianLatency } from "./latency.mjs";
import { pickOptions } from "./options.mjs";
import { NEUTRAL } from "./outcomes.mjs";
import { makePolicy } from "./policies.mjs";
import { keyPoint } from "./ring-hash.mjs";
import { WeightedGroup } from "./weighted-group.mjs";

export const DEADLINE_S = 10;
/** A request without an end leaves the count after so many times its deadline: its owner has lost it. */
const OVERDUE_AFTER = 10;
const OVERDUE_EVERY_S = 10;
/** What a server said about its load is old after that. */
const LOAD_VALID_S = 1;
/** How much a request of another client counts, against 1 of an own one: what servers say is the same for all. */
const OTHERS_PART = 0.25;
/** A failure counts as at least so many times the p95. */
const FAILED_LATENCY = 2;
/** The latency of a failure while no request of the service has succeeded yet. */
const FAILED_AT_FIRST_S = 1;
/** Picks in search of an instance that is not to be avoided; then all are looked at. */
const TRIES = 4;

/** One request on its way to an instance. Made by `Balancer.pick`; ends by `Balancer.ended`, once. */
class Pick {
  constructor(state, started, overdueAt) {
    this.state = state;
    this.instance = state.instance;
    this.started = started;
    this.overdueAt = overdueAt;
    this.answeredAt = null; // when the headers came: a body that streams for an hour is no slow answer
    this.probe = false; // it decides whether an ejected instance returns
    this.permission = "granted"; // the breaker's
    this.critical = false; // the instance does not pass its health checks: none does
    this.ended = false;
  }
}

export class Balancer {
  #load = 0; // in flight here, and what servers have said of others
  #uniform;
  #median = new MedianLatency();
  #policy;
  #candidates;
  #ejection;
  #open = new Set(); // the picks that have not ended, the oldest first
  #abandoned = [];
  #reporting = new Set(); // instances whose `others` is not 0
  #due = NEVER;
  #overdueDue = NEVER;
  /** Of all instances: for timeouts and hedges. */
  quantiles = new LatencyQuantiles();
  counters = newCounters();
  inFlight = 0;

  constructor(service, options = pickOptions(), uniform = Math.random) {
    this.service = service;
    this.#uniform = uniform;
    this.#policy = makePolicy(options.policy, uniform, this.#median);
    this.#candidates = new Candidates(options);
    this.#ejection = new Ejection(uniform, () => this.#candidates.passingStates());
  }

  // -- what the registry says -----------------------------------------------------------------------------------------

  /** Follow a new snapshot: all instances that the registry has, in a steady order. */
  update(snapshot, now) {
    const gone = this.#candidates.update(snapshot, now);
    this.#ejection.forget(gone);
    this.#median.forget(gone);
    for (const state of gone) this.#report(state, 0, Infinity);
    this.#due = NEVER;
  }

  /** By zone, how many members have the service that this process belongs to. Without this call requests spread over
   * the zones by weight. */
  setCallers(callers) {
    this.#candidates.setCallers(callers);
    this.#due = NEVER;
  }

  // -- picks ----------------------------------------------------------------------------------------------------------

  /**
   * Choose the instance of one request. `ended` has to follow. Throws NoInstance.
   *
   * key: requests with the same key go to the same instance. avoid: the states that were tried already; they are picked
   * only if there is no other. deadlineS: of the request; it bounds how long a lost one is counted.
   */
  pick(now, { key = null, avoid = [], deadlineS = DEADLINE_S } = {}) {
    if (now >= this.#due || this.#abandoned.length) this.#advance(now);
    if (!this.#candidates.everywhere.members.length) throw this.#noInstance();
    const state = key === null && !avoid.length ? this.#pickAny(now) : this.#pickApart(key, avoid, now);
    const pick = new Pick(state, now, now + OVERDUE_AFTER * deadlineS);
    this.#open.add(pick);
    state.inFlight++;
    state.load++;
    this.inFlight++;
    this.#load++;
    this.counters.picks++;
    if (state.phase || this.#candidates.critical || this.#candidates.panic) this.#pickInTrouble(pick);
    return pick;
  }

  /** How many instances can be picked beside these. */
  othersThan(avoid) {
    let avoided = 0;
    for (const state of new Set(avoid)) avoided += state.share > 0;
    return this.#candidates.everywhere.members.length - avoided;
  }

  /** The instances that can be picked now, and the part of the requests that each gets by zone, slow start and weight,
   * before a policy looks at load and latency: a Map. The parts sum to 1. */
  chances(now) {
    this.#advance(now);
    const found = new Map();
    let before = 0;
    for (const { upTo, group } of this.#candidates.byZone) {
      for (const { instance, share } of group.members) found.set(instance, ((upTo - before) * share) / group.total);
      before = upTo;
    }
    return found;
  }

  #pickAny(now) {
    const groups = this.#candidates.byZone;
    return this.#policy(groups.length === 1 ? groups[0].group : this.#zoneGroup(groups), this.#load, now);
  }

  #pickApart(key, avoid, now) {
    if (key !== null && !avoid.length) return this.#pickByKey(key);
    for (let tries = 0; tries < TRIES; tries++) {
      const state = this.#pickAny(now);
      if (!avoid.includes(state)) return state;
    }
    const { everywhere } = this.#candidates;
    const others = everywhere.members.filter((state) => !avoid.includes(state));
    if (!others.length) return everywhere.one(this.#uniform());
    return new WeightedGroup(
      others,
      others.map((state) => state.share),
    ).one(this.#uniform());
  }

  #pickByKey(key) {
    this.counters.picks_by_key++;
    const [holder, moved] = this.#candidates.holder(keyPoint(key), this.inFlight);
    if (moved) this.counters.keys_moved++;
    return holder ?? this.#candidates.everywhere.one(this.#uniform());
  }

  #zoneGroup(groups) {
    const drawn = this.#uniform();
    return (groups.find(({ upTo }) => drawn < upTo) ?? groups[groups.length - 1]).group;
  }

  #pickInTrouble(pick) {
    if (this.#candidates.panic) this.counters.picks_in_panic++;
    if (this.#candidates.critical) {
      pick.critical = true;
      this.counters.picks_of_critical++;
    }
    if (this.#ejection.picked(pick.state)) {
      pick.probe = true;
      this.counters.probes++;
      this.#due = NEVER;
    }
  }

  #noInstance() {
    this.counters.no_instance++;
    const reasons = this.#candidates.reasons();
    if (!reasons) {
      return new NoInstance(`no instance of ${this.service} is registered: register one, or check its name and tags`);
    }
    return new NoInstance(`no instance of ${this.service} passes its checks (${reasons}): mend one, or use panic=all`);
  }

  // -- outcomes -------------------------------------------------------------------------------------------------------

  /** Take in that the headers of the answer came. The request stays in flight until `ended`. */
  answered(pick, now) {
    pick.answeredAt ??= now;
  }

  /**
   * Take in how a request ended. A second end changes nothing: then it returns false.
   *
   * load: what the server says it has in flight (`gossipreg-load`), this request included; null: it says nothing.
   */
  ended(pick, outcome, now, load = null) {
    if (pick.ended) return false;
    pick.ended = true;
    this.#open.delete(pick);
    const { state } = pick;
    if (load !== null && !state.gone) {
      this.#report(state, OTHERS_PART * Math.max(0, load - state.inFlight), now + LOAD_VALID_S);
    }
    state.inFlight--;
    state.load--;
    this.inFlight--;
    this.#load--;
    if (outcome.kind === "success") this.#succeeded(pick, now);
    else if (outcome.kind !== "neutral") this.#failed(pick, outcome, now);
    else this.counters.neutral++;
    if (!state.gone) this.#learn(pick, outcome.kind, now);
    return true;
  }

  /** Note that nobody will end this pick: for finalizers. It ends with the next pick, as neutral. */
  abandon(pick) {
    this.#abandoned.push(pick);
  }

  #succeeded(pick, now) {
    const latencyS = (pick.answeredAt ?? now) - pick.started;
    this.quantiles.add(latencyS, now);
    pick.state.latency.add(latencyS, now);
    this.counters.successes++;
  }

  #failed(pick, outcome, now) {
    const takenS = now - pick.started;
    const usualS = this.quantiles.quantileS(0.95, now) || this.quantiles.longestS(now);
    pick.state.latency.add(Math.max(takenS, usualS ? FAILED_LATENCY * usualS : FAILED_AT_FIRST_S), now, true);
    if (outcome.timedOut) this.quantiles.add(takenS, now);
    this.counters[outcome.kind === "failure" ? "failures" : "overloaded"]++;
  }

  #learn(pick, kind, now) {
    const { state, probe } = pick;
    let changed;
    if (kind === "success") changed = this.#ejection.succeeded(state, probe, now);
    else if (kind === "failure") changed = this.#ejection.failed(state, probe, now);
    else changed = this.#ejection.neutral(state, probe);
    if (kind !== "neutral") this.#median.sampled(state, now);
    if (changed) this.#due = NEVER;
  }

  #report(state, others, until) {
    this.#load += others - state.others;
    state.load += others - state.others;
    state.others = others;
    state.othersUntil = until;
    if (others) {
      this.#reporting.add(state);
      this.#due = Math.min(this.#due, until);
    } else {
      this.#reporting.delete(state);
    }
  }

  // -- what is due ----------------------------------------------------------------------------------------------------

  #advance(now) {
    for (const pick of this.#abandoned.splice(0)) {
      if (!pick.ended) this.counters.abandoned++;
      this.ended(pick, NEUTRAL, now);
    }
    if (now < this.#due) return;
    if (now >= this.#overdueDue) this.#endOverdue(now);
    for (const state of [...this.#reporting]) if (now >= state.othersUntil) this.#report(state, 0, Infinity);
    this.#ejection.over(now);
    const nextStep = this.#candidates.rebuild(this.#ejection.out, now);
    let reported = Infinity;
    for (const state of this.#reporting) reported = Math.min(reported, state.othersUntil);
    this.#due = Math.min(nextStep, reported, this.#ejection.nextOverAt(), this.#overdueDue);
  }

  #endOverdue(now) {
    this.#overdueDue = now + OVERDUE_EVERY_S;
    for (const pick of [...this.#open]) {
      if (now < pick.overdueAt) continue;
      this.counters.overdue++;
      this.ended(pick, NEUTRAL, now);
    }
  }

  // -- for people -----------------------------------------------------------------------------------------------------

  /** Every decision so far, by the names of COUNTERS, and what is in flight and ejected now. */
  stats() {
    let ejected = 0;
    for (const state of this.#ejection.out) ejected += state.phase !== IN;
    return {
      ...this.counters,
      ejections: this.#ejection.ejected,
      ejections_refused: this.#ejection.refused,
      returns: this.#ejection.returned,
      in_flight: this.inFlight,
      ejected,
    };
  }
}
