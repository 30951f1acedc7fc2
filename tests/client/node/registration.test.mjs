// A registration whose sidecar takes the request and answers nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { client } from "./client.mjs";

const BOUND = { timeout: 60_000 };
const { connect } = await client("index.mjs");

/** A server that accepts and says nothing. */
function silentSidecar(context) {
  const folder = mkdtempSync(join(tmpdir(), "gr-"));
  const path = join(folder, "silent.sock");
  const sockets = [];
  const asked = new Promise((resolve) => {
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {}).once("data", () => resolve(socket));
    });
    server.listen(path);
    context.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true });
    });
  });
  return { path, asked };
}

test("a registration that waits for its answer ends with the registry", async (context) => {
  const { path, asked } = silentSidecar(context);
  const registry = await connect({ path });
  const held = registry.register({ name: "api", port: 1 });
  await asked;
  registry.close();
  await assert.rejects(held, { code: "refused", message: /api was closed before the sidecar had answered/ });
});

test("a registration at a silent sidecar ends after timeoutMs, and lets go of it", BOUND, async (context) => {
  const { path, asked } = silentSidecar(context);
  const registry = await connect({ path, timeoutMs: 1000 });
  const refused = assert.rejects(registry.register({ name: "api", port: 1 }), (error) => {
    assert.equal(error.code, "unreachable");
    assert.equal(
      error.message,
      `api is not registered, no answer within 1 s: the sidecar on ${path} stands still, or the program there is none`,
    );
    return true;
  });
  const socket = await asked;
  const closed = new Promise((resolve) => socket.resume().once("close", resolve));
  await refused;
  await closed;
  registry.close();
});
