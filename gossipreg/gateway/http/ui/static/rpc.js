// Calls a method of the sidecar: a read that a person asks for, or a change that a person confirmed.

import { headers } from "./token.js";

const PATIENCE_MS = 60_000; // a drain waits for every member; all others are far shorter

export class CallFailed extends Error {
  /** `needsToken`: the sidecar wants a token, or another one. */
  constructor(code, message, needsToken = false) {
    super(message);
    this.code = code;
    this.needsToken = needsToken;
  }
}

export async function call(method, params = {}) {
  let response;
  try {
    response = await fetch(`rpc/${method}`, {
      method: "POST",
      headers: headers({ "Content-Type": "application/json", "X-Gossipreg-Ui": "1" }),
      body: JSON.stringify(params),
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    if (error.name === "TimeoutError") {
      throw new CallFailed("outcome_unknown", `no answer in ${PATIENCE_MS / 1000} s: it may have been done or not`);
    }
    throw new CallFailed("unreachable", "no answer from the sidecar: it may have been done or not; look before you repeat it");
  }
  const body = await readError(response);
  if (body.error) throw new CallFailed(body.error.code, body.error.message, response.status === 401);
  return body.result;
}

/** The JSON of a response, or an error in the same shape where it has none. */
export async function readError(response) {
  const text = await response.text();
  try {
    const body = JSON.parse(text);
    if (body !== null && typeof body === "object") return body;
  } catch {
    // what came is no JSON: a proxy, or a server of another kind
  }
  const said = text.split("\n", 1)[0].slice(0, 200);
  return { error: { code: `http_${response.status}`, message: said || `the answer was status ${response.status}` } };
}
