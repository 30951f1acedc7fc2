// One publish: the parameters that go to the sidecar, and what each failed attempt says of its outcome. As
// `gossipreg/client/events/publishing.py` decides.
//
// Owns: the event's id, so that an attempt whose answer is lost can be repeated as the same event; whether an attempt
// may have been carried out. Never knows: connections, how to wait. Times are in seconds of `monotonic`.
//
// An attempt that fails for a reason that may pass is made again until the timeout. Once an attempt has no answer, the
// outcome is unknown: a later attempt that is refused says nothing of the earlier one.

import { randomBytes } from "node:crypto";
import {
  BadParams,
  Busy,
  Conflict,
  Leaving,
  NotSynced,
  OutcomeUnknown,
  RequestError,
  TooLarge,
  Unavailable,
  UnknownMethod,
  Unreachable,
} from "../errors.mjs";
import { requireText, requireTime, requireWait, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { withInherited } from "./handled.mjs";

const TIMEOUT_MS = 10_000;
const TIMEOUT_MAX_MS = 3_600_000;
/** The waits between attempts, each drawn between its half and the whole. A sidecar restarts within a second or two. */
const FIRST_WAIT_S = 0.02;
const LONGEST_WAIT_S = 1;
/** No attempt begins with less time than this, or a tenth of the timeout: it would only make the outcome unknown. */
const ATTEMPT_S = 0.05;
/** The sidecar gives up by this part of the time earlier than the caller, but at most ANSWERS_EARLIER_S: it knows
 * better than the caller what became of the event. */
const ANSWERS_EARLIER = 0.1;
const ANSWERS_EARLIER_S = 0.25;
/** The event was not published, and the same request may succeed soon. */
const MAY_PASS = [Busy, Leaving, NotSynced, Unavailable];
/** The sidecar would have said the same to every attempt, so none was carried out. */
const FINAL = [BadParams, Conflict, TooLarge, UnknownMethod];
const EVENT_BYTES_MAX = 196_608;
const TEXTS = ["id", "source", "key", "subject", "datacontenttype", "time"];
const OPTIONS = [...TEXTS, "extensions", "timeoutMs", "keepMs"];

export class EventToPublish {
  #params;
  #timeoutS;
  #waitS = 0;
  /** Whether an attempt may have been carried out, and was not answered. */
  #isLost = false;

  /** See `Registry.publish` in index.d.ts. source: where the options name none; null: the sidecar's name. Throws
   * BadParams. */
  constructor(type, data, options, { source, now }) {
    refuseUnknown("publish", options, OPTIONS);
    const { timeoutMs = TIMEOUT_MS, keepMs, extensions = {}, ...texts } = options;
    if (typeof type !== "string") {
      throw new BadParams(`type ${shown(type)} is no text: give words with dots between them, such as order.created`);
    }
    requireTime("timeoutMs", timeoutMs, "give the time that a publish may take");
    if (timeoutMs > TIMEOUT_MAX_MS) {
      throw new BadParams(`timeoutMs ${timeoutMs} is out of range: give at most ${TIMEOUT_MAX_MS}`);
    }
    if (keepMs !== undefined) requireWait("keepMs", keepMs, "give how long it is kept for groups that come later");
    for (const name of TEXTS) {
      if (texts[name] === undefined) delete texts[name];
      else requireText(name, texts[name]);
    }
    requireExtensions(extensions);
    if (texts.id === "") throw new BadParams("id is empty: leave it out to have one drawn");
    this.id = texts.id ?? randomBytes(16).toString("hex");
    this.#timeoutS = timeoutMs / 1000;
    this.deadline = now + this.#timeoutS;
    this.#params = { type, ...content(data), ...texts, id: this.id };
    requireSize(this.#params);
    if (texts.source === undefined && source !== null) this.#params.source = source;
    const all = withInherited(extensions);
    if (Object.keys(all).length) this.#params.extensions = all;
    if (keepMs !== undefined) this.#params.keep = keepMs / 1000;
  }

  /** The parameters of the next attempt. */
  request(now) {
    const leftS = Math.max(0, this.deadline - now);
    return { ...this.#params, timeout: leftS - Math.min(ANSWERS_EARLIER * leftS, ANSWERS_EARLIER_S) };
  }

  /** An attempt failed. Returns the seconds to wait for the next one; throws if there can be none. */
  waitAfter(error, now) {
    if (error instanceof Unreachable) {
      this.#isLost ||= !error.neverSent;
      return this.#again(error, now);
    }
    this.#isLost ||= error instanceof OutcomeUnknown;
    if (isOneOf(error, [...MAY_PASS, OutcomeUnknown])) return this.#again(error, now);
    throw this.#isLost && error instanceof RequestError && !isOneOf(error, FINAL) ? this.#unknown(error) : error;
  }

  #again(error, now) {
    this.#waitS = this.#waitS ? Math.min(LONGEST_WAIT_S, this.#waitS * 2) : FIRST_WAIT_S;
    const waitS = this.#waitS * (0.5 + 0.5 * Math.random());
    if (this.deadline - now - waitS >= Math.min(ATTEMPT_S, this.#timeoutS / 10)) return waitS;
    throw this.#isLost ? this.#unknown(error) : error;
  }

  #unknown(error) {
    const what = `the event may be published or not: no answer within ${this.#timeoutS} s`;
    return new OutcomeUnknown(`${what}; publish it again with the id ${this.id}, it counts once (${error.message})`, {
      cause: error,
    });
  }
}

/** The parameters that carry this data: bytes in base64, a text as it is, anything else as JSON. undefined: the event
 * has no data. Throws BadParams. */
function content(data) {
  if (data === undefined) return {};
  if (typeof data === "string") return { data };
  if (ArrayBuffer.isView(data)) {
    return { data_base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
  }
  if (data instanceof ArrayBuffer) return { data_base64: Buffer.from(data).toString("base64") };
  return { data: jsonOf(data), datacontenttype: "application/json" };
}

/** Throws TooLarge for data that no event has room for. */
function requireSize({ data, data_base64: encoded }) {
  const size = encoded === undefined ? Buffer.byteLength(data ?? "") : Buffer.byteLength(encoded, "base64");
  if (size > EVENT_BYTES_MAX) {
    const most = `at most ${EVENT_BYTES_MAX} fit with its attributes, so publish where the data is`;
    throw new TooLarge(`the event has ${size} bytes of data: ${most}`);
  }
}

function jsonOf(data) {
  let text;
  try {
    text = JSON.stringify(data, finite);
  } catch (error) {
    if (error instanceof BadParams) throw error;
    throw new BadParams(`data ${shown(data)} has no form in JSON: ${error.message.split("\n")[0]}`);
  }
  if (text === undefined) throw new BadParams(`data ${shown(data)} has no form in JSON: give bytes, text, or a value`);
  return text;
}

/** JSON.stringify writes null for NaN and Infinity, and nobody would know. */
function finite(name, value) {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  const where = name === "" ? "data" : `data: ${shown(name)}`;
  throw new BadParams(`${where} is ${value}, which JSON does not have: give a finite number, or null`);
}

function requireExtensions(extensions) {
  const isMap = extensions !== null && typeof extensions === "object" && !Array.isArray(extensions);
  if (!isMap) throw new BadParams(`extensions ${shown(extensions)} is no object: give texts by name`);
  for (const [name, value] of Object.entries(extensions)) requireText(`extensions: ${name}`, value);
}

function isOneOf(error, kinds) {
  return kinds.some((kind) => error instanceof kind);
}

/** What the sidecar answers to a publish, as programs get it. Throws Unreachable for what is none. */
export function publishedUntrusted(answer) {
  const { id, source, copies, takeover, duplicate, groups } = answer ?? {};
  if (typeof id !== "string" || typeof source !== "string" || typeof copies !== "number") {
    throw new Unreachable(`the program on the socket is no sidecar: it answered a publish with ${shown(answer)}`);
  }
  return Object.freeze({ id, source, copies, takeover, duplicate, groups });
}
