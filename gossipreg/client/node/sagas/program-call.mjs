// One call about a saga: what each failed attempt says of its outcome, and when there is another one. As
// `gossipreg/client/sagas/saga_call.py` decides. Times are in seconds of `monotonic`.

import { Busy, Leaving, NotSynced, OutcomeUnknown, Unavailable, Unreachable } from "../errors.mjs";

/** A sidecar waits so long for a program whose connection has ended, before it undoes the program's sagas. */
export const LOST_S = 10;
export const CALL_S = 10;
/** The caller waits so much longer than the sidecar, which knows better what became of the call. */
export const ANSWER_S = 5;
const FIRST_WAIT_S = 0.02;
const LONGEST_WAIT_S = 0.5;
/** The call was not carried out, and the same may succeed soon. */
const MAY_PASS = [Busy, Leaving, NotSynced, Unavailable];

export class ProgramCall {
  #waitS = 0;
  /** When the attempt that is under way began. */
  #began;
  #awaySince = null;
  #lostS;
  /** Whether an attempt may have been carried out, and its answer is missing. */
  isLost = false;

  constructor(method, params, now, timeoutS = CALL_S, lostS = LOST_S) {
    this.method = method;
    this.params = params;
    this.deadline = now + timeoutS;
    this.#began = now;
    this.#lostS = lostS;
  }

  /** An attempt failed. Returns the seconds to wait for the next one; throws if there can be none. */
  waitAfter(error, now) {
    if (error instanceof Unreachable) {
      if (!error.neverSent) {
        this.isLost = true;
        this.#awaySince = now;
      } else this.#awaySince ??= now;
      return this.#again(error, now);
    }
    this.#awaySince = null;
    this.isLost ||= error instanceof OutcomeUnknown;
    if (error instanceof OutcomeUnknown) return this.#again(error, now);
    // one that waits for a leader as long as this one did would only leave the outcome unknown
    const hasTime = now - this.#began < this.deadline - now;
    if (hasTime && MAY_PASS.some((kind) => error instanceof kind)) return this.#again(error, now);
    throw error;
  }

  /** Whether the call ended with this error, and an attempt before may have been carried out: that the last one was not
   * says nothing of it. */
  isUnclear(error) {
    return this.isLost && [...MAY_PASS, OutcomeUnknown, Unreachable].some((kind) => error instanceof kind);
  }

  #again(error, now) {
    this.#waitS = this.#waitS ? Math.min(LONGEST_WAIT_S, this.#waitS * 2) : FIRST_WAIT_S;
    const waitS = this.#waitS * (0.5 + 0.5 * Math.random());
    const awayUntil = this.#awaySince === null ? this.deadline : this.#awaySince + this.#lostS;
    if (now + waitS >= Math.min(this.deadline, awayUntil)) throw error;
    this.#began = now + waitS;
    return waitS;
  }
}
