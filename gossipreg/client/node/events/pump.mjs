// One subscription, over all its connections: it connects, hands events on, says what became of them, and connects
// again. As `gossipreg/client/events/pump.py`.
//
// Owns: which deliveries are out, and when the subscription ends. Never knows: what a handler does, or who runs it (the
// sink). A delivery is {number, event, connection, isBegun}.
//
// A connection that ends takes its deliveries with it: what is settled later has no meaning for the next connection,
// over which the sidecar delivers the event again. When the subscription ends it leaves first, so that no more events
// come, and gives back what no handler has begun, which is no attempt.

import { busyTimer, monotonic } from "../clock.mjs";
import { Busy, CannotKeep, Leaving, NotSynced, RequestError, Unavailable } from "../errors.mjs";
import { EventConnection } from "./connection.mjs";
import { HandledEvent } from "./event.mjs";
import { handledNow } from "./handled.mjs";
import { KeyTurns } from "./key-turns.mjs";

/** The waits between attempts to connect, each drawn between its half and the whole. */
const FIRST_WAIT_S = 0.05;
const LONGEST_WAIT_S = 2;
/** A connection that lasted so long had no trouble: the waits begin anew. */
const STABLE_S = 1;
/** Refusals that do not end a subscription which was never accepted. */
const MAY_PASS = [Busy, CannotKeep, Leaving, NotSynced, Unavailable];
const NOT_ENDED = "the program ended while it was handled";

