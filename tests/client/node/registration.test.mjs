// A registration whose sidecar takes the request and answers nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { client } from "./client.mjs";

const { connect } = await client("index.mjs");

test("a registration that waits for its answer ends with the registry", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "gr-"));
  const path = join(folder, "silent.sock");
  const asked = new Promise((resolve) => {
    const server = createServer((socket) => socket.on("error", () => {}).once("data", resolve));
    server.listen(path);
    context.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
  });
  const registry = await connect({ path });
  const held = registry.register({ name: "api", port: 1 });
  await asked;
  registry.close();
  await assert.rejects(held, { code: "refused", message: /api was closed before the sidecar had answered/ });
});
