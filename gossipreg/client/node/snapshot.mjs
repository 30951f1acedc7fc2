// What a program knows of one service at one moment. A snapshot never changes: the next one takes its place.

import { bootClock } from "./clock.mjs";

export class Snapshot {
  /**
   * all: of any health, in the order of (node, id). instances: those that pass. staleSince: since when nobody confirms
   * it, on `bootClock`; null: it is what the sidecar knows now. complete: false if there may be more, since the sidecar
   * has not been synced since this name was first used.
   */
  constructor(name, all, instances, staleSince, complete) {
    this.name = name;
    this.all = Object.freeze(all);
    this.instances = Object.freeze(instances);
    this.staleSince = staleSince;
    this.complete = complete;
    Object.freeze(this);
  }

  /** For how many milliseconds nobody has confirmed it; 0 if it is what the sidecar knows now. */
  get staleMs() {
    return this.staleSince === null ? 0 : Math.max(0, bootClock() - this.staleSince) * 1000;
  }
}

/** Whether two snapshots, of which one may be null, say the same. */
export function isSameSnapshot(one, other) {
  if (one === null || other === null) return one === other;
  return (
    one.staleSince === other.staleSince &&
    one.complete === other.complete &&
    one.all.length === other.all.length &&
    one.all.every((instance, at) => instance === other.all[at])
  );
}

/** The snapshot of those instances that have all of `tags` and, if a zone is given, are in it. */
export function matching(snapshot, tags, zone) {
  if (!tags.length && zone === null) return snapshot;
  const all = snapshot.all.filter(
    (one) => tags.every((tag) => one.tags.includes(tag)) && (zone === null || one.zone === zone),
  );
  const instances = all.filter((one) => one.health === "passing");
  return new Snapshot(snapshot.name, all, instances, snapshot.staleSince, snapshot.complete);
}
