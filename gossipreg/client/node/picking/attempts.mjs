// One logical call as a state machine: which attempt comes next, and what the end of an attempt leads to.
//
//     const call = resilience.begin(callOptions({ idempotent: true, deadlineS: 2 }), now);   may throw BreakerOpen
//     const attempt = call.nextAttempt(now);                   may throw NoInstance, DeadlineExceeded
//     ... send it to attempt.instance, with attempt.timeoutS ...
//     switch (call.ended(attempt, outcome, now)):
//         "retry": wait until call.retryAt, then nextAttempt
//         "wait":  another attempt of this call (a hedge) still runs
//         "final": this outcome is the outcome of the call
//
// An attempt that failed is followed by another if all of these hold; otherwise the counter of the first that does not
// says why. The request may be sent again (it was never sent, or is idempotent); the request that this call serves is
// no retry itself; attempts are left; there is time before the deadline, Retry-After included; there is another
// instance (a failed attempt may go to the same one if it is the only one, but not after 429); the budget has one left.
//
// It does no I/O and does not wait. Whoever begins a call closes it.

import { DeadlineExceeded, NoInstance } from "../errors.mjs";
import { attemptHeaders } from "./headers.mjs";
import { NEUTRAL } from "./outcomes.mjs";
import { attemptTimeoutS, connectTimeoutS, hedgeAfterS } from "./timeouts.mjs";

/** The wait before the second retry and later ones, and before a retry at the same instance: doubled each time, drawn
 * between its half and the whole. The first retry at another instance waits for nothing. */
const BACKOFF_S = 0.025;
const BACKOFF_LONGEST_S = 1;

/** One request of a call to one instance. */
class Attempt {
  constructor(pick, number, timeoutS, leftS, depth, isHedge) {
    this.pick = pick;
    this.number = number; // 1, 2, ... within the call, those before a fallback included
    this.timeoutS = timeoutS;
    this.connectTimeoutS = connectTimeoutS(timeoutS, leftS); // at most so much of it for making the connection
    this.leftS = leftS; // until the deadline of the call, from the attempt's start
    this.depth = depth;
    this.isHedge = isHedge;
  }

  /** What the server has to know. */
  headers() {
    return attemptHeaders(this.timeoutS, Math.max(this.number, this.depth));
  }
}

/** Made by `Resilience.begin`. */
export class LogicalCall {
  #service;
  #permission;
  #key;
  #running = new Set();
  #tried = []; // the states of the instances
  #hedged = false;
  /** No attempt that ended badly has reached a server without being idempotent. */
  #mayResend = true;
  attempts = 0;
  isOver = false;
  /** The counter that says why no further attempt was made; empty after a success. */
  why = "";

  constructor(service, options, permission, key, now) {
    this.#service = service;
    this.#permission = permission;
    this.#key = key;
    this.options = options;
    this.deadline = now + options.deadlineS;
    /** Not before this may the next attempt begin. */
    this.retryAt = now;
  }

  // -- attempts -------------------------------------------------------------------------------------------------------

