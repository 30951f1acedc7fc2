// The settings of picking and resilience, with the default of each. Times are in seconds in all of `picking/`.

import { BadParams } from "../errors.mjs";

export const POLICIES = ["adaptive", "least_request", "round_robin", "random", "ring_hash"];
export const PANICS = ["passing", "all"];

/**
 * How the instances of one service are picked.
 *
 * policy: one of POLICIES; a pick with a key always uses `ring_hash`. panic: `all` picks instances that are `warning`
 * or `critical` if none passes; with `passing` such a pick throws NoInstance. zone: of this process; empty: zones are
 * not looked at.
 */
export function pickOptions({ policy = "adaptive", panic = "passing", zone = "" } = {}) {
  if (!POLICIES.includes(policy)) {
    throw new BadParams(`policy '${policy}' does not exist: use one of ${POLICIES.join(", ")}`);
  }
  if (!PANICS.includes(panic)) {
    throw new BadParams(`panic '${panic}' does not exist: use one of ${PANICS.join(", ")}`);
  }
  return Object.freeze({ policy, panic, zone });
}

/**
 * What one logical call may do. An attempt is one request of it to one instance.
 *
 * deadlineS: for all attempts together. idempotent: a request that was sent may be sent again. attemptsMax: gRPC allows
 * up to 5. hedge: send a second attempt while a slow first one still runs, for callers that can cancel the loser.
 * depth: the `Gossipreg-Attempt` of the request that this process serves itself; from 2 on nothing is retried here,
 * since retries at each level of a chain would multiply. attemptsBefore: those that the call has made at another
 * service, whose fallback this one is: so its requests are retries, and say so to the server.
 */
export function callOptions(options = {}) {
  const { deadlineS = 10, idempotent = false, attemptsMax = 3, hedge = false, depth = 1, attemptsBefore = 0 } = options;
  if (!(deadlineS > 0)) {
    throw new BadParams(`deadline ${deadlineS} s is over before the call begins: give it more than 0 s`);
  }
  if (!(attemptsMax >= 1)) {
    throw new BadParams(`attemptsMax ${attemptsMax}: a call makes at least 1 attempt`);
  }
  if (!(depth >= 0)) {
    throw new BadParams(`depth ${depth}: give the Gossipreg-Attempt of the request that is served, from 1 on`);
  }
  return Object.freeze({ deadlineS, idempotent, attemptsMax, hedge, depth, attemptsBefore });
}
