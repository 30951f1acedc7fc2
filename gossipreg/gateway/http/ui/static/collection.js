// A list that the sidecar sends in pieces and then keeps current: members, services.
//
// It is `complete` once the last piece of `current` has come; until then nobody may say that something is not there.

import { nowMs } from "./clock.js";

export class Collection {
  /** `keyOf(item)` tells items apart; `gone` of the stream has these keys. */
  constructor(keyOf) {
    this.keyOf = keyOf;
    this.items = new Map();
    this.complete = false;
    this.incoming = null;
  }

  /** Take an event of the stream. After a stream was lost, the old list stays until the new one is whole. */
  receive({ kind, items = [], gone = [], last = true }) {
    const receivedMs = nowMs();
    if (kind === "current") {
      this.incoming ??= new Map();
      for (const item of items) this.incoming.set(this.keyOf(item), { ...item, receivedMs });
      if (last) {
        this.items = this.incoming;
        this.incoming = null;
        this.complete = true;
      } else if (!this.complete) {
        this.items = this.incoming; // the first list is shown as it grows
      }
      return;
    }
    for (const item of items) this.items.set(this.keyOf(item), { ...item, receivedMs });
    for (const key of gone) this.items.delete(key);
  }

  /** A new stream begins: pieces of an unfinished list are void. */
  restart() {
    this.incoming = null;
  }

  values() {
    return [...this.items.values()];
  }
}
