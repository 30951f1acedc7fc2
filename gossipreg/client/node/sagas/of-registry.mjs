// The sagas of one registry.

import { monotonic } from "../clock.mjs";
import { BadParams, DeadlineExceeded } from "../errors.mjs";
import { requireFunction, requireWait, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { ANSWER_S, ProgramCall } from "./program-call.mjs";
import { journalCall, runCall, runFailed } from "./running.mjs";
import { begunUntrusted, journalUntrusted, storyUntrusted } from "./saga-answers.mjs";
import { ProgramCaller } from "./saga-caller.mjs";
import { Saga, requireSaga } from "./saga.mjs";

const WAIT_MS = 60_000;
/** A wait is asked for in pieces of this length. */
const ASK_S = 10;
const WAIT_OPTIONS = ["timeoutMs", "until"];
/** How a full name begins: an id may have dots too. */
const FULL_NAME = /^[0-9a-f]{32}\../;

export class RegistrySagas {
  #caller;

  /** findPath(): a promise of the socket's path. */
  constructor(findPath) {
    this.#caller = new ProgramCaller(findPath);
  }

  /** See `Registry.saga` in index.d.ts. */
  async saga(name, options, work) {
    const saga = new Saga(this.#caller, name, options);
    requireFunction("work", work);
    return saga.run(work);
  }

  /** See `Registry.runSaga` in index.d.ts. */
  async run(definition, options) {
    const call = runCall(definition, options);
    try {
      return begunUntrusted("saga-run", await this.#caller.callAlone(call));
    } catch (error) {
      throw runFailed(call, error);
    }
  }

  /** See `Registry.sagaJournal` in index.d.ts. */
  async journal() {
    return journalUntrusted(await this.#caller.callAlone(journalCall()));
  }

  /** See `Registry.sagaOf` in index.d.ts. */
  sagaOf(saga) {
    requireSaga(saga);
    return new SagaHandle(this.#caller, saga);
  }

  close() {
    this.#caller.close();
  }
}

/** A saga that somebody has begun; see sagas.d.ts. */
export class SagaHandle {
  #caller;

  constructor(caller, saga) {
    this.#caller = caller;
    this.saga = saga;
  }

  async show() {
    return storyUntrusted(await this.#call("saga-show", { saga: this.saga }));
  }

  async wait(options = {}) {
    refuseUnknown("wait", options, WAIT_OPTIONS);
    const { timeoutMs = WAIT_MS, until = "decided" } = options;
    requireWait("timeoutMs", timeoutMs, "give how long to wait");
    if (until !== "decided" && until !== "ended") {
      throw new BadParams(`until is ${shown(until)}: give "decided" or "ended"`);
    }
    const deadline = monotonic() + timeoutMs / 1000;
    let saga = FULL_NAME.test(this.saga) ? this.saga : null;
    for (let state = "running"; ; ) {
      const leftS = deadline - monotonic();
      if (leftS <= 0) {
        throw new DeadlineExceeded(`saga ${this.saga} is not ${until} after ${timeoutMs / 1000} s: ${state}`);
      }
      const story = saga === null ? await this.show() : await this.#wait(saga, until, Math.min(ASK_S, leftS));
      if (story.isEnded || (until === "decided" && story.isDecided)) return story;
      ({ saga, state } = story);
    }
  }

  async #wait(saga, until, pieceS) {
    const params = { saga, until, timeout_ms: Math.max(1, Math.round(pieceS * 1000)) };
    return storyUntrusted(await this.#call("saga-wait", params, pieceS + ANSWER_S));
  }

  #call(method, params, timeoutS) {
    return this.#caller.callAlone(new ProgramCall(method, params, monotonic(), timeoutS));
  }
}
