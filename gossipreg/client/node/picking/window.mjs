// How many in the last ten seconds, in buckets of one second.

const BUCKETS = 10;

/** What happened at second 0.9 is forgotten at second 10. */
export class RecentCount {
  #buckets = new Array(BUCKETS).fill(0);
  #second = 0;
  /** As of the last `advance` or `add`. */
  total = 0;

  add(now) {
    this.advance(now);
    this.#buckets[bucket(this.#second)] += 1;
    this.total += 1;
  }

  /** Forget what is too old, and return the total. */
  advance(now) {
    const second = Math.floor(now);
    if (second !== this.#second) {
      for (let passed = Math.max(this.#second + 1, second - BUCKETS + 1); passed <= second; passed++) {
        this.total -= this.#buckets[bucket(passed)];
        this.#buckets[bucket(passed)] = 0;
      }
      this.#second = second;
    }
    return this.total;
  }

  clear() {
    this.#buckets.fill(0);
    this.total = 0;
  }
}

function bucket(second) {
  return ((second % BUCKETS) + BUCKETS) % BUCKETS;
}
