// Instances in the order of (node, id), so that a change costs little even if there are ten thousand.

import { firstAt } from "../sorted.mjs";

export class OrderedInstances {
  #keys;
  #instances;

  constructor(instances = []) {
    const byKey = new Map();
    for (const one of instances) byKey.set(one.key, one);
    this.#keys = [...byKey.keys()].sort();
    this.#instances = this.#keys.map((key) => byKey.get(key));
  }

  get size() {
    return this.#keys.length;
  }

  get(key) {
    const at = firstAt(this.#keys, key);
    return this.#keys[at] === key ? this.#instances[at] : undefined;
  }

  /** Add it, or put it in the place of the one with its key. */
  put(instance) {
    const { key } = instance;
    const at = firstAt(this.#keys, key);
    if (this.#keys[at] === key) {
      this.#instances[at] = instance;
    } else {
      this.#keys.splice(at, 0, key);
      this.#instances.splice(at, 0, instance);
    }
  }

  delete(key) {
    const at = firstAt(this.#keys, key);
    if (this.#keys[at] !== key) return;
    this.#keys.splice(at, 1);
    this.#instances.splice(at, 1);
  }

  all() {
    return this.#instances.slice();
  }
}
