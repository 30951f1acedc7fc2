// Names that are used while a stream goes on, with a program that speaks as a sidecar and answers as a test wants.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { client } from "./client.mjs";
import { until } from "./sidecars.mjs";

const { connect } = await client("index.mjs");

const STATE = { cluster: "c", node: "a", name: "a", zone: "", run: "1", knowledge: "synced", not_synced_because: "" };

/** For each stream, the names in each line. */
const streams = [];
/** Names that are refused, each so often. */
const busy = new Map();
let folder, server, path;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "gr-"));
  path = join(folder, "x.sock");
  server = createServer((request, response) => {
    const lines = [];
    streams.push(lines);
    let numbers = 0;
    const write = (line) => response.write(`${JSON.stringify(line)}\n`);
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    request.setEncoding("utf8").on("data", (text) => {
      for (const { names, state } of text.trim().split("\n").map((line) => JSON.parse(line))) {
        lines.push(names);
        const left = busy.get(names[0]) ?? 0;
        if (left) {
          busy.set(names[0], left - 1);
          write({ refused: { code: "busy", message: "no room" } });
          continue;
        }
        const watches = names.map(() => ++numbers);
        write({ result: { watches } });
        if (state) write({ method: "state", params: { ...STATE, others: false } });
        for (const watch of watches) {
          write({ method: "watch", params: { watch, change: { kind: "current", instances: [] } } });
        }
      }
    });
  });
  await new Promise((resolve) => server.listen(path, resolve));
});
beforeEach(() => streams.splice(0));
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

test("each further name is asked for once, on the one stream", async () => {
  const registry = await connect({ path });
  await Promise.all(["a", "b"].map((name) => registry.service(name).lookup()));
  await registry.service("c").lookup();
  await Promise.all(["d", "e", "c"].map((name) => registry.service(name).lookup()));
  assert.deepEqual(streams, [[["a", "b"], ["c"], ["d"], ["e"]]]);
  registry.close();
});

test("a name that is used while the stream is being opened comes along or is asked for next", async () => {
  const registry = await connect({ path });
  const first = registry.service("a").lookup();
  await until(() => streams.length === 1);
  await Promise.all([first, registry.service("b").lookup()]);
  assert.deepEqual(streams, [[["a"], ["b"]]]);
  registry.close();
});

test("a name for which the sidecar has no room is asked for again", async () => {
  busy.set("full", 2);
  const registry = await connect({ path });
  await registry.service("a").lookup();
  await assert.rejects(registry.service("full").lookup(), { code: "busy", message: "no room" });
  await until(() => {
    try {
      return registry.service("full").instances.length === 0;
    } catch (error) {
      assert.equal(error.code, "busy");
      return false;
    }
  });
  assert.deepEqual(streams, [[["a"], ["full"], ["full"], ["full"]]]);
  registry.close();
});
