// What is known of one service: how a snapshot follows what the sidecar says, and what stays if the sidecar knows less.
// Pure: `now` is an argument, in seconds that go on while the host sleeps. The same rules as the Python client's
// `watching/known.py`.
//
// An instance that the sidecar lists is always taken. What it leaves out, or takes out, is dropped only if the sidecar
// is believed in all. Otherwise it is kept, and marked stale: a sidecar that has just restarted, or whose link is down,
// must not empty the answers of programs. After a restart of the sidecar, instances of members that it has not met yet
// are kept for UNMET_S.

import { isNewer, isSame, staleInstance } from "../instance.mjs";
import { Snapshot } from "../snapshot.mjs";
import { OrderedInstances } from "./ordered.mjs";

/** How long instances of members are kept that a restarted sidecar has not met. Gossip reaches it in a few seconds. */
const UNMET_S = 10;

export class KnownService {
  #complete = false;
  #heard = false;
  #listed = new OrderedInstances();
  #passing = new OrderedInstances();
  /** From a key to {instance, until}: instances that the sidecar does not list now. Infinity: it is not dropped before
   * the sidecar is believed in all. */
  #kept = new Map();
  /** Whether the sidecar has listed the whole service on this connection, was believed in all, and nothing was kept
   * from it since. */
  settled = false;
  staleSince = null;

  constructor(name) {
    this.name = name;
  }

  // -- what happens ---------------------------------------------------------------------------------------------------

  /** The sidecar lists these now. All others that were known are kept until `settle`. Those that say what is known
   * already stay the same objects. */
  current(instances) {
    const held = this.#listed;
    const before = held.all();
    this.#listed = new OrderedInstances(
      instances.map((one) => {
        const known = held.get(one.key);
        return known !== undefined && isSame(known, one) ? known : one;
      }),
    );
    this.#passing = new OrderedInstances(this.#listed.all().filter((one) => one.health === "passing"));
    this.#heard ||= this.#listed.size > 0;
    for (const one of before) if (this.#listed.get(one.key) === undefined) this.#keep(one);
    for (const key of this.#kept.keys()) if (this.#listed.get(key) !== undefined) this.#kept.delete(key);
    this.settled = false;
  }

  /** The last `current` was the whole service, and the sidecar is believed in all, but for these members (a Set), which
   * it has not met. */
  settle(unmet, now) {
    this.#dropReplaced();
    for (const [key, { instance, until }] of this.#kept) {
      if (unmet.has(instance.node)) this.#kept.set(key, { instance, until: Math.min(until, now + UNMET_S) });
      else this.#kept.delete(key);
    }
    this.settled = this.#complete = this.#heard = true;
  }

  /** The sidecar added or updated this instance. */
  put(instance) {
    this.#heard = true;
    this.#listed.put(instance);
    if (instance.health === "passing") this.#passing.put(instance);
    else this.#passing.delete(instance.key);
    this.#kept.delete(instance.key);
  }

  /** The sidecar removed this instance, which was so at last. A removal of an older one than is held is void: the
   * service has come back under the same id. */
  remove(instance, believed) {
    const { key } = instance;
    const held = this.#listed.get(key);
    if (held !== undefined) {
      if (isNewer(held.version, instance.version)) return;
      this.#listed.delete(key);
      this.#passing.delete(key);
      if (!believed) {
        this.#keep(held);
        this.settled = false;
      }
    } else if (believed) {
      this.#kept.delete(key);
    }
  }

  /** From now on nobody confirms what is known: the connection has ended, or the sidecar is believed less. */
  stale(now) {
    this.staleSince ??= now;
  }

  disconnected(now) {
    this.stale(now);
    this.settled = false;
    this.hold();
  }

  /** The sidecar is not believed in all any more: keep what is kept until it is, and has listed all again. */
  hold() {
    for (const [key, { instance }] of this.#kept) {
      this.#kept.set(key, { instance, until: Infinity });
      this.settled = false;
    }
  }

  /** From now on the sidecar confirms what is known. */
  fresh() {
    this.staleSince = null;
  }

  /** Drop what was kept until now; return whether there was anything. */
  passTime(now) {
    let dropped = false;
    for (const [key, { until }] of this.#kept) if (until <= now) dropped = this.#kept.delete(key);
    return dropped;
  }

  // -- what is known --------------------------------------------------------------------------------------------------

  /** When the next kept instance is dropped; Infinity: never. */
  due() {
    let due = Infinity;
    for (const { until } of this.#kept.values()) due = Math.min(due, until);
    return due;
  }

  /** The members whose instances are kept; a Set. */
  unconfirmed() {
    return new Set([...this.#kept.values()].map(({ instance }) => instance.node));
  }

  /** The members with any instance; a Set. */
  members() {
    return new Set([...this.#listed.all().map((one) => one.node), ...this.unconfirmed()]);
  }

  /** Null: nothing is known yet. */
  snapshot() {
    if (!this.#heard) return null;
    if (!this.#kept.size) {
      return new Snapshot(this.name, this.#listed.all(), this.#passing.all(), this.staleSince, this.#complete);
    }
    this.#dropReplaced();
    const kept = [...this.#kept.values()].map(({ instance }) => instance);
    const all = new OrderedInstances([...this.#listed.all(), ...kept]).all();
    const passing = all.filter((one) => one.health === "passing");
    return new Snapshot(this.name, all, passing, this.staleSince, this.#complete);
  }

  #keep(instance) {
    if (!this.#kept.has(instance.key)) {
      this.#kept.set(instance.key, { instance: staleInstance(instance), until: Infinity });
    }
  }

  /** Drop what is kept if the sidecar lists another instance at the same address: that is the same program, registered
   * anew by a sidecar that is another member since its restart. */
  #dropReplaced() {
    if (!this.#kept.size) return;
    const listed = new Set();
    for (const { address, port } of this.#listed.all()) if (port) listed.add(`${port} ${address}`);
    for (const [key, { instance }] of this.#kept) {
      if (listed.has(`${instance.port} ${instance.address}`)) this.#kept.delete(key);
    }
  }
}
