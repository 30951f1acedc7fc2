// One event of a key after the other, in this process. As `gossipreg/client/events/key_turns.py`.
//
// The sidecar sees to that, as long as it knows what runs here. After it was started again it does not: it may deliver
// an event, or the next one of its key, while a handler still works on what came over the connection before. Then the
// new delivery waits here. If it is the same event and its handler acknowledges, the new delivery is acknowledged too.
//
// Owns: which deliveries run, by key, and which wait for them. Never knows: connections. A delivery is {number, event}.

export class KeyTurns {
  #running = new Map();
  #waiting = new Map();

  /** Whether it may be handled now. If not, a later `ended` returns it. */
  begins(delivery) {
    if (!delivery.number) return true; // broadcast: nothing is said of its order
    const key = turnKey(delivery.event);
    if (this.#running.has(key)) {
      this.#waiting.set(key, [...(this.#waiting.get(key) ?? []), delivery]);
      return false;
    }
    this.#running.set(key, delivery);
    return true;
  }

  /** This delivery is settled. Returns {following: the one that may begin now, or undefined; same: deliveries of the
   * same event that its acknowledgement settles too}. */
  ended(delivery, isAcked) {
    const key = turnKey(delivery.event);
    if (this.#running.get(key) !== delivery) {
      this.gone(delivery);
      return { following: undefined, same: [] };
    }
    this.#running.delete(key);
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    const same = waiting.filter(({ event }) => isAcked && isSame(event, delivery.event));
    const [following, ...left] = waiting.filter((one) => !same.includes(one));
    if (following !== undefined) this.#running.set(key, following);
    if (left.length) this.#waiting.set(key, left);
    return { following, same };
  }

  /** A delivery that waits is not ours any more. */
  gone(delivery) {
    const key = turnKey(delivery.event);
    const left = (this.#waiting.get(key) ?? []).filter((one) => one !== delivery);
    if (left.length) this.#waiting.set(key, left);
    else this.#waiting.delete(key);
  }
}

/** Events without a key have a turn of their own. */
function turnKey({ key, journal, index }) {
  return key ? `key ${key}` : `event ${journal} ${index}`;
}

function isSame(one, other) {
  return one.journal === other.journal && one.index === other.index;
}
