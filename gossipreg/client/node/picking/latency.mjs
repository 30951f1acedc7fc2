// How long requests take: one figure an instance for picking, and the quantiles of a service for timeouts.
//
// The figure of an instance is an average that forgets: old samples lose weight with time (Finagle's `peak_ewma`
// without the peak). It is a geometric mean: a single sample that is twenty times the others, such as that of a request
// that had to open a connection, must not make an instance look slow. It moves towards the median of the instances
// while no new sample comes, and is forgotten after 30 s: otherwise a slow instance would never be tried again.

import { firstAt } from "../sorted.mjs";

/** A figure counts until so long after its last sample. */
const FRESH_S = 30;
/** A figure counts once it has SAMPLES_MIN samples, or YOUNG_S after the first one: that may be of a cold connection,
 * and is dropped when the second one comes. */
const SAMPLES_MIN = 5;
const YOUNG_S = 2;
/** After a pause of this length the samples are counted anew, since connections may have been closed. */
const PAUSE_S = 5;
/** A sample that came AVERAGE_S after the one before counts 63 %. */
const AVERAGE_S = 2;
/** The least that one sample counts, however fast they come: an average over few is noisy. */
const SAMPLE_SHARE_MIN = 0.002;
/** A geometric mean has no place for 0. */
const SHORTEST_SAMPLE_S = 1e-6;
/** The time constant with which a figure moves towards the median. */
const DECAY_S = 3;
const MEDIAN_EVERY_S = 0.25;
/** Figures that the median is taken of: enough for a median, and the cost has a bound. */
const MEDIAN_OF_MAX = 101;

/** The average latency of one instance: a geometric mean. */
export class LatencyEstimate {
  averageS = 0;
  lastAt = -Infinity;
  freshUntil = -Infinity;
  freshFrom = Infinity;
  #samples = 0;

  /** Take in a sample. That of a failure counts as in an arithmetic mean: a single one has to be felt. */
  add(latencyS, now, failed = false) {
    if (now - this.lastAt >= PAUSE_S) {
      this.#samples = 0;
      this.freshFrom = now + YOUNG_S;
    }
    this.#samples += 1;
    const sampleS = Math.max(latencyS, SHORTEST_SAMPLE_S);
    if (this.#samples <= 2) {
      this.averageS = sampleS;
    } else {
      const recent = 1 - Math.exp((this.lastAt - now) / AVERAGE_S);
      const counts = Math.max(recent, 1 / (this.#samples - 1), SAMPLE_SHARE_MIN);
      if (failed) this.averageS += (sampleS - this.averageS) * counts;
      else this.averageS *= (sampleS / this.averageS) ** counts;
    }
    this.lastAt = now;
    this.freshUntil = now + FRESH_S;
    if (this.#samples === SAMPLES_MIN) this.freshFrom = Math.min(this.freshFrom, now);
  }

  /** The latency to reckon with. `medianS`: of the other instances. */
  figureS(medianS, now) {
    if (now < this.freshFrom || now >= this.freshUntil) return medianS;
    return medianS + (this.averageS - medianS) * Math.exp((this.lastAt - now) / DECAY_S);
  }
}

/** The median of the figures of a service's instances, and their lower quartile. They are worked out at most every
 * MEDIAN_EVERY_S, and while there are few when another one begins to count. Of two in the middle it is the smaller. */
export class MedianLatency {
  /** While no figure is known any number will do: it is the same for all, so only requests in flight count. */
  medianS = 1;
  /** The lower quartile: what an instance takes that is as fast as any. */
  quickS = 1;
  /** Instances whose figures may be fresh. */
  #known = new Set();
  #due = -Infinity;

  /** Take in that this instance has a new sample. */
  sampled(state, now) {
    if (now >= state.latency.freshUntil) return;
    this.#known.add(state);
    if (now >= this.#due || (now === state.latency.freshFrom && this.#known.size < MEDIAN_OF_MAX)) this.#workOut(now);
  }

  forget(states) {
    for (const state of states) this.#known.delete(state);
  }

  #workOut(now) {
    for (const state of this.#known) if (now >= state.latency.freshUntil) this.#known.delete(state);
    const figures = [...this.#known]
      .slice(0, MEDIAN_OF_MAX)
      .filter(({ latency }) => latency.freshFrom <= now)
      .map(({ latency }) => latency.averageS)
      .sort((a, b) => a - b);
    if (figures.length) {
      const last = figures.length - 1;
      this.medianS = figures[last >> 1];
      this.quickS = figures[last >> 2];
    }
    this.#due = now + MEDIAN_EVERY_S;
  }
}

/** The width of a bucket: a quantile is at most 10 % too large. */
const BUCKET_GROWTH = 1.1;
const SHORTEST_S = 0.0001;
/** Up to 0.0001 s x 1.1^149, about 147 s. */
const BUCKETS = 150;
const WINDOW_S = 10;
/** Samples below which no quantile is given. */
const QUANTILE_MIN = 20;

const BOUNDS = Array.from({ length: BUCKETS - 1 }, (_, number) => SHORTEST_S * BUCKET_GROWTH ** number);

/** A histogram of the latencies of the last 10 to 20 s, with buckets that grow by 10 %. */
export class LatencyQuantiles {
  #counts = new Array(BUCKETS).fill(0);
  #former = new Array(BUCKETS).fill(0);
  #formerCount = 0;
  #since = -Infinity;
  #quantiles = new Map();
  #workedOutAt = -Infinity;
  /** Samples of the present window. */
  count = 0;

  add(latencyS, now) {
    if (now - this.#since >= WINDOW_S) this.#turn(now);
    this.#counts[firstAt(BOUNDS, latencyS)] += 1;
    this.count += 1;
  }

  /** How many samples the quantiles rest on. */
  samples(now) {
    if (now - this.#since >= WINDOW_S) this.#turn(now);
    return this.count + this.#formerCount;
  }

  /** The latency that this share of the requests does not exceed. Null with fewer than 20 samples. At most
   * MEDIAN_EVERY_S old. */
  quantileS(quantile, now) {
    if (this.samples(now) < QUANTILE_MIN) return null;
    if (now - this.#workedOutAt >= MEDIAN_EVERY_S) {
      this.#quantiles.clear();
      this.#workedOutAt = now;
    }
    if (!this.#quantiles.has(quantile)) this.#quantiles.set(quantile, this.#walk(quantile));
    return this.#quantiles.get(quantile);
  }

  /** The longest latency, however few samples there are. Null: there is none. */
  longestS(now) {
    return this.samples(now) ? this.#walk(1) : null;
  }

  #walk(quantile) {
    let left = quantile * (this.count + this.#formerCount);
    for (let number = 0; number < BOUNDS.length; number++) {
      left -= this.#counts[number] + this.#former[number];
      if (left <= 0) return BOUNDS[number];
    }
    return BOUNDS[BOUNDS.length - 1];
  }

  #turn(now) {
    const recent = now - this.#since < 2 * WINDOW_S;
    this.#former = recent ? this.#counts : new Array(BUCKETS).fill(0);
    this.#formerCount = recent ? this.count : 0;
    this.#counts = new Array(BUCKETS).fill(0);
    this.count = 0;
    this.#since = recent ? this.#since + WINDOW_S : now;
    this.#quantiles.clear();
  }
}
