// A registration whose sidecar takes the request and answers nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { client } from "./client.mjs";
import { until } from "./sidecars.mjs";

const BOUND = { timeout: 60_000 };
const { connect } = await client("index.mjs");

/** The answer to `register`, and then nothing more. */
const REGISTERED =
  "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n" +
  '1f\r\n{"result": {"id": "api-held"}}\n\r\n';

/** A server that accepts and says nothing; but the questions whose numbers `answers` names are answered. */
function silentSidecar(context, answers = []) {
  const folder = mkdtempSync(join(tmpdir(), "gr-"));
  const path = join(folder, "silent.sock");
  const sockets = [];
  const asked = new Promise((resolve) => {
    const server = createServer((socket) => {
      const number = sockets.push(socket);
      socket.on("error", () => {}).once("data", () => {
        if (answers.includes(number)) socket.write(REGISTERED);
        resolve(socket);
      });
    });
    server.listen(path);
    context.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true });
    });
  });
  return { path, asked, sockets };
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

test("a silent sidecar is given up, warned of once and asked again after a restart", BOUND, async (context) => {
  const { path, asked, sockets } = silentSidecar(context, [1, 4]);
  const warnings = [];
  const warned = (warning) => void warnings.push(warning);
  process.on("warning", warned);
  context.after(() => process.off("warning", warned));
  const registry = await connect({ path, timeoutMs: 1000 });
  const held = await registry.register({ name: "api", port: 1 });
  assert.ok(held.isOpen);
  (await asked).destroy();
  await until(() => sockets.length === 2);
  assert.ok(!held.isOpen, "nobody has answered yet");
  await until(() => held.isOpen);
  assert.equal(sockets.length, 4);
  assert.ok(sockets[1].destroyed && sockets[2].destroyed, "those that were silent were let go");
  assert.deepEqual(
    warnings.map(({ name, message }) => [name, message]),
    [
      [
        "GossipregWarning",
        `api is not registered again, no answer within 1 s: the sidecar on ${path} stands still, ` +
          "or the program there is none; trying again",
      ],
    ],
  );
  registry.close();
});
