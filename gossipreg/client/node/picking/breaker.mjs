// The circuit breaker of one service: while nearly all calls fail, they fail at once instead of waiting.
//
// It counts final outcomes: those of logical calls after their retries. Single instances that fail are ejected; the
// breaker is for a service of which no instance works.
//
//     closed      calls go through. From 20 outcomes in 10 s with half of them failures it opens
//     open        calls are refused for 5 s to 6.25 s: jittered, so that processes do not try again together
//     half_open   one call goes through as a probe, the others are refused. A success closes the breaker, a failure
//                 opens it again; a probe that says nothing (neutral) leaves the place to the next call, and so does
//                 one that has not ended at its deadline: the program may have lost it

import { RecentCount } from "./window.mjs";

const OUTCOMES_MIN = 20;
const FAILED_PART = 0.5;
const OPEN_S = 5;
const JITTER = 0.25;

export class Breaker {
  #uniform;
  #outcomes = new RecentCount();
  #failures = new RecentCount();
  /** Until then a probe is under way, and nobody else is let through. */
  #probeUntil = -Infinity;
  /** `closed`, `open` or `half_open`. */
  state = "closed";
  openUntil = -Infinity;

  constructor(uniform) {
    this.#uniform = uniform;
  }

  /** Whether a call that may take `deadlineS` may begin: `granted`, `refused` or `probe`. A probe has to be given back
   * with `ended`, whatever becomes of it. */
  admit(now, deadlineS) {
    if (this.state === "closed") return "granted";
    if (this.state === "open" && now >= this.openUntil) this.state = "half_open";
    if (this.state === "open" || now < this.#probeUntil) return "refused";
    this.#probeUntil = now + deadlineS;
    return "probe";
  }

  /**
   * Take in the final outcome of a call; null: neutral. Return whether the breaker has opened by it.
   *
   * A call that was admitted before the breaker opened says nothing any more.
   */
  ended(failed, permission, now) {
    if (permission === "probe") return this.#probeEnded(failed, now);
    if (permission === "refused" || this.state !== "closed" || failed === null) return false;
    this.#outcomes.add(now);
    if (!failed) return false;
    this.#failures.add(now);
    const outcomes = this.#outcomes.advance(now);
    if (outcomes < OUTCOMES_MIN || this.#failures.advance(now) < FAILED_PART * outcomes) return false;
    this.#open(now);
    return true;
  }

  #probeEnded(failed, now) {
    this.#probeUntil = -Infinity;
    if (this.state !== "half_open" || failed === null) return false;
    if (failed) {
      this.#open(now);
      return true;
    }
    this.state = "closed";
    return false;
  }

  #open(now) {
    this.state = "open";
    this.openUntil = now + OPEN_S * (1 + JITTER * this.#uniform());
    this.#outcomes.clear();
    this.#failures.clear();
  }
}
