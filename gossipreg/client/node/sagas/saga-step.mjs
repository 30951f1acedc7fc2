// A step as a program writes it, and the map that goes to the sidecar: the step's template. As
// `gossipreg/client/sagas/saga_step.py` decides. The sidecar checks the rest, and says it in one line.

import { randomBytes } from "node:crypto";
import { BadParams } from "../errors.mjs";
import { requireBoolean, requireText, requireTexts, requireTime, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";

export const STEP_MS = 30_000;
/** Of JSON that goes to the sidecar as a value: a request of 8 levels has room for these within an undo. What is deeper
 * goes as text. */
const PLAIN_LEVELS = 5;
const CONTENT = ["json", "body", "headers"];
const AFTER_OPTIONS = [...CONTENT, "attemptTimeoutMs", "needs"];
const OPTIONS = [...AFTER_OPTIONS, "undo", "harmless", "optional", "timeoutMs", "unknown"];
const UNDO = ["method", "path", "service", ...CONTENT];

/** The template of a step; options: see `StepOptions` in sagas.d.ts. Throws BadParams. */
export function stepTemplate(name, service, method, path, options = {}) {
  refuseUnknown("step", options, OPTIONS);
  const { harmless = false, optional = false, unknown = "undo", timeoutMs } = options;
  requireBoolean("harmless", harmless);
  requireBoolean("optional", optional);
  const found = { ...command(name, service, method, path, options), ...undoOf(name, options.undo, harmless) };
  if (optional) found.optional = true;
  if (timeoutMs !== undefined) found.timeout_ms = wholeMs("timeoutMs", timeoutMs);
  if (unknown !== "undo" && unknown !== "repeat") {
    throw new BadParams(`unknown is ${shown(unknown)}: give "undo" or "repeat"`);
  }
  if (unknown === "repeat") found.unknown = unknown;
  return found;
}

/** The templates of steps that are taken at the same time: an iterable of {name, service, method, path, ...options}.
 * Throws BadParams. */
export function stepTemplates(steps) {
  if (typeof steps?.[Symbol.iterator] !== "function" || typeof steps === "string") {
    throw new BadParams(`steps is ${shown(steps)}: give a list of {name, service, method, path, undo, ...}`);
  }
  const templates = [...steps].map((step) => {
    if (step === null || typeof step !== "object" || Array.isArray(step)) {
      throw new BadParams(`steps has ${shown(step)}: give objects {name, service, method, path, undo, ...}`);
    }
    const { name, service, method, path, ...options } = step;
    return stepTemplate(name, service, method, path, options);
  });
  const names = new Set();
  for (const { name } of templates) {
    if (names.has(name)) throw new BadParams(`two steps are called ${name}: give each a name of its own`);
    names.add(name);
  }
  for (const { name, needs = [] } of templates) {
    const beside = needs.find((needed) => names.has(needed));
    if (beside !== undefined) {
      throw new BadParams(`step ${name} needs ${beside}, which is taken at the same time: take it before`);
    }
  }
  return templates;
}

/** The template of what comes after the commit. Throws BadParams. */
export function afterTemplate(name, service, method, path, options = {}) {
  refuseUnknown("after", options, AFTER_OPTIONS);
  return command(name, service, method, path, options);
}

function command(name, service, method, path, { attemptTimeoutMs, needs, ...options }) {
  for (const [what, value] of Object.entries({ name, service, method, path })) requireText(`${what} of a step:`, value);
  const found = { name, service, method, path, ...content(`step ${name}`, options) };
  if (attemptTimeoutMs !== undefined) found.attempt_timeout_ms = wholeMs("attemptTimeoutMs", attemptTimeoutMs);
  if (needs !== undefined) {
    requireTexts("needs", needs, "names of steps");
    found.needs = needs;
  }
  return found;
}

function undoOf(name, undo, harmless) {
  if (undo === undefined && !harmless) {
    const how = "give undo: [METHOD, PATH], harmless: true if it changes nothing, or undo: null if it is the last one";
    throw new BadParams(`step ${name} does not say how it is undone: ${how}`);
  }
  if (undo === undefined || undo === null) return harmless ? { undo: null, harmless: true } : { undo: null };
  const what = `undo of step ${name}`;
  const given = Array.isArray(undo) && undo.length >= 2 && undo.length <= 3 ? undoOfList(undo) : undo;
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new BadParams(`${what} is ${shown(undo)}: give [METHOD, PATH], [METHOD, PATH, JSON], or an object`);
  }
  refuseUnknown(what, given, UNDO);
  const { method, path, service } = given;
  if (typeof method !== "string" || typeof path !== "string") {
    throw new BadParams(`${what} is ${shown(undo)}: give a method and a path as text`);
  }
  if (service !== undefined) requireText(`service of ${what}:`, service);
  return { undo: { method, path, ...(service === undefined ? {} : { service }), ...content(what, given) } };
}

function undoOfList([method, path, ...json]) {
  return json.length ? { method, path, json: json[0] } : { method, path };
}

function content(what, { json, body, headers }) {
  const found = {};
  if (headers !== undefined) {
    if (headers === null || typeof headers !== "object" || Array.isArray(headers)) {
      throw new BadParams(`headers of ${what} are ${shown(headers)}: give an object of texts by name`);
    }
    for (const [name, value] of Object.entries(headers)) requireText(`headers of ${what}: ${name}`, value);
    found.headers = headers;
  }
  if (json !== undefined && body !== undefined) throw new BadParams(`${what} has json and body: give one of them`);
  if (json !== undefined) {
    const text = jsonText(`json of ${what}`, json);
    const value = JSON.parse(text);
    if (isDeeper(value, PLAIN_LEVELS)) found.json_template = text;
    else found.json = value;
  }
  if (typeof body === "string") found.body = body;
  else if (ArrayBuffer.isView(body)) {
    found.body_base64 = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("base64");
  } else if (body !== undefined) {
    throw new BadParams(`body of ${what} is ${shown(body)}: give a text or bytes, or use json`);
  }
  return found;
}

/** Whether more lists and objects than these are within each other. */
function isDeeper(value, levels) {
  if (value === null || typeof value !== "object") return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** Throws BadParams for what JSON has no form for. */
export function jsonText(what, value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new BadParams(`${what} has no form in JSON: ${error.message.split("\n")[0]}`);
  }
  if (text === undefined) throw new BadParams(`${what} has no form in JSON: ${shown(value)}`);
  return text;
}

/** A text, or what JSON can hold, whose braces are no templates. See sagas.d.ts. */
export function literal(value) {
  if (typeof value === "string") return value.replaceAll("{", "{{").replaceAll("}", "}}");
  if (Array.isArray(value)) return value.map(literal);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, literal(inner)]));
}

/** The id of a saga that is to be begun: as given, or drawn. Throws BadParams for an empty one: it may be a variable
 * that was not set, and would not be the same saga the next time. */
export function newSagaId(id) {
  if (id === undefined) return randomBytes(16).toString("hex");
  requireText("id", id);
  if (id === "") throw new BadParams("id is empty: leave it out to have one drawn");
  return id;
}

export function wholeMs(what, value) {
  requireTime(what, value, "give milliseconds");
  if (!Number.isFinite(value)) throw new BadParams(`${what} ${value} is out of range: give milliseconds`);
  return Math.max(1, Math.round(value));
}
