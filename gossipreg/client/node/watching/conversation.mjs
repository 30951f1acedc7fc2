// One watch stream: what its lines say, and what they change. Values in, no socket.
//
// Owns: which watch belongs to which service. Never knows: sockets, clocks (`now` is an argument).
//
// The first line has the numbers of the watches, then comes `state`, then a `current` for each service. A service that
// is used later is asked for on the same stream (`watch`), and its number and its `current` come there too. A `current`
// that is believed in all settles its service. If it leaves out anything, the sidecar is asked first which members it
// has not met since its start (`unmet`). What is not believed now (see `state.mjs`) is noted: when the sidecar is
// believed more, `renew` has to open another stream, and its `current` settles these services.

import { Unreachable, answeredError } from "../errors.mjs";
import { instanceUntrusted, isObject } from "../instance.mjs";
import { ALL, NOTHING, stateUntrusted } from "./state.mjs";

/** Members that a sidecar with another id is asked for: one that it has met shows that it is of our cluster. */
const MET_ASKED = 1000;

export class Conversation {
  #path;
  #trust;
  #ask;
  #add;
  #refused;
  #renew;
  #apply;
  /** The services that are watched. */
  #feeds;
  /** Those that are asked for, in this order. */
  #asking = [];
  #hasBegun = false;
  #watches = new Map();
  /** Services of which something was not believed in this stream. */
  #withheld = new Set();
  /** Services with instances that are kept for some time. */
  #holding = new Set();
  #dirty = new Set();
  /** From a service to its last question `unmet`: answers to older ones say nothing any more. */
  #asked = new Map();
  #before = NOTHING;
  #isOver = false;
  /** Changes of instances that have come. */
  changes = 0;
  saidState = false;
  /** Whether the sidecar has not answered a question in time, and nothing has come since. */
  silent = false;

  /**
   * path: for the texts of errors. feeds: the services that the stream follows, in the order of its names. ask(method,
   * params): a promise of the answer. apply(change): call `change(now)`, then publish: for answers, which come outside
   * the stream. add(params): ask for a further watch on the stream. refused(feed, error): the sidecar does not watch
   * that one. renew(): open another stream in the place of this one.
   */
  constructor({ path, trust, feeds, ask, add, refused, apply, renew }) {
    this.#path = path;
    this.#trust = trust;
    this.#feeds = new Set(feeds);
    this.#ask = ask;
    this.#add = add;
    this.#refused = refused;
    this.#apply = apply;
    this.#renew = renew;
  }

  /** Whether the stream follows this service, or has been asked to. */
  follows(feed) {
    return this.#feeds.has(feed) || this.#asking.includes(feed);
  }

  /** Follow this service too. The stream has begun. */
  watch(feed) {
    this.#asking.push(feed);
    this.#add({ names: [feed.name] });
  }

  /** This stream takes the place of an older one of the same sidecar. */
  takeOver(older) {
    this.#before = older.#before;
    this.#holding = older.#holding;
    this.changes = older.changes;
    older.end();
  }

  /** Answers that come later change nothing. */
  end() {
    this.#isOver = true;
  }

  // -- what comes -----------------------------------------------------------------------------------------------------

  /** Take a line, and change the services, which `flush` publishes. Throws if this is no sidecar, or if it ends the
   * stream for a reason that it gives. */
  takeUntrusted(line, now) {
    this.hear(true);
    if (isObject(line.error))
      throw new Unreachable(`the sidecar on ${this.#path} ended the stream: ${line.error.message}`);
    if (isObject(line.result)) this.#watchedUntrusted(line.result);
    else if (isObject(line.refused)) this.#refusedUntrusted(line.refused);
    else if (line.method === "state") this.#stateCame(stateUntrusted(line.params), now);
    else if (line.method === "watch") this.#changedUntrusted(line.params, now);
  }

