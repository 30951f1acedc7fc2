// `Service`: the instances of one service, as a program reads them, and the calls to them. Made by `Registry.service`.

import { callInstances } from "./calling/call.mjs";
import { PickHandle } from "./calling/pick-handle.mjs";
import { bootClock, busyTimer, monotonic } from "./clock.mjs";
import { BadParams, NotSynced, Refused, TooStale } from "./errors.mjs";
import { requireTextOrNull, requireTime, requireWait, shown } from "./given.mjs";
import { Picker } from "./picker.mjs";
import { pickOptions } from "./picking/options.mjs";
import { matching } from "./snapshot.mjs";
import { refuseUnknown } from "./unknown-options.mjs";

const DEADLINE_MS = 10_000;

export class Service {
  #link;
  #feed;
  #settings;
  #matched = { from: null, snapshot: null };
  #choice = Object.freeze({ policy: "adaptive", panic: "passing", caller: null });
  #pickers = new Map();
  #picker = null; // under the present choice

  /** settings: {timeoutS, maxStaleS, caller, zone()}, of the registry. */
  constructor(link, settings, name, { tags, zone }) {
    this.name = name;
    this.tags = Object.freeze([...tags]);
    this.zone = zone;
    this.#link = link;
    this.#feed = link.feed(name);
    this.#settings = settings;
  }

  // -- what is known --------------------------------------------------------------------------------------------------

  /**
   * The passing instances, in the order of (node, id), from memory: it waits for nothing, so it throws NotSynced if
   * nothing is known yet. The first use of a name is `await service.lookup()`. Throws TooStale, Refused as `snapshot`.
   */
  get instances() {
    return this.snapshot.instances;
  }

  /**
   * The instances with what is known of them: since when they are stale, and whether there may be more. Throws
   * NotSynced if nothing is known yet, TooStale if nobody has confirmed what is known for `maxStaleMs`, Refused if the
   * sidecar does not take this name or the registry is closed.
   */
  get snapshot() {
    this.requireFresh();
    return this.#match(this.#feed.snapshot);
  }

  /** The snapshot, however old, or null if there is none. */
  get known() {
    const { snapshot } = this.#feed;
    return snapshot === null ? null : this.#match(snapshot);
  }

  /** The passing instances. Only the first lookup of a name waits, until the sidecar has answered, at most `timeoutMs`
   * of `connect`. Rejects as `snapshot` throws. */
  async lookup() {
    await this.ready();
    return this.instances;
  }

