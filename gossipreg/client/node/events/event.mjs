// An event as a handler gets it, and what a handler may throw.
//
// Owns: what became of one delivery; the first word counts. Never knows: connections.

import { BadParams } from "../errors.mjs";
import { requireText, requireWait, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { handling } from "./handled.mjs";

const KEY = "partitionkey";
/** Characters of a reason; a sidecar keeps as many bytes. */
const REASON_MAX = 512;
/** As the sidecar bounds it: 7 days. */
const AFTER_MAX_MS = 7 * 86_400_000;
/** Attributes of the structured form of CloudEvents; all others are extensions. */
const ATTRIBUTES = ["id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64", "specversion"];

/** Thrown by a handler: this event is never to be tried again. It becomes a dead letter with this reason. */
export class Reject extends Error {
  constructor(reason = "rejected") {
    requireText("reason", reason);
    super(reason);
    this.name = "Reject";
  }
}

/** Thrown by a handler: try this event again, after `afterMs`; left out: after the usual wait, which doubles.
 * Everything else that a handler throws means the same, and is warned of. */
export class Retry extends Error {
  constructor(options = {}) {
    const { afterMs, reason } = retryOptions("Retry", options);
    super(reason || "the handler asked for another attempt");
    this.name = "Retry";
    this.afterMs = afterMs;
  }
}

function retryOptions(where, options) {
  refuseUnknown(where, options, ["afterMs", "reason"]);
  const { afterMs, reason = "" } = options;
  if (afterMs !== undefined) {
    requireWait("afterMs", afterMs, "give the time until the next attempt");
    if (afterMs > AFTER_MAX_MS) throw new BadParams(`afterMs ${afterMs} is too long: give at most ${AFTER_MAX_MS}`);
  }
  requireText("reason", reason);
  return { afterMs, reason };
}

/** See index.d.ts. Programs never make one. */
export class HandledEvent {
  #settle;
  #document;

  /** params: of a notification of the sidecar. settle(settlement): called once. Throws TypeError if it is no event. */
  constructor(params, settle) {
    const { event, group, attempt, journal, index } = params;
    const { id, source, type, subject = "", time = "", datacontenttype = "" } = event;
    if (typeof id !== "string" || typeof source !== "string" || typeof type !== "string") {
      throw new TypeError(`an event has an id, a source and a type, and this has not: ${shown(event)}`);
    }
    Object.assign(this, { id, source, type, subject, time, datacontenttype, group, attempt, journal, index });
    const extensions = {};
    for (const name of Object.keys(event)) if (!ATTRIBUTES.includes(name)) extensions[name] = String(event[name]);
    this.extensions = Object.freeze(extensions);
    const traced = params.traceparent === undefined ? extensions : params;
    this.traceparent = String(traced.traceparent ?? "");
    this.tracestate = String(traced.tracestate ?? "");
    this.#document = event;
    this.#settle = settle;
    Object.freeze(this);
  }

  /** By `datacontenttype`: the value of JSON, a text, or bytes; undefined: the event has no data. Throws Reject if the
   * data is not what it says it is. */
  get data() {
    const { data, data_base64: encoded } = this.#document;
    if (encoded === undefined) return data;
    return decoded(Buffer.from(encoded, "base64"), this.datacontenttype);
  }

  /** Events of one key are handled in their order. Empty: none. */
  get key() {
    return this.extensions[KEY] ?? "";
  }

  get correlationid() {
    return this.extensions.correlationid ?? "";
  }

  get causationid() {
    return this.extensions.causationid ?? "";
  }

  get isSettled() {
    return this.#settle === null;
  }

  ack() {
    this.#settled({ method: "ack" });
  }

  reject(reason = "rejected") {
    requireText("reason", reason);
    this.#settled({ method: "reject", params: { reason: sendable(reason) } });
  }

  retry(options = {}) {
    const { afterMs, reason } = retryOptions("retry", options);
    const params = {};
    if (reason) params.reason = sendable(reason);
    if (afterMs !== undefined) params.after = afterMs / 1000;
    this.#settled({ method: "retry", params });
  }

  /** Call `work`, and return its result: events that are published in it name this one as their cause. */
  run(work) {
    return handling(this, work);
  }

  #settled(settlement) {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(settlement);
  }
}

/** A reason as it can be sent: not longer than a sidecar keeps it, and without halves of surrogate pairs. */
function sendable(reason) {
  return Buffer.from(reason.slice(0, REASON_MAX)).toString();
}

function decoded(bytes, kind) {
  const [name, ...parameters] = kind.split(";").map((part) => part.trim());
  const type = name.toLowerCase();
  const isJson = ["", "application/json", "text/json"].includes(type) || type.endsWith("+json");
  try {
    if (isJson) return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (type.startsWith("text/")) return new TextDecoder(charset(parameters), { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Reject(`the data is not ${kind || "JSON"}: ${error.message}`);
  }
  return bytes;
}

function charset(parameters) {
  const found = parameters.map((part) => /^charset\s*=\s*"?([^"]*)"?$/i.exec(part)).find(Boolean);
  return found?.[1] ?? "utf-8";
}