  #watchedUntrusted({ watches }) {
    const feeds = this.#hasBegun ? this.#asking.splice(0, 1) : [...this.#feeds];
    this.#hasBegun = true;
    if (!feeds.length || !Array.isArray(watches) || watches.length !== feeds.length) {
      throw new TypeError(`${feeds.length} services are asked for, and it answered ${JSON.stringify(watches)}`);
    }
    feeds.forEach((feed, at) => {
      this.#watches.set(watches[at], feed);
      this.#feeds.add(feed);
      feed.refused = null;
    });
  }

  #refusedUntrusted({ code, message }) {
    const feed = this.#asking.shift();
    if (feed === undefined) throw new TypeError(`nothing was asked for, and it refused that: ${message}`);
    this.#refused(feed, answeredError({ code, message }));
  }

  #changedUntrusted({ watch, change }, now) {
    const feed = this.#watches.get(watch);
    if (feed === undefined) throw new TypeError(`no watch has the number ${watch}`);
    const { level } = this.#trust;
    this.changes++;
    if (level === NOTHING) {
      this.#withheld.add(feed);
      return;
    }
    this.#dirty.add(feed);
    if (change.kind === "current") this.#currentUntrusted(feed, change, level, now);
    else if (change.kind === "removed") this.#removedUntrusted(feed, change, level);
    else if (change.kind === "added" || change.kind === "updated") feed.known.put(instanceUntrusted(change.instance));
  }

  #currentUntrusted(feed, change, level, now) {
    feed.known.current(change.instances.map(instanceUntrusted));
    if (!change.partial) this.#settle(feed, level, now); // else another one comes when the sidecar is synced
  }

  #removedUntrusted(feed, change, level) {
    const instance = instanceUntrusted(change.instance);
    const believed = level === ALL || instance.node === this.#trust.state.node;
    feed.known.remove(instance, believed);
    if (!believed) this.#withheld.add(feed);
  }

  // -- belief ---------------------------------------------------------------------------------------------------------

  /** The whole service was listed: drop what was not, unless the sidecar is not believed in that. */
  #settle(feed, level, now) {
    if (level !== ALL) {
      this.#withheld.add(feed);
      return;
    }
    const unconfirmed = feed.known.unconfirmed();
    if (!unconfirmed.size) {
      this.#settled(feed, new Set(), now);
      return;
    }
    const question = Symbol(feed.name);
    this.#asked.set(feed, question);
    this.#ask("unmet", { nodes: [...unconfirmed].sort() }).then(
      (answer) => this.#unmetCame(feed, question, new Set(answer)),
      () => this.#unmetCame(feed, question, unconfirmed),
    );
  }

  #unmetCame(feed, question, unmet) {
    if (this.#isOver || this.#asked.get(feed) !== question) return;
    this.#asked.delete(feed);
    if (this.#trust.level !== ALL) {
      this.#withheld.add(feed);
      return;
    }
    this.#apply((now) => this.#settled(feed, unmet, now));
  }

  #settled(feed, unmet, now) {
    this.#asked.delete(feed);
    feed.known.settle(unmet, now);
    this.#withheld.delete(feed);
    this.#dirty.add(feed);
    if (feed.known.due() < Infinity) this.#holding.add(feed);
  }

  #stateCame(state, now) {
    if (this.#trust.state !== null && this.#trust.state.run !== state.run) this.#trust.gone(now);
    this.#trust.said(state, now);
    if (!this.saidState && this.#trust.isStranger) this.#askMet();
    this.saidState = true;
    this.#trustChanged(now);
  }

  #askMet() {
    const known = new Set();
    for (const feed of this.#feeds) for (const node of feed.known.members()) known.add(node);
    const nodes = [...known].sort().slice(0, MET_ASKED);
    if (!nodes.length) return;
    const met = (unmet) => {
      if (this.#isOver || new Set(unmet).size >= nodes.length) return;
      this.#apply((now) => {
        this.#trust.proven(now);
        this.#trustChanged(now);
      });
    };
    this.#ask("unmet", { nodes }).then(met, () => {});
  }

  #trustChanged(now) {
    const before = this.#before;
    const level = (this.#before = this.#trust.level);
    if (level !== ALL) {
      for (const feed of this.#feeds) feed.known.stale(now);
      for (const feed of this.#holding) {
        feed.known.hold();
        this.#withheld.add(feed);
      }
      this.#holding.clear();
    }
    if (level > before && this.#withheld.size) this.#renew();
    if (before !== level) for (const feed of this.#feeds) this.#dirty.add(feed);
  }

  // -- time -----------------------------------------------------------------------------------------------------------

  /** When `passTime` has something to do; Infinity: never. */
  get due() {
    let { due } = this.#trust;
    for (const feed of this.#holding) due = Math.min(due, feed.known.due());
    return due;
  }

  passTime(now) {
    this.#trust.passTime(now);
    if (this.#trust.level !== this.#before) this.#trustChanged(now);
    for (const feed of this.#holding) {
      if (feed.known.passTime(now)) this.#dirty.add(feed);
      if (feed.known.due() === Infinity) this.#holding.delete(feed);
    }
  }

  /** Take in whether the sidecar gives a sign of life. While it is silent, all is stale. */
  hear(lives) {
    if (this.silent !== lives) return;
    this.silent = !lives;
    for (const feed of this.#feeds) this.#dirty.add(feed);
  }

  /** Publish what has changed. */
  flush(now) {
    if (!this.#dirty.size) return;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    const believed = this.#trust.level === ALL && !this.silent;
    for (const feed of dirty) {
      if (believed && feed.known.settled) feed.known.fresh();
      else feed.known.stale(now);
      feed.publish();
    }
  }
}
