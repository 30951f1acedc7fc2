// `connect()`: the services of the cluster, followed in this process. One stream from the sidecar feeds immutable
// snapshots, so a lookup reads memory.

import { Attachment } from "./attachment.mjs";
import { fetchFrom } from "./calling/fetch.mjs";
import { makeAgents } from "./calling/exchange.mjs";
import { BadParams, Refused } from "./errors.mjs";
import { RegistryEvents } from "./events/of-registry.mjs";
import {
  requireBoolean,
  requireFunction,
  requireTextOrNull,
  requireTexts,
  requireTime,
  requireWait,
  shown,
} from "./given.mjs";
import { foldName } from "./names.mjs";
import { RegistrySagas } from "./sagas/of-registry.mjs";
import { Service } from "./service.mjs";
import { findSocket } from "./socket-path.mjs";
import { refuseUnknown } from "./unknown-options.mjs";
import { SidecarLink } from "./watching/link.mjs";

/** A synced sidecar answers in a millisecond, one that starts in a few seconds. */
const TIMEOUT_MS = 5_000;
/** As long as a sidecar itself serves what it knew last. */
const MAX_STALE_MS = 900_000;
const OPTIONS = ["path", "timeoutMs", "maxStaleMs", "zone", "service", "ref", "tls"];
const SERVICE_OPTIONS = ["tags", "zone"];
const REGISTER_OPTIONS = ["name", "port", "id", "address", "tags", "meta", "weight", "check", "checks", "onTakenOut"];

export class Registry {
  #path;
  #zone;
  #ref;
  #link;
  #settings;
  #agents;
  #events;
  #sagas;
  #services = new Map();
  #attachments = new Set();

