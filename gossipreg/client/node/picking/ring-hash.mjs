// Picks by key: the same key gets the same instance, and a change of the instances moves few keys.
//
// Consistent hashing with bounded load (Karger et al. 1997; Mirrokni, Thorup, Zadimoghaddam 2018). Each instance has
// points on a ring of 32 bits, in number by its weight. A key belongs to the first instance at or after its own point.
// An instance that cannot be picked, or that has more than 1.25 times its part of this process's requests in flight, is
// passed over. The ring itself changes only when an instance starts or stops passing, so an ejected instance gets its
// keys back. Python and Node place the same key at the same instance.

import { createHash } from "node:crypto";
import { firstAt } from "../sorted.mjs";

/** Of an instance of usual weight: the parts of two instances then differ by about an eighth. */
const POINTS = 64;
const POINTS_OF_MANY = 4;
/** From so many instances on each has POINTS_OF_MANY points, until there are fewer than half as many. */
const MANY = 1024;
const POINTS_MAX = 640;
/** The most that an instance may have in flight, against its part by weight. Smaller moves more keys. */
const LOAD_BOUND = 1.25;

function sha256(text) {
  return createHash("sha256").update(text, "utf8").digest();
}

/** Where a key is on the ring: the first four bytes of its SHA-256. */
export function keyPoint(key) {
  return sha256(key).readUInt32BE(0);
}

/** The points of an instance: the words of SHA-256 of `node/id/0`, `node/id/1`, ... A longer list begins with the
 * shorter ones. */
export function instancePoints(node, id, count) {
  const points = [];
  for (let block = 0; points.length < count; block++) {
    const words = sha256(`${node}/${id}/${block}`);
    for (let at = 0; at < words.length && points.length < count; at += 4) points.push(words.readUInt32BE(at));
  }
  return points;
}

/** The points of all passing instances. */
export class HashRing {
  /** From each state to its points. */
  #states = new Map();
  #points = [];
  /** Whose each point is; in step with `#points`. */
  #holders = [];
  #each = POINTS;
  /** The weight that gets `#each` points: the median of the weights when the ring was made. */
  #unit = 1;

  /** Take out and put in. Few instances are moved one by one; for many the ring is made anew. */
  change(gone, come) {
    const count = this.#states.size + come.length - gone.length;
    const many = count >= (this.#each === POINTS ? MANY : MANY / 2);
    const each = many ? POINTS_OF_MANY : POINTS;
    if (each !== this.#each || !this.#states.size || gone.length + come.length > Math.max(16, count >> 3)) {
      for (const state of gone) this.#states.delete(state);
      this.#make([...this.#states.keys(), ...come], each);
      return;
    }
    for (const state of gone) this.#takeOut(state);
    for (const state of come) this.#putIn(state);
  }

  /**
   * The instance of a key at this point (null if none can be picked), and whether it is another than the first.
   * `inFlight` of this process at all instances; `weight`: the sum of the shares of those that can be picked.
   */
  pick(point, inFlight, weight) {
    const holders = this.#holders;
    const each = weight ? (LOAD_BOUND * (inFlight + 1)) / weight : 0;
    let at = firstAt(this.#points, point);
    const own = holders.length ? holders[at % holders.length] : null;
    let full = null;
    for (let walked = 0; walked < holders.length; walked++, at++) {
      const state = holders[at % holders.length];
      if (!state.share) continue;
      if (state.inFlight < Math.ceil(each * state.share)) return [state, state !== own];
      full ??= state;
    }
    return [full, full !== own];
  }

  #make(states, each) {
    const weights = states.map((state) => state.weight).filter((weight) => weight > 0);
    weights.sort((a, b) => a - b);
    this.#each = each;
    this.#unit = weights.length ? weights[weights.length >> 1] : 1;
    this.#states = new Map(states.map((state) => [state, this.#pointsOf(state)]));
    const held = [];
    for (const [state, points] of this.#states) for (const point of points) held.push({ point, state });
    held.sort((a, b) => a.point - b.point || byName(a.state, b.state));
    this.#points = held.map(({ point }) => point);
    this.#holders = held.map(({ state }) => state);
  }

  #pointsOf(state) {
    const count = Math.floor((this.#each * state.weight) / this.#unit + 0.5);
    return instancePoints(state.instance.node, state.instance.id, Math.min(POINTS_MAX, Math.max(1, count)));
  }

  #putIn(state) {
    const points = this.#pointsOf(state);
    this.#states.set(state, points);
    for (const point of points) {
      let at = firstAt(this.#points, point);
      while (this.#points[at] === point && byName(this.#holders[at], state) < 0) at++;
      this.#points.splice(at, 0, point);
      this.#holders.splice(at, 0, state);
    }
  }

  #takeOut(state) {
    for (const point of this.#states.get(state)) {
      let at = firstAt(this.#points, point);
      while (this.#holders[at] !== state) at++;
      this.#points.splice(at, 1);
      this.#holders.splice(at, 1);
    }
    this.#states.delete(state);
  }
}

function byName(a, b) {
  const [one, other] = [a.instance, b.instance];
  if (one.node !== other.node) return one.node < other.node ? -1 : 1;
  return one.id === other.id ? 0 : one.id < other.id ? -1 : 1;
}
