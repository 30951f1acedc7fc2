// Steps whose answer comes after the end of their saga, or is cut.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { client } from "./client.mjs";
import { SagaSidecar, begun, failure, stepAnswer } from "./saga-sidecar.mjs";
import { until } from "./sidecars.mjs";

const { connect } = await client("index.mjs");
const LOST = failure("not_found", "it was lost before its first step");

let sidecar;
let registry;
beforeEach(async () => {
  sidecar = await new SagaSidecar().start();
  registry = await connect({ path: sidecar.path, timeoutMs: 60_000 });
});
afterEach(async () => {
  registry.close();
  await sidecar.end();
});

for (const [at, begins] of [
  ["step", 1],
  ["begin", 2],
]) {
  test(`a step that outlives its saga is taken in no other: ${at}`, async () => {
    let asked = false;
    let abort;
    const aborted = new Promise((resolve) => void (abort = resolve));
    const late = (answer) => async () => {
      asked = true;
      await aborted;
      return answer;
    };
    sidecar.script.step = [at === "step" ? late(LOST) : LOST];
    if (at === "begin") sidecar.script.begin = [begun, late(begun)];
    let step;
    const saga = registry.saga("create-order", { id: "s1" }, async (saga) => {
      step = saga.step("reserve", "stock", "PUT", "/reservations/{key}", { undo: null });
      step.catch(() => {});
      await until(() => asked, "the call");
      await saga.abort("no tea");
    });
    await assert.rejects(saga, { name: "SagaAborted" });
    abort();
    await assert.rejects(step, { name: "Refused" });
    const count = (method) => sidecar.methods.filter((one) => one === method).length;
    assert.deepEqual([count("begin"), count("step")], [begins, 1]);
  });
}

test("json of an answer that is cut says so, and its step is done", async () => {
  sidecar.script.step = [stepAnswer({ body: '{"id": 1, "pad": "xx', cut: true })];
  const answer = await registry.saga("create-order", {}, (saga) =>
    saga.step("pay", "billing", "PUT", "/payments/{key}", { harmless: true }),
  );
  assert.equal(answer.ok, true);
  const message = /the answer of step pay is no JSON: it was longer than 20 bytes and is kept cut/;
  assert.throws(() => answer.json(), { name: "SyntaxError", message });
});
