// Publishes the events of a registry.
//
// Owns: the connections that publishes share. Never knows: what an event means. Each publish has a connection for
// itself while it waits for its answer (the sidecar answers one request of a connection after the other), and 48 wait
// at once.

import { Agent } from "node:http";
import { busyTimer, monotonic } from "../clock.mjs";
import { callSidecar } from "../sidecar.mjs";
import { EventToPublish, publishedUntrusted } from "./publishing.mjs";

/** A sidecar takes 128 connections of a process. */
const PUBLISHES_AT_ONCE = 48;

export class Publisher {
  #findPath;
  #source;
  #agent = new Agent({ keepAlive: true, maxSockets: PUBLISHES_AT_ONCE });
  #path = null;

  /** findPath(): a promise of the socket's path. source: of events that name none; null: the sidecar's name. */
  constructor(findPath, source) {
    this.#findPath = findPath;
    this.#source = source;
  }

  /** Publish; resolves when the event is durable. See `Registry.publish` in index.d.ts. */
  async publish(type, data, options) {
    const event = new EventToPublish(type, data, options, { source: this.#source, now: monotonic() });
    for (;;) {
      try {
        return await this.#attempt(event);
      } catch (error) {
        const waitS = event.waitAfter(error, monotonic());
        await new Promise((resolve) => busyTimer(resolve, waitS));
      }
    }
  }

  async #attempt(event) {
    const path = (this.#path ??= await this.#found());
    const now = monotonic();
    try {
      const answer = await callSidecar(path, "publish", event.request(now), event.deadline - now, this.#agent);
      return publishedUntrusted(answer);
    } catch (error) {
      if (error.neverSent) this.#path = null; // another sidecar may be there now
      throw error;
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

  /** Close the connections that are idle. */
  close() {
    for (const sockets of Object.values(this.#agent.freeSockets)) for (const socket of sockets) socket.destroy();
  }
}
