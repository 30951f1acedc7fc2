// A fake sidecar and a registry for each test of a file, and the warnings that came.

import { afterEach, beforeEach } from "node:test";
import { client } from "./client.mjs";
import { FakeSidecar } from "./fake-sidecar.mjs";

const { connect } = await client("index.mjs");

/** {sidecar, registry, warnings} of the test that runs. */
export function withFakeSidecar() {
  const now = { sidecar: null, registry: null, warnings: [] };
  const warned = (warning) => void now.warnings.push(warning.message);
  beforeEach(async () => {
    now.warnings = [];
    process.on("warning", warned);
    now.sidecar = await new FakeSidecar().start();
    now.registry = await connect({ path: now.sidecar.path, timeoutMs: 60_000 });
  });
  afterEach(async () => {
    now.registry.close();
    await now.sidecar.end();
    process.off("warning", warned);
  });
  return now;
}

/** A promise, and what settles it. */
export function gate() {
  let open;
  const passed = new Promise((resolve) => void (open = resolve));
  return { passed, open };
}
