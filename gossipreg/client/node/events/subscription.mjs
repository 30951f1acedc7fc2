// What programs hold of a subscription: `Subscription`, which runs a handler, and `EventIterator`, which gives events.
//
// Owns: how handlers run, and how a program waits and ends. Never knows: connections.

import { requireWait } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { Reject, Retry } from "./event.mjs";
import { handling } from "./handled.mjs";

/** How long `close` waits for handlers that run. */
const CLOSE_MS = 5_000;

/** The sink of a subscription with a handler: each event is handled at once; the window bounds how many. */
export class HandlerSink {
  #handler;
  #name;

  /** name: of the subscription, for warnings. */
  constructor(handler, name) {
    this.#handler = handler;
    this.#name = name;
  }

  hand(delivery) {
    delivery.isBegun = true;
    void this.#handle(delivery.event);
  }

  over() {}

  async #handle(event) {
    try {
      await handling(event, () => this.#handler(event));
      event.ack();
    } catch (error) {
      if (error instanceof Reject) event.reject(error.message);
      else if (error instanceof Retry) event.retry({ afterMs: error.afterMs, reason: error.message });
      else this.#failed(event, error);
    }
  }

  #failed(event, error) {
    const what = `the handler of ${this.#name} failed at ${event.type} ${event.id}, attempt ${event.attempt}`;
    const then = event.isSettled
      ? "it had settled the event before, and that counts"
      : "it comes again, or is a dead letter after its last attempt";
    process.emitWarning(`${what}; ${then}: ${error?.stack ?? error}`, "GossipregWarning");
    event.retry({ reason: String(error).split("\n")[0] });
  }
}

/** The sink of an iterator: events wait until the program asks for them. */
export class EventQueue {
  #deliveries = [];
  #asking = [];
  #isOver = false;

  hand(delivery) {
    this.#deliveries.push(delivery);
    this.#serve();
  }

  over() {
    this.#isOver = true;
    this.#serve();
  }

  /** The next event; undefined: there will be none. */
  next() {
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#serve();
    });
  }

  #serve() {
    while (this.#asking.length) {
      const delivery = this.#deliveries.shift();
      if (delivery === undefined) {
        if (!this.#isOver) return;
        this.#asking.shift()();
      } else if (!delivery.isBegun) {
        delivery.isBegun = true;
        if (!delivery.number) delivery.event.ack(); // nobody waits for an answer
        this.#asking.shift()(delivery.event);
      }
    }
  }
}

export class Subscription {
  #pump;

  constructor(pump) {
    this.#pump = pump;
  }

  get isOpen() {
    return !this.#pump.isOver && !this.#pump.fault;
  }

  /** End it. Handlers that run get `timeoutMs` (5,000) to end; what they miss is delivered again. See index.d.ts. */
  async close(options = {}) {
    refuseUnknown("close", options, ["timeoutMs"]);
    const { timeoutMs = CLOSE_MS } = options;
    requireWait("timeoutMs", timeoutMs, "give how long handlers that run may take");
    const { isInHandler } = this.#pump; // it cannot wait for its own end
    this.#pump.beginEnd(timeoutMs / 1000);
    if (!isInHandler) await this.#pump.over;
  }

  stats() {
    return pumpStats(this.#pump);
  }
}

/** `for await (const event of registry.events(...))`: each event is the program's until it settles it. It ends with
 * `close`, or when the loop is left. */
export class EventIterator {
  #pump;
  #queue;

  constructor(pump, queue) {
    this.#pump = pump;
    this.#queue = queue;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    const event = await this.#queue.next();
    if (event !== undefined) return { value: event, done: false };
    if (this.#pump.error !== null) throw this.#pump.error;
    return { value: undefined, done: true };
  }

  /** The loop was left. */
  async return(value) {
    await this.close();
    return { value, done: true };
  }

  /** End it. Events that it gave out and that were not settled are delivered again; others go to others. */
  async close() {
    this.#pump.beginEnd(0);
    await this.#pump.over;
  }

  stats() {
    return pumpStats(this.#pump);
  }
}

for (const kind of [Subscription, EventIterator]) {
  if (Symbol.asyncDispose) {
    kind.prototype[Symbol.asyncDispose] = function () {
      return this.close();
    };
  }
}

/** Figures for people and metrics, under the names of the Python client. */
function pumpStats({ isOver, fault, connects, losses, events, running, leftOut }) {
  return { connected: !isOver && !fault, why_not: fault, connects, losses, events, running, left_out: leftOut };
}
