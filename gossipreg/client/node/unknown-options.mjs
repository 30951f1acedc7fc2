// An option that does not exist is an error, so misspellings do not pass.

import { BadParams } from "./errors.mjs";

/** `where`: what the options were given to. */
export function refuseUnknown(where, options, known) {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new BadParams(`${where} has no option ${name}: it has ${known.join(", ")}`);
  }
}