  constructor(options = {}) {
    refuseUnknown("connect", options, OPTIONS);
    const {
      path = null,
      timeoutMs = TIMEOUT_MS,
      maxStaleMs = MAX_STALE_MS,
      zone = null,
      service = null,
      ref = false,
      tls = {},
    } = options;
    requireTextOrNull("path", path);
    requireWait("timeoutMs", timeoutMs, "give the time that a first lookup may wait");
    if (maxStaleMs !== null) requireTime("maxStaleMs", maxStaleMs, "give a time, or null for no limit");
    requireTextOrNull("zone", zone);
    requireTextOrNull("service", service);
    requireBoolean("ref", ref);
    if (tls === null || typeof tls !== "object") {
      throw new BadParams(`tls ${shown(tls)} is no object: give options of https.Agent`);
    }
    const maxStaleS = maxStaleMs === null ? null : maxStaleMs / 1000;
    this.#path = path;
    this.#zone = zone;
    this.#ref = ref;
    this.#link = new SidecarLink({ path, maxStaleS, ref });
    this.#settings = { timeoutS: timeoutMs / 1000, maxStaleS, caller: service, zone: () => this.zone };
    this.#agents = makeAgents(tls);
    this.#events = new RegistryEvents({
      findPath: async () => findSocket(this.#path),
      source: service,
      timeoutS: timeoutMs / 1000,
    });
    this.#sagas = new RegistrySagas(async () => findSocket(this.#path));
  }

  /** The service of this name; names are compared in lower case. tags: only instances that have all of them. zone: only
   * instances in it. It asks nothing yet; the first lookup does. The same arguments give the same object. */
  service(name, options = {}) {
    refuseUnknown("service", options, SERVICE_OPTIONS);
    const { tags = [], zone = null } = options;
    if (typeof name !== "string" || !name) {
      throw new BadParams(`the name of a service is a text, and ${shown(name)} is none`);
    }
    requireTexts("tags", tags, "tags");
    requireTextOrNull("zone", zone);
    const key = JSON.stringify([foldName(name), [...tags].sort(), zone]);
    let service = this.#services.get(key);
    if (service === undefined) {
      service = new Service(this.#link, this.#settings, name, { tags, zone });
      this.#services.set(key, service);
    }
    return service;
  }

  /** Those that `service` has given out. */
  services() {
    return [...this.#services.values()];
  }

  get isClosed() {
    return this.#link.isClosed;
  }

  /** Call `callback(instances, snapshot)` with the passing instances now, if they are known, and after each change;
   * also when the snapshot becomes stale, or confirmed again. What it throws is warned of. Returns what ends it. */
  watch(name, callback, options = {}) {
    refuseUnknown("watch", options, SERVICE_OPTIONS);
    requireFunction("callback", callback);
    const warn = (what) => process.emitWarning(what, "GossipregWarning");
    const call = (snapshot) => {
      try {
        callback(snapshot.instances, snapshot);
      } catch (error) {
        warn(`the callback for changes of ${name} failed: ${error?.stack ?? error}`);
      }
    };
    return this.service(name, options).onSnapshot(call, (error) =>
      warn(`${name} is not watched: ${error.message}`),
    );
  }

  /** Register a service that lives as long as this process, or until `close` of the result. See index.d.ts. */
  async register(options) {
    this.#refuseClosed();
    refuseUnknown("register", options, REGISTER_OPTIONS);
    const { check, checks = [], onTakenOut, ...params } = options;
    if (!Array.isArray(checks)) throw new BadParams(`checks ${shown(checks)} is no list: give a list of checks`);
    if (onTakenOut !== undefined) requireFunction("onTakenOut", onTakenOut);
    if (check !== undefined || checks.length) params.checks = check === undefined ? checks : [check, ...checks];
    const attachment = new Attachment(() => findSocket(this.#path), params, {
      ref: this.#ref,
      timeoutS: this.#settings.timeoutS,
      onTakenOut: onTakenOut ?? warnTakenOut(options.name),
      onOver: () => void this.#attachments.delete(attachment),
    });
    this.#attachments.add(attachment);
    return attachment.begin();
  }

  /** As fetch, where the host `NAME.service` is the service of that name. See index.d.ts. */
  async fetch(input, init, options) {
    this.#refuseClosed();
    return fetchFrom({ service: (name) => this.service(name), agents: this.#agents }, input, init, options);
  }

  /** Publish an event; resolves when it is durable. See index.d.ts. */
  async publish(type, data, options) {
    this.#refuseClosed();
    return this.#events.publish(type, data, options);
  }

  /** Have the events of a pattern handled until `close` of the result. See index.d.ts. */
  async subscribe(pattern, options, handler) {
    this.#refuseClosed();
    return this.#events.subscribe(pattern, options, handler);
  }

  /** The events of a pattern, for `for await`. See index.d.ts. */
  events(pattern, options) {
    this.#refuseClosed();
    return this.#events.events(pattern, options);
  }

  /** Call `work` with a saga, and commit it when that is done; abort it if that throws. See index.d.ts. */
  async saga(name, options, work) {
    this.#refuseClosed();
    return this.#sagas.saga(name, options, work);
  }

  /** Begin a declared saga, which goes on without this program. See index.d.ts. */
  async runSaga(definition, options) {
    this.#refuseClosed();
    return this.#sagas.run(definition, options);
  }

  /** The journal in which this sidecar begins sagas. See index.d.ts. */
  async sagaJournal() {
    this.#refuseClosed();
    return this.#sagas.journal();
  }

  /** A saga that somebody has begun. See index.d.ts. */
  sagaOf(saga) {
    this.#refuseClosed();
    return this.#sagas.sagaOf(saga);
  }

  /** Call a method of the local socket, and return its result: see `gossipreg docs local-socket`. */
  async call(method, params = {}) {
    this.#refuseClosed();
    return this.#link.call(method, params);
  }

  /** Where this program runs: the zone given to `connect`, else its sidecar's; empty if neither is known. */
  get zone() {
    const { state, believed } = this.#link.trust;
    return this.#zone ?? (state ?? believed)?.zone ?? "";
  }

  /** The socket of the sidecar that was used last; null: none was looked for yet. */
  get path() {
    return this.#link.path;
  }

  /** Figures for people and metrics, under the names of the Python client; new ones come with new releases. */
  stats() {
    const link = this.#link;
    const state = link.trust.state ?? link.trust.believed;
    const snapshots = link.wanted.map((feed) => feed.snapshot);
    return {
      path: link.path,
      connected: link.isConnected,
      synced: link.isSynced,
      why_not: snapshots.length && !link.isSynced ? link.whyNotSynced : "",
      cluster: state?.cluster ?? null,
      node: state?.node ?? null,
      node_name: state?.name ?? null,
      zone: this.zone,
      services: snapshots.length,
      unknown: snapshots.filter((one) => one === null).length,
      stale: snapshots.filter((one) => one !== null && one.staleSince !== null).length,
      connects: link.connects,
      losses: link.losses,
      changes: link.changes,
      snapshots: link.wanted.reduce((sum, feed) => sum + feed.published, 0),
    };
  }

  /** End the stream and the subscriptions, take out what was registered here, and close idle connections. Later lookups
   * throw Refused. */
  close() {
    this.#events.close();
    this.#sagas.close();
    for (const attachment of this.#attachments) attachment.close();
    this.#attachments.clear();
    this.#link.close();
    this.#agents.destroy();
  }

  #refuseClosed() {
    if (this.#link.isClosed) throw new Refused("this registry is closed: make another one with connect()");
  }
}

if (Symbol.dispose) {
  Registry.prototype[Symbol.dispose] = function () {
    this.close();
  };
}

function warnTakenOut(name) {
  return (why) => process.emitWarning(`${name} was taken out: ${why}`, "GossipregWarning");
}
