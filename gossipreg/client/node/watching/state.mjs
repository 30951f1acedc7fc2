// What a sidecar says of itself (the method `state` of the local socket), and how much a client believes it. Pure:
// `now` is an argument, in seconds that go on while the host sleeps. The same rules as the Python client's
// `watching/state.py`.
//
// A client holds the last snapshots, and a sidecar may know less than they say: it has just restarted, its link is
// down, or it is another one. So there are three degrees of trust:
//
//     ALL       what the sidecar lists is, and what it does not list is not: it is synced, and it has members other
//               than itself, or had none before, or runs on since it was last believed
//     LISTED    what the sidecar lists is; what it leaves out stays, stale
//     NOTHING   it is a sidecar of another cluster; or another member than before, for STRANGER_S, unless it has met
//               a member that we know

import { isObject } from "../instance.mjs";

/** A sidecar without a data directory is another member after each restart. It finds its cluster in this time. */
const STRANGER_S = 10;

export const NOTHING = 0;
export const LISTED = 1;
export const ALL = 2;

const TEXTS = ["cluster", "node", "name", "zone", "run", "knowledge", "not_synced_because"];

/** The state of this JSON shape. Throws TypeError: the program on the socket is at fault. */
export function stateUntrusted(shape) {
  if (
    !isObject(shape) ||
    typeof shape.others !== "boolean" ||
    !TEXTS.every((name) => typeof shape[name] === "string")
  ) {
    throw new TypeError(`not the state of a sidecar: ${JSON.stringify(shape)?.slice(0, 200)}`);
  }
  return Object.freeze({ ...shape });
}

/** How much the sidecar at the other end is believed, connection after connection. */
export class SidecarTrust {
  #maxStaleS;
  #doubtedSince = Infinity;
  #strangerUntil = Infinity;
  #forgiven = false;
  /** Of the sidecar that is connected; null: none is, or it has not said. */
  state = null;
  /** The last state in which a sidecar was believed in all; null: none was, or it is too long ago. */
  believed = null;
  /** Of the sidecar that was believed first. It stays. */
  cluster = null;

  /** After `maxStaleS` without full trust, what we knew before is too old to be protected; null: never. */
  constructor(maxStaleS = null) {
    this.#maxStaleS = maxStaleS ?? Infinity;
  }

  /** The connected sidecar said this of itself. */
  said(state, now) {
    const first = this.state === null;
    this.state = state;
    if (first) {
      const { believed } = this;
      this.#strangerUntil = believed !== null && believed.node !== state.node ? now + STRANGER_S : Infinity;
    }
    if (state.knowledge === "synced") this.#forgiven = false;
    this.#remember(now);
  }

  /** The connection has ended. */
  gone(now) {
    this.#doubtedSince = Math.min(this.#doubtedSince, now);
    this.state = null;
    this.#forgiven = false;
  }

  /** The connected sidecar has met a member that we know, so it is of our cluster. */
  proven(now) {
    this.#strangerUntil = Infinity;
    this.#remember(now);
  }

  get isOfAnotherCluster() {
    return this.state !== null && this.cluster !== null && this.state.cluster !== this.cluster;
  }

  /** Whether it is another member than before, and has not shown yet that it is of our cluster. */
  get isStranger() {
    return this.state !== null && this.#strangerUntil < Infinity;
  }

  get level() {
    const { state, believed } = this;
    if (state === null || this.isOfAnotherCluster || this.isStranger) return NOTHING;
    if (state.knowledge === "isolated" && this.#forgiven) return ALL;
    if (state.knowledge !== "synced") return LISTED;
    const lostAll = believed !== null && believed.run !== state.run && believed.others && !state.others;
    return lostAll ? LISTED : ALL;
  }

  /** When `passTime` may raise the level; Infinity: never. */
  get due() {
    if (this.state === null || this.isOfAnotherCluster || this.level === ALL) return Infinity;
    return this.isStranger ? this.#strangerUntil : this.#doubtedSince + this.#maxStaleS;
  }

  /** Call this when `due` has come. */
  passTime(now) {
    if (this.due > now) return;
    this.#strangerUntil = Infinity;
    if (this.#doubtedSince + this.#maxStaleS <= now) {
      this.believed = null; // what we knew is too old to be of use
      this.#forgiven = true;
      this.#doubtedSince = Infinity;
    }
    this.#remember(now);
  }

  /** Why the sidecar is not believed in all, in words; empty if it is, or if none is connected. */
  get whyNot() {
    const { state } = this;
    if (state === null || this.level === ALL) return "";
    if (this.isOfAnotherCluster) {
      return `it is of the cluster '${state.cluster}', and the one before was of '${this.cluster}'`;
    }
    if (this.isStranger) return `it is another member than before (${state.name}), and has met no member that we know`;
    if (state.knowledge === "isolated") return "it is isolated: nothing arrives from any other member";
    return state.not_synced_because || "it has restarted, and has met no other member yet";
  }

  #remember(now) {
    if (this.level === ALL) {
      this.believed = this.state;
      this.cluster = this.state?.cluster ?? null;
      this.#doubtedSince = Infinity;
    } else {
      this.#doubtedSince = Math.min(this.#doubtedSince, now);
    }
  }
}
