// The options of a subscription, looked at before anything is sent. The sidecar checks the rest.

import { BadParams } from "../errors.mjs";
import { requireBoolean, requireText, requireTexts, requireTime, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";

const ACK_TIMEOUT_MS = 30_000;
const WINDOW = 64;
const OPTIONS = ["group", "window", "onDead", "maxAttempts", "ackTimeoutMs", "broadcast", "past"];

/** {params: of the method `subscribe`, window, ackTimeoutS, name: for people}. where: what the options were given to.
 * Throws BadParams. */
export function subscriptionSettings(where, pattern, options) {
  refuseUnknown(where, options, OPTIONS);
  const { group, window = WINDOW, onDead, maxAttempts, ackTimeoutMs = ACK_TIMEOUT_MS } = options;
  const { broadcast = false, past = false } = options;
  const patterns = typeof pattern === "string" ? [pattern] : pattern;
  requireTexts("pattern", patterns, "patterns such as order.*");
  requireBoolean("broadcast", broadcast);
  requireBoolean("past", past);
  if (group !== undefined) requireText("group", group);
  if (broadcast === (group !== undefined)) {
    const given = `group is ${shown(group)} and broadcast is ${broadcast}`;
    throw new BadParams(`${given}: give the name of a group, or broadcast: true`);
  }
  if (broadcast && past) {
    throw new BadParams("a broadcast subscription gets events from now on: leave out past, or give a group");
  }
  requireCount("window", window);
  if (maxAttempts !== undefined) requireCount("maxAttempts", maxAttempts);
  if (onDead !== undefined && onDead !== "go_on" && onDead !== "hold") {
    throw new BadParams(`onDead ${shown(onDead)} is not known: give "go_on" or "hold"`);
  }
  requireTime("ackTimeoutMs", ackTimeoutMs, "give how long a handler may take until it is renewed");
  const ackTimeoutS = ackTimeoutMs / 1000;
  const params = { pattern: patterns, window, ack_timeout: ackTimeoutS };
  if (onDead !== undefined) params.on_dead = onDead;
  if (maxAttempts !== undefined) params.max_attempts = maxAttempts;
  if (past) params.past = true;
  if (broadcast) params.broadcast = true;
  else params.group = group;
  const name = `${patterns.join(", ")} (${broadcast ? "broadcast" : `group ${group}`})`;
  return { params, window, ackTimeoutS, name };
}

function requireCount(what, value) {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new BadParams(`${what} ${shown(value)} is no whole number from 1 on: give one`);
  }
}
