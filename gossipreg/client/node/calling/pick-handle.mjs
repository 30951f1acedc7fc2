// One request of a program to an instance that it picked itself.

import { monotonic } from "../clock.mjs";
import { attemptHeaders } from "../picking/headers.mjs";
import { FAILURE, NEUTRAL, SUCCESS, errorOutcome, statusOutcome } from "../picking/outcomes.mjs";

/** A handle that nobody ends: its pick ends as neutral, with the next pick of the service. */
const lost = new FinalizationRegistry(({ core, pick }) => {
  if (pick.ended) return;
  core.breakerEnded(null, pick.permission, monotonic());
  core.balancer.abandon(pick);
});

export class PickHandle {
  #core;
  #pick;
  #outcome = null;
  #load = null;
  #check;

  constructor(core, pick, timeoutMs, check) {
    this.#core = core;
    this.#pick = pick;
    this.#check = check;
    this.instance = pick.instance;
    this.timeoutMs = timeoutMs;
    lost.register(this, { core, pick }, this);
  }

  /** The HTTP header that tells the server how long this caller waits. */
  get headers() {
    return attemptHeaders(this.timeoutMs / 1000, 1);
  }

  /** The headers came. What follows, such as a body that is streamed, does not count as latency. */
  answered() {
    this.#core.balancer.answered(this.#pick, monotonic());
  }

  /** The request failed, although no error will be given to `end`. */
  failed() {
    this.#outcome = FAILURE;
  }

  /** The response has this HTTP status: 500, 502, 503 and 504 are failures, 429 counts as load. */
  status(status, retryAfterS = null) {
    this.#outcome = statusOutcome(status, retryAfterS);
  }

  /** The server says that it has so many requests in flight, this one included. */
  serverLoad(inFlight) {
    this.#load = inFlight;
  }

  /** The request is over. error: what it ended with, if it did. A second end changes nothing. */
  end(error = null) {
    lost.unregister(this);
    const outcome = this.#outcome ?? (error === null ? SUCCESS : errorOutcome(error, Date.now() / 1000));
    if (outcome.kind === "failure") this.#check();
    this.#core.pickEnded(this.#pick, outcome, monotonic(), this.#load);
  }

  /** The request is over in a way that says nothing about the instance. */
  cancel() {
    this.#outcome = NEUTRAL;
    this.end();
  }
}

if (Symbol.dispose) {
  PickHandle.prototype[Symbol.dispose] = function () {
    this.end();
  };
}
