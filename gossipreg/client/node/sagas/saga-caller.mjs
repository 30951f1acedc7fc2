// Makes the calls of sagas, each again until it is answered, or its time is over.
//
// Owns: the connections. While a saga runs, its own are its program for the sidecar: if they all end, it is undone. So
// each saga has an agent of its own until its end, and then others may use it. Never knows: what a call means.

import { Agent } from "node:http";
import { busyTimer, monotonic } from "../clock.mjs";
import { Unreachable } from "../errors.mjs";
import { callSidecar } from "../sidecar.mjs";
import { CallPlaces } from "./call-places.mjs";

/** Sagas at once; others wait. A sidecar takes 128 connections of a process. */
const SAGAS_AT_ONCE = 48;
/** Connections for steps that sagas take at once, beside one a saga; more steps wait. */
const FURTHER = 16;

export class ProgramCaller {
  #findPath;
  #path = null;
  #idle = [];
  #running = 0;
  #waiting = [];
  #places = new CallPlaces(FURTHER);

  /** findPath(): a promise of the socket's path. */
  constructor(findPath) {
    this.#findPath = findPath;
  }

  /** Connections for a saga, once there is room for it. */
  async lend() {
    if (this.#running >= SAGAS_AT_ONCE) await new Promise((resolve) => void this.#waiting.push(resolve));
    else this.#running++;
    return this.#idle.pop() ?? new Agent({ keepAlive: true, maxSockets: 1 + FURTHER, maxFreeSockets: 1 });
  }

  /** isDecided: others may use them; else they are closed, so that the sidecar sees that its program is gone. */
  giveBack(agent, { isDecided }) {
    if (isDecided) this.#idle.push(agent);
    else agent.destroy();
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }

  /** The result of a call over these connections. */
  async call(agent, call) {
    for (;;) {
      try {
        return await this.attempt(agent, call);
      } catch (error) {
        const waitS = call.waitAfter(error, monotonic());
        await new Promise((resolve) => busyTimer(resolve, waitS));
      }
    }
  }

  /** As `call`, without a saga. */
  async callAlone(call) {
    const agent = await this.lend();
    try {
      return await this.call(agent, call);
    } finally {
      this.giveBack(agent, { isDecided: true });
    }
  }

  async attempt(agent, { method, params, deadline }) {
    const path = (this.#path ??= await this.#found());
    const place = await this.#places.take(agent, deadline - monotonic());
    if (place === null) {
      const why = `${method} was not sent: other calls about sagas have all connections`;
      throw Object.assign(new Unreachable(why), { neverSent: true });
    }
    try {
      return await callSidecar(path, method, params, deadline - monotonic(), agent);
    } catch (error) {
      if (error.neverSent) this.#path = null; // another sidecar may be there now
      throw error;
    } finally {
      this.#places.free(place);
    }
  }

  async #found() {
    try {
      return await this.#findPath();
    } catch (error) {
      error.neverSent = true;
      throw error;
    }
  }

  /** Close idle connections. Sagas that run keep theirs. */
  close() {
    for (const agent of this.#idle.splice(0)) agent.destroy();
  }
}

/** Whether there is a connection, in use or not. */
export function isConnected(agent) {
  return [agent.sockets, agent.freeSockets, agent.requests].some((held) => Object.keys(held).length > 0);
}
