// What a program gives is looked at when it is given, so a value of the wrong type is one plain error and not a failure
// later on. Each function throws BadParams.

import { inspect } from "node:util";
import { BadParams } from "./errors.mjs";

const SHOWN_MAX = 100;

/** A value of the program, short and on one line. */
export function shown(value) {
  return inspect(value, { depth: 0, breakLength: Infinity, maxStringLength: SHOWN_MAX }).replaceAll("\n", " ");
}

export function requireText(what, value) {
  if (typeof value !== "string") throw new BadParams(`${what} ${shown(value)} is no text: give a text`);
}

export function requireTextOrNull(what, value) {
  if (value !== null) requireText(what, value);
}

export function requireFunction(what, value) {
  if (typeof value !== "function") throw new BadParams(`${what} ${shown(value)} is no function: give a function`);
}

/** A text such as "no" would be true: a request would be sent twice that must not be. */
export function requireBoolean(what, value) {
  if (typeof value !== "boolean") throw new BadParams(`${what} ${shown(value)} is neither true nor false`);
}

/** A list of texts; `each` says what they are. */
export function requireTexts(what, value, each) {
  if (!Array.isArray(value)) throw new BadParams(`${what} ${shown(value)} is no list: give a list of ${each}`);
  for (const one of value) requireText(`${what}: the element`, one);
}

/** A number of milliseconds that is 0 or more. `use`: what the program has to give. */
export function requireWait(what, value, use) {
  if (typeof value !== "number") throw new BadParams(`${what} ${shown(value)} is no number: ${use}`);
  if (!(value >= 0)) throw new BadParams(`${what} ${value} is not 0 or more: ${use}`);
}

/** A number of milliseconds that is more than 0. `use`: what the program has to give. */
export function requireTime(what, value, use) {
  if (typeof value !== "number") throw new BadParams(`${what} ${shown(value)} is no number: ${use}`);
  if (!(value > 0)) throw new BadParams(`${what} ${value} is not more than 0: ${use}`);
}
