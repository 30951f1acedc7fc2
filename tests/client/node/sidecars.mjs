// Real sidecars: started, and ended by their own handles. Each has a folder of its own, and a port that the kernel
// chooses.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const BOUND_MS = 60_000;

export class Sidecar {
  static #all = new Set();

  #folder = mkdtempSync(join(tmpdir(), "gr-"));
  #process = null;
  ready = {};

  constructor(name, ...options) {
    this.name = name;
    this.options = options;
    this.socket = join(this.#folder, `${name}.sock`);
    Sidecar.#all.add(this);
  }

  /** Start it, and wait until it is ready. */
  async start(...more) {
    const given = ["--name", this.name, "--socket", this.socket, "--bind", this.ready.gossip ?? "127.0.0.1:0"];
    const command = ["-m", "gossipreg.cli", "join", ...given, ...this.options, ...more];
    this.#process = spawn(process.env.PYTHON, command, {
      stdio: ["ignore", "pipe", process.env.SHOW ? "inherit" : "ignore"],
    });
    for await (const line of createInterface({ input: this.#process.stdout })) {
      if (!line.startsWith("ready ")) continue;
      this.ready = Object.fromEntries(
        line
          .split(" ")
          .slice(1)
          .map((field) => field.split("=", 2)),
      );
      break;
    }
    this.#process.stdout.resume();
    return this;
  }

  /** SIGKILL, and wait for its end. */
  async kill() {
    if (this.#process === null || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  /** SIGSTOP: it stands still, and does not say so. */
  stop() {
    this.#process.kill("SIGSTOP");
  }

  resume() {
    this.#process.kill("SIGCONT");
  }

  static async endAll() {
    for (const sidecar of Sidecar.#all) {
      await sidecar.kill();
      rmSync(sidecar.#folder, { recursive: true, force: true });
    }
    Sidecar.#all.clear();
  }
}

/** Wait until `check()` gives something true, and return it. */
export async function until(check, what = String(check)) {
  const deadline = performance.now() + BOUND_MS;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${BOUND_MS} ms: ${what}`);
    await sleep(5);
  }
}