  /** Wait until anything is known, at most `timeoutMs` of `connect` and `longestS`. Rejects with NotSynced, Refused. */
  async ready(longestS = Infinity) {
    this.#link.want(this.#feed);
    if (this.#feed.snapshot !== null) return;
    const timeoutS = Math.min(longestS, this.#settings.timeoutS);
    await this.#until(() => this.#feed.snapshot !== null || this.#isRefused, timeoutS);
    this.#raiseRefused();
    if (this.#feed.snapshot === null) throw this.#notSynced(timeoutS);
  }

  /**
   * Wait until at least `count` instances pass, and the sidecar confirms them, and return the passing instances.
   * Rejects with NotSynced if there are fewer after `timeoutMs`; left out: that of `connect`.
   */
  async wait(count = 1, options = {}) {
    if (!Number.isInteger(count) || count < 0) {
      throw new BadParams(`count ${shown(count)} is no whole number of instances: give 0 or more`);
    }
    refuseUnknown("wait", options, ["timeoutMs"]);
    const { timeoutMs } = options;
    if (timeoutMs !== undefined) requireWait("timeoutMs", timeoutMs, "give the time that this may wait");
    const waitS = timeoutMs === undefined ? this.#settings.timeoutS : timeoutMs / 1000;
    this.#link.want(this.#feed);
    await this.#until(() => this.#confirmed() >= count || this.#isRefused, waitS);
    this.#raiseRefused();
    if (this.#confirmed() >= count) return this.instances;
    if (this.known === null) throw this.#notSynced(waitS);
    const link = this.#link;
    const why = link.isSynced ? "" : `: ${link.whyNotSynced} (sidecar on ${link.path})`;
    throw new NotSynced(`${this.#confirmed()} of ${count} instances of ${this.name} pass after ${waitS} s${why}`);
  }

  /**
   * Call `callback` with the snapshot now, if it is known, and after each change. refused(error): called if the sidecar
   * does not take this name. Returns what ends it. Throws Refused.
   */
  onSnapshot(callback, refused) {
    this.#raiseRefused();
    let given = null;
    let isOver = false;
    const tell = () => {
      const { known } = this;
      if (isOver || this.#link.isClosed) return;
      if (this.#feed.refused !== null) refused(this.#feed.refused);
      if (known === null || known === given) return;
      given = known;
      callback(known);
    };
    const stop = this.#feed.onChange(tell);
    this.#link.want(this.#feed);
    queueMicrotask(tell);
    return () => {
      isOver = true;
      stop();
    };
  }

  /** A request has failed: ask the sidecar, at most once in 5 s, for a sign of life. Without one in 2 s the snapshots
   * are stale. It waits for nothing. Requests of `fetch`, `call` and `pick` do it by themselves. */
  check() {
    this.#link.check();
  }

  // -- requests -------------------------------------------------------------------------------------------------------

  /**
   * Set how instances are picked. What was learnt under other settings is set aside. See `ServiceChoice` in index.d.ts.
   * Throws BadParams.
   */
  configure(options = {}) {
    refuseUnknown("configure", options, ["policy", "panic", "caller"]);
    const { policy = "adaptive", panic = "passing", caller = null } = options;
    requireTextOrNull("caller", caller);
    pickOptions({ policy, panic });
    this.#choice = Object.freeze({ policy, panic, caller });
    this.#picker = null;
    return this;
  }

  /**
   * Choose the instance of one request, which has to end: see `Pick` in index.d.ts. It waits for nothing. Throws what
   * `snapshot` throws, NoInstance, BreakerOpen. key: requests with the same key go to the same instance.
   */
  pick(options = {}) {
    refuseUnknown("pick", options, ["key", "deadlineMs"]);
    const { key = null, deadlineMs = DEADLINE_MS } = options;
    requireTextOrNull("key", key);
    requireTime("deadlineMs", deadlineMs, "give the time that the request may take");
    const core = this.picker.ready();
    return new PickHandle(core, core.pick(monotonic(), { key, deadlineS: deadlineMs / 1000 }), deadlineMs, () =>
      this.check(),
    );
  }

  /** Call `send(instance, attempt)`, again at another instance where that is allowed, and return its result. See `call`
   * in index.d.ts. */
  call(send, options = {}) {
    return callInstances(this, send, options);
  }

  /** Every decision about requests so far, by name, and what is in flight and ejected now. */
  stats() {
    return this.picker.core.stats();
  }

  /** The picking core under the present settings. */
  get picker() {
    this.#picker ??= this.#pickerOf(this.#choice);
    return this.#picker;
  }

  /** The picking cores of all settings that requests were made under. */
  get pickers() {
    return [...this.#pickers.values()];
  }

  // -------------------------------------------------------------------------------------------------------------------

  /** Throws NotSynced, TooStale, Refused if `snapshot` would. */
  requireFresh() {
    const { snapshot } = this.#feed;
    if (snapshot === null || snapshot.staleSince !== null) this.#requireFresh(snapshot);
  }

  #pickerOf(choice) {
    const name = JSON.stringify(choice);
    let picker = this.#pickers.get(name);
    if (picker === undefined) {
      const caller = choice.caller ?? this.#settings.caller;
      const callers = caller === null ? null : this.#link.feed(caller);
      if (callers !== null) this.#link.want(callers);
      const options = () => pickOptions({ policy: choice.policy, panic: choice.panic, zone: this.#settings.zone() });
      picker = new Picker(this, options, () => callers?.snapshot ?? null);
      this.#pickers.set(name, picker);
    }
    return picker;
  }

  #requireFresh(snapshot) {
    this.#raiseRefused();
    this.#link.want(this.#feed);
    if (snapshot === null) throw this.#notSynced(0);
    const { maxStaleS } = this.#settings;
    const staleS = bootClock() - snapshot.staleSince;
    if (maxStaleS !== null && staleS > maxStaleS) {
      throw new TooStale(
        `what is known of ${this.name} is ${staleS.toFixed(0)} s old, and maxStaleMs is ${maxStaleS * 1000}: ` +
          `${this.#link.whyNotSynced} (sidecar on ${this.#link.path})`,
      );
    }
  }

  /** How many instances pass and are not stale; 0 while no sidecar is followed that is believed in that. */
  #confirmed() {
    const { known } = this;
    if (known === null || !this.#link.isConfirmed) return 0;
    return known.instances.filter((one) => !one.stale).length;
  }

  #match(snapshot) {
    if (this.#matched.from !== snapshot) {
      this.#matched = { from: snapshot, snapshot: matching(snapshot, this.tags, this.zone) };
    }
    return this.#matched.snapshot;
  }

  get #isRefused() {
    return this.#feed.refused !== null || this.#link.isClosed;
  }

  #raiseRefused() {
    const { refused } = this.#feed;
    if (refused !== null) throw new refused.constructor(refused.message);
    if (this.#link.isClosed) {
      throw new Refused(`the registry that gave out ${this.name} is closed: make another one with connect()`);
    }
  }

  #notSynced(waitS) {
    const where = this.#link.path ? `the sidecar on ${this.#link.path}` : "no sidecar";
    const within = `within ${Number(waitS.toPrecision(3))} s`;
    return new NotSynced(`no list of ${this.name} came from ${where} ${within}: ${this.#link.whyNotSynced}`);
  }

  /** Wait until `isReady()`, which is asked after each change, for at most so long. Keeps the process alive. */
  #until(isReady, waitS) {
    if (isReady()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = busyTimer(end, waitS);
      const stop = this.#feed.onChange(() => void (isReady() && end()));
    });
  }
}
