// Places for calls about sagas that are under way: each takes a connection, and a sidecar bounds those of a process.
//
// Owns: who has a place, and who waits for one. Never knows: connections. Each saga has one place of its own, so it
// never waits for other sagas; what it calls beside that takes one of the further places, which all sagas share.

import { busyTimer } from "../clock.mjs";

export class CallPlaces {
  #further;
  #taken = new Set();
  #waiting = [];

  constructor(further) {
    this.#further = further;
  }

  /** A place for a call of this saga, whose `owner` is any value of its own. Resolves with what `free` takes; with null
   * where none comes free in time. */
  take(owner, timeoutS) {
    if (!this.#taken.has(owner)) {
      this.#taken.add(owner);
      return Promise.resolve({ owner, isOwn: true });
    }
    if (this.#further > 0) {
      this.#further--;
      return Promise.resolve({ owner, isOwn: false });
    }
    return new Promise((resolve) => {
      const waits = { owner, resolve };
      waits.timer = busyTimer(() => {
        this.#waiting.splice(this.#waiting.indexOf(waits), 1);
        resolve(null);
      }, timeoutS);
      this.#waiting.push(waits);
    });
  }

  /** The call is over. */
  free({ owner, isOwn }) {
    const next = this.#waiting.findIndex((waits) => !isOwn || waits.owner === owner);
    if (next >= 0) {
      const [waits] = this.#waiting.splice(next, 1);
      clearTimeout(waits.timer);
      waits.resolve({ owner: waits.owner, isOwn });
    } else if (isOwn) this.#taken.delete(owner);
    else this.#further++;
  }
}
