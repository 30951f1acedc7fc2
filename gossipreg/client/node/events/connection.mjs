// One connection with one subscription: the events that come, and what is said of them.
//
// Owns: which deliveries this connection holds, the acknowledgements that wait for others (1 ms, or until there are
// 64), and the renewals. Never knows: handlers, other connections, or what an event means. A delivery is settled on the
// connection on which it came; once the connection is gone, the sidecar knows nothing of it.

import { busyTimer, idleTimer } from "../clock.mjs";
import { Unreachable, answeredError } from "../errors.mjs";
import { isObject } from "../instance.mjs";
import { openStream } from "../sidecar.mjs";

const GATHER_MS = 1;
const GATHER_MAX = 64;
/** Deliveries that one line renews or gives back. */
const NAMED_AT_ONCE = 1024;
/** In one `ackTimeoutMs`. */
const RENEWALS = 3;
/** How long `finish` waits until the sidecar has read the last words. */
const FINISH_S = 1;

export class EventConnection {
  #renewS;
  #on;
  #path;
  #stream;
  #held = new Map();
  #acks = [];
  #ackTimer = null;
  #renewTimer = null;
  #boundTimer;
  #unanswered = 1; // lines that were sent, `subscribe` being the first
  #isOver = false;
  #isFinished = () => {};
  #subscription = null;
  #isLeaving = false;
  isOpen = false;

  /**
   * settings: of the subscription. boundS: how long the sidecar has for its first answer. on: {open(); event(params);
   * dropped(delivery); refused(error): of something that was said; ended(error): the connection has ended, once, unless
   * it was closed here}.
   */
  constructor(path, { params, ackTimeoutS }, boundS, on) {
    this.#path = path;
    this.#renewS = ackTimeoutS / RENEWALS;
    this.#on = on;
    this.#stream = openStream(path, "subscribe", params, {
      ref: true,
      further: true,
      onLine: (line) => this.#takeUntrusted(line),
      onPause: () => {},
      onEnd: (error) => this.#end(error),
    });
    const why = `no answer within ${boundS} s: the sidecar on ${path} stands still, or the program there is none`;
    this.#boundTimer = busyTimer(() => this.#end(new Unreachable(why)), boundS);
  }

  /** Keep this delivery, which has just come, from now on. */
  hold(number, delivery) {
    this.#held.set(number, delivery);
    this.#renewTimer ??= idleTimer(() => this.#renew(), this.#renewS);
  }

  /** Those that are not settled. */
  get held() {
    return [...this.#held.values()];
  }

  /** Take it out, and return it; undefined: it is not here. */
  release(number) {
    const delivery = this.#held.get(number);
    this.#held.delete(number);
    return delivery;
  }

  /** Say what is to become of a delivery, unless it is not here any more. settlement: {method, params}. */
  settle(number, { method, params = {} }) {
    if (!this.#held.delete(number) || this.#isOver) return;
    if (method !== "ack") {
      this.#send(method, { delivery: number, ...params });
      return;
    }
    this.#acks.push(number);
    if (this.#acks.length >= GATHER_MAX || !this.#held.size) this.#flushAcks();
    else this.#ackTimer ??= setTimeout(() => this.#flushAcks(), GATHER_MS);
  }

  /** End the subscription: no more events come once the sidecar has read that. What came may still be settled. */
  leave() {
    if (this.#isLeaving || this.#isOver) return;
    this.#isLeaving = true;
    if (this.isOpen) this.#send("unsubscribe", { subscription: this.#subscription });
  }

  /** Give these back: nobody here has begun to handle them. */
  giveBack(numbers) {
    const held = numbers.filter((number) => this.#held.delete(number));
    if (this.#isOver) return;
    for (let first = 0; first < held.length; first += NAMED_AT_ONCE) {
      this.#send("give_back", { delivery: held.slice(first, first + NAMED_AT_ONCE) });
    }
  }

  /** End the connection as soon as the sidecar has read all that was said. */
  async finish() {
    if (this.#isOver) return;
    this.#flushAcks();
    if (this.#unanswered) {
      await new Promise((resolve) => {
        const timer = busyTimer(resolve, FINISH_S);
        this.#isFinished = () => void (clearTimeout(timer), resolve());
      });
    }
    this.close();
  }

  close() {
    this.#isOver = true;
    for (const timer of [this.#boundTimer, this.#ackTimer, this.#renewTimer]) clearTimeout(timer);
    this.#stream.close();
    this.#isFinished();
  }

  #end(error) {
    if (this.#isOver) return;
    this.close();
    this.#on.ended(error);
  }

  #takeUntrusted(line) {
    if (isObject(line.error)) {
      throw new Unreachable(`the sidecar on ${this.#path} ended the stream: ${line.error.message}`);
    }
    if (line.result !== undefined) this.#answered(line.result);
    else if (isObject(line.refused)) {
      this.#answered({});
      this.#on.refused(answeredError(line.refused));
    } else if (line.method === "event") this.#on.event(line.params);
    else if (line.method === "dropped") this.#on.dropped(line.params.delivery);
  }

  #answered(result) {
    this.#unanswered--;
    if (!this.isOpen) {
      this.isOpen = true;
      this.#subscription = result.subscription;
      clearTimeout(this.#boundTimer);
      if (this.#isLeaving) this.#send("unsubscribe", { subscription: this.#subscription });
      this.#on.open();
    }
    if (!this.#unanswered) this.#isFinished();
  }

  #flushAcks() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    if (this.#acks.length) this.#send("ack", { delivery: this.#acks });
    this.#acks = [];
  }

  #renew() {
    this.#renewTimer = null;
    const numbers = [...this.#held.keys()];
    if (!numbers.length) return;
    for (let first = 0; first < numbers.length; first += NAMED_AT_ONCE) {
      this.#send("renew", { delivery: numbers.slice(first, first + NAMED_AT_ONCE) });
    }
    this.#renewTimer = idleTimer(() => this.#renew(), this.#renewS);
  }

  #send(method, params) {
    this.#unanswered++;
    this.#stream.send({ method, params });
  }
}
