// One service, as the link and the whole program share it: what is known, the snapshot, and who waits for a change.

import { isSameSnapshot } from "../snapshot.mjs";
import { KnownService } from "./known.mjs";

export class ServiceFeed {
  #callbacks = new Set();
  /** Null: nothing is known yet. */
  snapshot = null;
  /** What the sidecar answered instead of watching this name. */
  refused = null;
  published = 0;

  /** `name` is in lower case. */
  constructor(name) {
    this.name = name;
    this.known = new KnownService(name);
  }

  /** Swap the snapshot if it has changed, and tell those who wait for a change. */
  publish() {
    const snapshot = this.known.snapshot();
    if (isSameSnapshot(snapshot, this.snapshot)) return;
    this.snapshot = snapshot;
    this.published++;
    this.tell();
  }

  refuse(error) {
    this.refused = error;
    this.tell();
  }

  /** Have this called after each change; return what ends it. */
  onChange(callback) {
    const own = () => callback();
    this.#callbacks.add(own);
    return () => void this.#callbacks.delete(own);
  }

  tell() {
    for (const callback of [...this.#callbacks]) if (this.#callbacks.has(callback)) callback();
  }
}
