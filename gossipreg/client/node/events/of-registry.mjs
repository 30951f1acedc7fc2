// The events of one registry: what it publishes, and its subscriptions.
//
// Owns: the subscriptions, so that they end with the registry. Never knows: services and instances.

import { busyTimer } from "../clock.mjs";
import { requireFunction } from "../given.mjs";
import { Publisher } from "./publisher.mjs";
import { SubscriptionPump } from "./pump.mjs";
import { subscriptionSettings } from "./settings.mjs";
import { EventIterator, EventQueue, HandlerSink, Subscription } from "./subscription.mjs";

/** How long handlers that run may take when the registry is closed. */
const CLOSE_S = 5;
/** A registry whose lookups wait for nothing can still subscribe: that is one question and its answer. */
const SHORTEST_BOUND_S = 1;

export class RegistryEvents {
  #findPath;
  #publisher;
  #boundS;
  #pumps = new Set();

  /** findPath(): a promise of the socket's path. source: of events that name none; null: the sidecar's name. timeoutS:
   * of the registry. */
  constructor({ findPath, source, timeoutS }) {
    this.#findPath = findPath;
    this.#publisher = new Publisher(findPath, source);
    this.#boundS = Math.max(SHORTEST_BOUND_S, timeoutS);
  }

  publish(type, data, options = {}) {
    return this.#publisher.publish(type, data, options);
  }

  /** See `Registry.subscribe` in index.d.ts. */
  async subscribe(pattern, options, handler) {
    const settings = subscriptionSettings("subscribe", pattern, options);
    requireFunction("handler", handler);
    const pump = this.#begin(settings, new HandlerSink(handler, settings.name), true);
    let timer;
    const passed = new Promise((resolve) => void (timer = busyTimer(resolve, this.#boundS)));
    await Promise.race([pump.first, passed]);
    clearTimeout(timer);
    if (pump.error !== null) throw pump.error;
    return new Subscription(pump);
  }

  /** See `Registry.events` in index.d.ts. */
  events(pattern, options) {
    const queue = new EventQueue();
    return new EventIterator(this.#begin(subscriptionSettings("events", pattern, options), queue, false), queue);
  }

  #begin(settings, sink, inTurns) {
    const pump = new SubscriptionPump({ findPath: this.#findPath, settings, boundS: this.#boundS, sink, inTurns });
    this.#pumps.add(pump);
    void pump.over.then(() => this.#pumps.delete(pump));
    return pump;
  }

  /** End all of it; handlers that run get CLOSE_S to end. */
  close() {
    for (const pump of this.#pumps) pump.beginEnd(CLOSE_S);
    this.#publisher.close();
  }
}
