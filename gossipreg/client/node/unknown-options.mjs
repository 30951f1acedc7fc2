// An option that does not exist is an error, so misspellings do not pass.

import { BadParams } from "./errors.mjs";
import { shown } from "./given.mjs";

/** `where`: what the options were given to. Throws BadParams. */
export function refuseUnknown(where, options, known) {
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    const given = `${where} takes an object of options, and ${shown(options)} is none`;
    throw new BadParams(`${given}: it has ${known.join(", ")}`);
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new BadParams(`${where} has no option ${name}: it has ${known.join(", ")}`);
  }
}
