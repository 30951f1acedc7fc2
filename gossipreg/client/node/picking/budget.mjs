// The budget of a service for requests that are sent a second time. It bounds retries and hedges; fallbacks are
// counted.
//
// If a service is overloaded, retries are more load, so they must stay a small part of all requests (SRE book, chapter
// 21; Finagle's RetryBudget): 20 % of the requests of the last 10 s, and 10 more, which is 1 a second.

import { RecentCount } from "./window.mjs";

const PART = 0.2;
const RESERVE = 10;

export class RetryBudget {
  #requests = new RecentCount();
  #spent = new RecentCount();

  /** Count a logical call, which gives its part to the budget. */
  requested(now) {
    this.#requests.add(now);
  }

  /** How many may still be sent now. */
  left(now) {
    return RESERVE + PART * this.#requests.advance(now) - this.#spent.advance(now);
  }

  /** Take one, even if there is none. */
  charge(now) {
    this.#spent.add(now);
  }

  /** Take one. False: there is none. */
  spend(now) {
    if (this.left(now) < 1) return false;
    this.#spent.add(now);
    return true;
  }
}
