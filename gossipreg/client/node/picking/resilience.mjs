// All that one service has for its requests: picks, the breaker, the budget for retries. Pure, as `balancer.mjs` is.
//
// A single pick is a call with one attempt: the breaker counts its outcome too.

import { BreakerOpen } from "../errors.mjs";
import { LogicalCall } from "./attempts.mjs";
import { Balancer, DEADLINE_S } from "./balancer.mjs";
import { Breaker } from "./breaker.mjs";
import { RetryBudget } from "./budget.mjs";
import { pickOptions } from "./options.mjs";

/** What the breaker hears of an outcome; nothing of the others. */
const FAILED = new Map([
  ["success", false],
  ["failure", true],
]);

export class Resilience {
  budget = new RetryBudget();

  constructor(name, options = pickOptions(), uniform = Math.random) {
    this.name = name;
    this.uniform = uniform;
    this.balancer = new Balancer(name, options, uniform);
    this.breaker = new Breaker(uniform);
  }

  /** Begin a logical call. It has to be closed. Throws BreakerOpen. */
  begin(options, now, key = null) {
    const permission = this.#admit(now, options.deadlineS);
    this.budget.requested(now);
    this.balancer.counters.calls++;
    return new LogicalCall(this, options, permission, key, now);
  }

  /** Choose the instance of a single request, which is not repeated. `pickEnded` has to follow. Throws BreakerOpen,
   * NoInstance. */
  pick(now, { key = null, deadlineS = DEADLINE_S } = {}) {
    const permission = this.#admit(now, deadlineS);
    try {
      const pick = this.balancer.pick(now, { key, deadlineS });
      pick.permission = permission;
      return pick;
    } catch (error) {
      this.breakerEnded(null, permission, now);
      throw error;
    }
  }

  /** Take in how a single request ended; its second end changes nothing. */
  pickEnded(pick, outcome, now, load = null) {
    if (!this.balancer.ended(pick, outcome, now, load)) return;
    this.budget.requested(now);
    this.breakerEnded(FAILED.get(outcome.kind) ?? null, pick.permission, now);
  }

  breakerEnded(failed, permission, now) {
    if (this.breaker.ended(failed, permission, now)) this.balancer.counters.breaker_opened++;
  }

  /** The counters, and how it is now. */
  stats() {
    return { ...this.balancer.stats(), breaker: this.breaker.state };
  }

  #admit(now, deadlineS) {
    const permission = this.breaker.admit(now, deadlineS);
    if (permission === "refused") {
      this.balancer.counters.breaker_refused++;
      const leftS = this.breaker.openUntil - now;
      const until = leftS > 0 ? `for ${leftS.toFixed(1)} s` : "until the one that is sent as a probe has succeeded";
      throw new BreakerOpen(`most calls to ${this.name} failed lately: none is sent ${until}`);
    }
    if (permission === "probe") this.balancer.counters.breaker_probes++;
    return permission;
  }
}
