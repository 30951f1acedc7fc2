// A registration that lives as long as this process: `registry.register`.
//
// It is one stream of the sidecar. When the sidecar ends, the service is registered again as soon as one answers. One
// that takes the connection and does not answer (it stands still) is given up after a while, warned of and asked again.
// When somebody else takes the service out, or registers it anew, that stays so.

import { busyTimer, idleTimer } from "./clock.mjs";
import { Leaving, Refused, RequestError, Unreachable } from "./errors.mjs";
import { openStream } from "./sidecar.mjs";

const FIRST_WAIT_S = 0.05;
const LONGEST_WAIT_S = 2;
/** A registry whose lookups wait for nothing can still register: that is one question and its answer. */
const SHORTEST_BOUND_S = 1;

export class Attachment {
  #findPath;
  #params;
  #ref;
  #stream = null;
  #waitS = 0;
  #timer = null;
  #isClosed = false;
  #boundS;
  #began = null; // {resolve, reject} until the first answer
  #boundTimer = null;
  #path = "";
  #turn = 0; // counts the tries: what comes of an earlier one is ignored
  #isHeld = false;
  #warned = ""; // the reason that was warned of last; once is enough
  #onTakenOut;
  #onOver;
  /** What `register` answered: {id, version}. */
  result = null;

  /** findPath(): a promise of the socket's path. params: of `register`. timeoutS: for how long `begin` waits.
   * onTakenOut(why): somebody else took it out. onOver(): it is over, and does not come back. */
  constructor(findPath, params, { ref, timeoutS, onTakenOut, onOver }) {
    this.#findPath = findPath;
    this.#params = { ...params, attach: true };
    this.#ref = ref;
    this.#boundS = Math.max(SHORTEST_BOUND_S, timeoutS);
    this.#onTakenOut = onTakenOut;
    this.#onOver = onOver;
  }

  get id() {
    return this.result?.id ?? null;
  }

  /** Whether the sidecar holds the registration now. */
  get isOpen() {
    return this.#isHeld;
  }

  /** Register. Rejects with what the sidecar answers, or with Unreachable, also if no answer comes in time. */
  begin() {
    return new Promise((resolve, reject) => {
      this.#began = { resolve, reject };
      void this.#open();
    });
  }

  /** Take the service out. A `begin` that still waits rejects with Refused. */
  close() {
    this.#end(new Refused(`${this.#params.name} was closed before the sidecar had answered`));
  }

  /** No answer came in time. The first registration fails with that; a later one is tried again. */
  #giveUp() {
    const waited = `no answer within ${this.#boundS} s`;
    const why = `the sidecar on ${this.#path} stands still, or the program there is none`;
    if (this.#began !== null) {
      this.#end(new Unreachable(`${this.#params.name} is not registered, ${waited}: ${why}`));
      return;
    }
    this.#stream?.close();
    this.#warn(`${waited}: ${why}`);
    this.#ended(new Unreachable(why));
  }

  /** It is over. `error`: for a `begin` that still waits. */
  #end(error) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isHeld = false;
    this.#onOver();
    this.#began?.reject(error);
    this.#began = null;
    clearTimeout(this.#boundTimer);
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  async #open() {
    const turn = ++this.#turn;
    const timer = this.#began === null ? idleTimer : busyTimer; // the program waits for the first answer
    this.#boundTimer = timer(() => this.#giveUp(), this.#boundS);
    const isOver = () => this.#isClosed || turn !== this.#turn;
    try {
      const path = await this.#findPath();
      if (isOver()) return;
      this.#path = path;
      this.#stream = openStream(path, "register", this.#params, {
        ref: this.#ref || this.#began !== null,
        onLine: (line) => this.#take(line),
        onPause: () => {},
        onEnd: (error) => this.#ended(error),
      });
    } catch (error) {
      if (!isOver()) this.#ended(error);
    }
  }

  #take(line) {
    if (line.result !== undefined) {
      this.result = Object.freeze(line.result);
      this.#isHeld = true;
      this.#waitS = 0;
      this.#warned = "";
      if (!this.#ref) this.#stream.unref();
      clearTimeout(this.#boundTimer);
      this.#began?.resolve(this);
      this.#began = null;
    } else if (line.method === "detached") {
      this.close();
      queueMicrotask(() => this.#onTakenOut(String(line.params?.why ?? ""))); // its errors are the program's
    }
  }

  #ended(error) {
    this.#turn++;
    this.#stream = null;
    this.#isHeld = false;
    if (this.#isClosed) return;
    if (this.#began !== null) {
      this.#end(error);
      return;
    }
    clearTimeout(this.#boundTimer);
    if (error instanceof RequestError && !(error instanceof Leaving)) this.#warn(error.message);
    this.#waitS = this.#waitS ? Math.min(LONGEST_WAIT_S, this.#waitS * 2) : FIRST_WAIT_S;
    this.#timer = idleTimer(() => void this.#open(), this.#waitS * (0.5 + 0.5 * Math.random()));
  }

  #warn(why) {
    if (why === this.#warned) return;
    this.#warned = why;
    const what = `${this.#params.name} is not registered again, ${why}; trying again`;
    process.emitWarning(what, "GossipregWarning");
  }
}
