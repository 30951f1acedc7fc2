// The instances that may be picked, with the chance of each: samples of one or two take one binary search each.

/** Immutable. `u` and `v` below are uniform numbers from 0 to below 1. */
export class WeightedGroup {
  #bounds = [];
  #shares;
  #largest = 0;

  /** `shares` are those of the members, all above 0. */
  constructor(members, shares) {
    this.members = members;
    this.#shares = shares;
    this.equal = shares.every((share) => share === shares[0]);
    if (this.equal) {
      this.total = shares.length ? shares[0] * shares.length : 0;
      return;
    }
    let sum = 0;
    for (const share of shares) this.#bounds.push((sum += share));
    this.total = sum;
  }

  /** The largest share. It is looked for when it is first needed: few policies do. */
  get largest() {
    if (!this.#largest) for (const share of this.#shares) this.#largest = Math.max(this.#largest, share);
    return this.#largest;
  }

  /** A member, by weight. The group is not empty. */
  one(u) {
    const members = this.members;
    if (this.equal) return members[Math.floor(u * members.length)];
    return members[Math.min(bisectRight(this.#bounds, u * this.total), members.length - 1)];
  }

  /** The place of a member, by weight. Of equal ones it is another than the one drawn last, if there is another.
   * `last`: its place; -1: none was drawn. */
  draw(u, last) {
    const count = this.members.length;
    if (!this.equal) return Math.min(bisectRight(this.#bounds, u * this.total), count - 1);
    return last < 0 ? Math.floor(u * count) : (last + 1 + Math.floor(u * (count - 1))) % count;
  }

  /**
   * Two different members: the first by weight, the second by weight among the rest. The group has at least two.
   *
   * The second is drawn from the line of all weights without the stretch of the first, so no draw is thrown away.
   */
  two(u, v) {
    const members = this.members;
    const bounds = this.#bounds;
    const last = members.length - 1;
    if (this.equal) {
      const i = Math.floor(u * (last + 1));
      const j = Math.floor(v * last);
      return [members[i], members[j >= i ? j + 1 : j]];
    }
    const i = Math.min(bisectRight(bounds, u * this.total), last);
    if (last === 1) return [members[i], members[1 - i]];
    const below = i ? bounds[i - 1] : 0;
    const share = bounds[i] - below;
    const drawn = v * (this.total - share);
    let j = bisectRight(bounds, drawn < below ? drawn : drawn + share);
    if (j === i || j > last) j = i < last ? i + 1 : i - 1; // rounding
    return [members[i], members[j]];
  }
}

/** Where a value belongs in a sorted list, after those that are equal. */
function bisectRight(sorted, value) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (value < sorted[middle]) high = middle;
    else low = middle + 1;
  }
  return low;
}