  /** Begin an attempt. `ended` has to follow. Throws DeadlineExceeded, NoInstance. */
  nextAttempt(now) {
    if (now >= this.deadline) {
      this.#close(this.attempts ? true : null, "deadline_too_near", now);
      throw new DeadlineExceeded(`${this.#service.name}: the deadline of ${this.options.deadlineS} s has passed`);
    }
    if (this.#tried.length) this.#count("retries");
    return this.#begin(now, false);
  }

  /** Take in how an attempt ended; the second end of the same one changes nothing. `load`: see Balancer.ended. */
  ended(attempt, outcome, now, load = null) {
    if (!this.#running.delete(attempt)) return this.isOver ? "final" : "wait";
    this.#service.balancer.ended(attempt.pick, outcome, now, load);
    if (outcome.kind === "success" || outcome.kind === "neutral") {
      this.#close(outcome.kind === "neutral" ? null : false, "", now);
      return "final";
    }
    this.#mayResend &&= outcome.neverSent || this.options.idempotent;
    if (this.#running.size) return "wait";
    const why = this.#whyNoRetry(outcome, now);
    if (!why) return "retry";
    this.#count(why);
    this.#close(outcome.kind === "failure" ? true : null, why, now);
    return "final";
  }

  /** End the call, whatever became of it; attempts that run are neutral. A second end changes nothing. */
  close(now) {
    this.#close(null, this.why, now);
  }

  // -- hedges ---------------------------------------------------------------------------------------------------------

  /** When to send a second attempt if this one has not ended by then. Null: never. */
  hedgeAt(attempt, now) {
    const { options } = this;
    const { balancer } = this.#service;
    if (this.#hedged || !(options.hedge && options.idempotent) || options.depth > 1) return null;
    if (this.attempts >= options.attemptsMax || !balancer.othersThan(this.#tried)) return null;
    const afterS = hedgeAfterS(balancer.quantiles, now);
    return afterS === null || afterS >= attempt.leftS ? null : attempt.pick.started + afterS;
  }

  /** Begin the second attempt. Null: the first has ended, or the budget or the instances are used up. */
  hedge(now) {
    if (this.#hedged || this.isOver || !this.#running.size || now >= this.deadline) return null;
    if (!this.#service.balancer.othersThan(this.#tried)) return null;
    this.#hedged = true;
    if (!this.#service.budget.spend(now)) {
      this.#count("budget_used_up");
      return null;
    }
    let attempt;
    try {
      attempt = this.#begin(now, true);
    } catch (error) {
      if (error instanceof NoInstance) return null; // the others have left just now: the first attempt goes on
      throw error;
    }
    this.#count("hedges");
    return attempt;
  }

  // -- fallback -------------------------------------------------------------------------------------------------------

  /** Whether the call, which has failed, may go to its fallback. A fallback is a retry, so the same rule holds for it;
   * if nothing was ever sent it is the first request, and costs nothing. The budget counts it, but never refuses it:
   * retries would leave nothing for the fallbacks of a service that is called seldom. */
  mayFallBack(now) {
    if (now >= this.deadline || !this.#mayResend) return false;
    if (this.attempts) {
      if (this.options.depth > 1) return false;
      this.#service.budget.charge(now);
    }
    this.#count("fallbacks");
    return true;
  }

  // -------------------------------------------------------------------------------------------------------------------

  #begin(now, isHedge) {
    const leftS = this.deadline - now;
    let pick;
    try {
      pick = this.#service.balancer.pick(now, { key: this.#key, avoid: this.#tried, deadlineS: leftS });
    } catch (error) {
      if (error instanceof NoInstance && !isHedge) this.#close(null, "no_instance", now);
      throw error;
    }
    this.attempts++;
    this.#count("attempts");
    let timeoutS = leftS;
    if (!isHedge && this.#canBeFollowed(now)) {
      const { quantiles } = this.#service.balancer;
      timeoutS = attemptTimeoutS(quantiles, this.options.deadlineS, leftS, this.attempts === 1, now);
    }
    const number = this.options.attemptsBefore + this.attempts;
    const attempt = new Attempt(pick, number, timeoutS, leftS, this.options.depth, isHedge);
    this.#running.add(attempt);
    this.#tried = [...this.#tried, pick.state];
    return attempt;
  }

  /** Whether a retry could follow this attempt if it is sent and times out. */
  #canBeFollowed(now) {
    const { idempotent, depth, attemptsMax } = this.options;
    return idempotent && depth === 1 && this.attempts < attemptsMax && this.#service.budget.left(now) >= 1;
  }

  /** Set `retryAt`, pay for the retry, and return an empty text; or return the counter that says why not. */
  #whyNoRetry(outcome, now) {
    if (!this.#mayResend) return "not_idempotent";
    if (this.options.depth > 1) return "retry_of_a_retry";
    if (this.attempts >= this.options.attemptsMax) return "attempts_used_up";
    const others = this.#service.balancer.othersThan(this.#tried);
    if (!others && outcome.kind === "overloaded") return "no_other_instance";
    let waitS = 0;
    if (!others || this.attempts > 1) {
      const longestS = Math.min(BACKOFF_LONGEST_S, BACKOFF_S * 2 ** (this.attempts - 1));
      waitS = longestS * (0.5 + 0.5 * this.#service.uniform());
    }
    this.retryAt = now + Math.max(waitS, outcome.retryAfterS ?? 0);
    if (this.retryAt >= this.deadline) return "deadline_too_near";
    return this.#service.budget.spend(now) ? "" : "budget_used_up";
  }

  #spend(now) {
    const paid = this.#service.budget.spend(now);
    if (!paid) this.#count("budget_used_up");
    return paid;
  }

  #close(failed, why, now) {
    if (this.isOver) return;
    this.isOver = true;
    this.why = why;
    for (const attempt of this.#running) this.#service.balancer.ended(attempt.pick, NEUTRAL, now);
    this.#running.clear();
    if (failed !== null) this.#count(failed ? "calls_failed" : "calls_succeeded");
    this.#service.breakerEnded(failed, this.#permission, now);
  }

  #count(name) {
    this.#service.balancer.counters[name]++;
  }
}