export class SubscriptionPump {
  #findPath;
  #settings;
  #boundS;
  #sink;
  #turns;
  #connection = null;
  #since = 0;
  #out = new Set(); // handed to the sink and not settled, of any connection
  #waitS = 0;
  #timer = null;
  #endTimer = null;
  #isEnding = false;
  #isParting = false;
  #warned = "";
  #resolveFirst;
  #resolveOver;
  /** When the first attempt to subscribe has ended. */
  first = new Promise((resolve) => void (this.#resolveFirst = resolve));
  /** When the subscription is over. */
  over = new Promise((resolve) => void (this.#resolveOver = resolve));
  isOver = false;
  /** What ended it; null: it goes on, or was closed. */
  error = null;
  /** Why there is no connection; empty: there is one. */
  fault = "it has not answered yet";
  connects = 0;
  losses = 0;
  events = 0;
  /** Events of a broadcast for which there was no room. */
  leftOut = 0;

  /** findPath(): a promise of the socket's path. boundS: how long a sidecar has for its first answer. sink: {hand(
   * delivery), over()}, which do not wait. inTurns: one event of a key after the other, across connections. */
  constructor({ findPath, settings, boundS, sink, inTurns }) {
    this.#findPath = findPath;
    this.#settings = settings;
    this.#boundS = boundS;
    this.#sink = sink;
    this.#turns = inTurns ? new KeyTurns() : null;
    void this.#open();
  }

  get name() {
    return this.#settings.name;
  }

  /** How many events are being handled now. */
  get running() {
    let count = 0;
    for (const delivery of this.#out) if (delivery.isBegun) count++;
    return count;
  }

  /** Whether the caller is a handler of this subscription, which cannot wait for its own end. */
  get isInHandler() {
    const event = handledNow();
    return event !== undefined && [...this.#out].some((delivery) => delivery.event === event);
  }

  /** Begin nothing any more, and end once no handler runs, or after so many seconds. */
  beginEnd(graceS) {
    if (this.isOver) return;
    this.#isEnding = true;
    clearTimeout(this.#timer);
    this.#connection?.leave();
    this.#giveBack();
    clearTimeout(this.#endTimer);
    this.#endTimer = busyTimer(() => void this.#part(), graceS);
    this.#endIfIdle();
  }

  // -- connections ----------------------------------------------------------------------------------------------------

  async #open() {
    try {
      const path = await this.#findPath();
      if (!this.#isEnding) this.#connect(path);
    } catch (error) {
      this.#ended(error);
    }
  }

  #connect(path) {
    const connection = new EventConnection(path, this.#settings, this.#boundS, {
      open: () => this.#opened(),
      event: (params) => this.#takeUntrusted(connection, params),
      dropped: (number) => this.#dropped(connection, number),
      refused: (error) => this.#wasRefused(error),
      ended: (error) => this.#ended(error),
    });
    this.#connection = connection;
  }

  #opened() {
    if (this.#warned) this.#warn(`the subscription of ${this.name} is connected`);
    this.#warned = this.fault = "";
    this.connects++;
    this.#since = monotonic();
    this.#resolveFirst();
  }

  #ended(error) {
    const former = this.#connection;
    this.#connection = null;
    if (former !== null) this.#forgetDeliveries(former);
    if (former?.isOpen) {
      this.losses++;
      if (monotonic() - this.#since >= STABLE_S) this.#waitS = 0;
    }
    this.fault = error.message;
    const isRefused = error instanceof RequestError && !MAY_PASS.some((kind) => error instanceof kind);
    if (!this.connects && isRefused) {
      this.error = error;
      this.#finishEnd();
    } else if (!this.#isEnding) {
      this.#warnOnce(error.message);
      this.#waitS = this.#waitS ? Math.min(LONGEST_WAIT_S, this.#waitS * 1.6) : FIRST_WAIT_S;
      this.#timer = busyTimer(() => void this.#open(), this.#waitS * (0.5 + 0.5 * Math.random()));
    }
    this.#resolveFirst();
  }

  #forgetDeliveries(connection) {
    const { held } = connection;
    for (const delivery of held) this.#turns?.gone(delivery);
    for (const delivery of held) if (!delivery.isBegun) this.#letGo(delivery);
  }

  #wasRefused({ message }) {
    this.#warn(`the sidecar refused what the subscription of ${this.name} said: ${message}`);
  }

  #warnOnce(why) {
    if (why === this.#warned) return;
    this.#warned = why;
    this.#warn(`the subscription of ${this.name} has no connection, and tries again: ${why}`);
  }

  #warn(what) {
    process.emitWarning(what, "GossipregWarning");
  }

  // -- what the sidecar says ------------------------------------------------------------------------------------------

  #takeUntrusted(connection, params) {
    const delivery = { number: params.delivery, connection, isBegun: false };
    delivery.event = new HandledEvent(params, (settlement) => this.#settled(delivery, settlement));
    this.events++;
    if (delivery.number) {
      connection.hold(delivery.number, delivery);
    } else if (this.#out.size >= this.#settings.window) {
      this.leftOut++;
      return;
    }
    if (this.#isEnding) this.#giveBack();
    else if (this.#turns === null || this.#turns.begins(delivery)) this.#hand(delivery);
  }

  #hand(delivery) {
    if (this.#isEnding) return;
    this.#out.add(delivery);
    this.#sink.hand(delivery);
  }

  /** Its time is over, and somebody else has it. */
  #dropped(connection, number) {
    const delivery = connection.release(number);
    if (delivery === undefined) return;
    if (!delivery.isBegun) {
      this.#letGo(delivery);
      return;
    }
    const { type, id, source } = delivery.event;
    const what = `the event ${type} ${id} of ${source} has taken too long`;
    this.#warn(`${what}: it is given to another instance, and its handler goes on here`);
  }

  /** A delivery that nobody has begun is not ours any more. */
  #letGo(delivery) {
    delivery.isBegun = true; // nobody may begin it
    this.#out.delete(delivery);
    this.#endTurn(delivery, false);
  }

  // -- what handlers say ----------------------------------------------------------------------------------------------

  #settled(delivery, settlement) {
    this.#out.delete(delivery);
    if (delivery.number && delivery.connection === this.#connection) {
      this.#connection.settle(delivery.number, settlement);
    }
    this.#endTurn(delivery, settlement.method === "ack");
    this.#endIfIdle();
  }

  #endTurn(delivery, isAcked) {
    if (this.#turns === null || !delivery.number) return;
    const { following, same } = this.#turns.ended(delivery, isAcked);
    for (const one of same) one.event.ack();
    if (following !== undefined) this.#hand(following);
  }

  // -- the end --------------------------------------------------------------------------------------------------------

  /** Have others handle what nobody has begun here. */
  #giveBack() {
    const deliveries = (this.#connection?.held ?? []).filter((delivery) => !delivery.isBegun);
    this.#connection?.giveBack(deliveries.map(({ number }) => number));
    for (const delivery of deliveries) this.#letGo(delivery);
  }

  #endIfIdle() {
    if (this.#isEnding && !this.running) void this.#part();
  }

  /** Say the last words: handlers that still run have had their time. */
  async #part() {
    if (this.#isParting) return;
    this.#isParting = true;
    clearTimeout(this.#endTimer);
    const connection = this.#connection;
    if (connection !== null) {
      for (const { number } of connection.held) {
        connection.settle(number, { method: "retry", params: { reason: NOT_ENDED } });
      }
      await connection.finish();
    }
    this.#finishEnd();
  }

  #finishEnd() {
    if (this.isOver) return;
    this.isOver = this.#isEnding = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#endTimer);
    this.#sink.over();
    this.#resolveFirst();
    this.#resolveOver();
  }
}
