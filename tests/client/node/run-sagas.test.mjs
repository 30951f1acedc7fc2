// `registry.runSaga`, against a sidecar whose answers a test sets.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { client } from "./client.mjs";
import { CLOSE, JOURNAL, SagaSidecar, begun, failure } from "./saga-sidecar.mjs";

const { connect, Unavailable } = await client("index.mjs");
const { ProgramCall } = await client("sagas/program-call.mjs");
const PATH = "/reservations/{key}";
const STEP = { name: "reserve", service: "stock", method: "PUT", path: PATH, undo: { method: "DELETE", path: PATH } };
const DEFINITION = { name: "create-order", step: [STEP] };

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

test("a declared saga is begun with an object or a text, and the program is not needed any more", async () => {
  const found = await registry.runSaga(DEFINITION, { id: "s1", input: { item: "tea" }, traceparent: "00-ab" });
  const expected = { saga: `${JOURNAL}.s1`, id: "s1", state: "running", copies: 3, takeover: true };
  assert.deepEqual(found, { ...expected, exists: false, decision: null });
  await registry.runSaga('name = "create-order"');
  const [first, second] = sidecar.params("run");
  assert.deepEqual({ ...first, definition: JSON.parse(first.definition) }, {
    ...{ definition: DEFINITION, id: "s1", input: '{"item":"tea"}', traceparent: "00-ab" },
  });
  assert.equal(second.definition, 'name = "create-order"');
  assert.match(second.id, /^[0-9a-f]{32}$/);
  assert.deepEqual(sidecar.methods, ["run", "run"]);
});

test("a declared saga that exists says how it stands", async () => {
  sidecar.script.run = [(params) => ({ ...begun(params), exists: true, state: "ended", decision: "commit" })];
  const { exists, state, decision } = await registry.runSaga(DEFINITION, { id: "s1" });
  assert.deepEqual([exists, state, decision], [true, "ended", "commit"]);
});

test("a run that is lost is sent again with the same id", async () => {
  sidecar.script.run = [CLOSE, failure("unavailable"), failure("outcome_unknown"), begun];
  const { id } = await registry.runSaga(DEFINITION);
  assert.deepEqual(new Set(sidecar.params("run").map((params) => params.id)), new Set([id]));
  assert.equal(sidecar.methods.length, 4);
});

test("a run that is not answered in time says with which id it counts once", async () => {
  sidecar.usual.run = () => CLOSE;
  const lost = registry.runSaga(DEFINITION, { id: "s1", timeoutMs: 500 });
  const message = /begin it again with the id 's1' at the same sidecar, it counts once/;
  await assert.rejects(lost, { name: "OutcomeUnknown", message });
  sidecar.usual.run = () => failure("unavailable", "no leader");
  sidecar.script.run = [CLOSE];
  const lostBefore = registry.runSaga(DEFINITION, { id: "s1", timeoutMs: 500 });
  await assert.rejects(lostBefore, { name: "OutcomeUnknown", message: /at the same sidecar, .* \(no leader\)$/ });
  const refused = registry.runSaga(DEFINITION, { id: "s1", timeoutMs: 500 });
  await assert.rejects(refused, { name: "Unavailable", message: "no leader" });
});

test("a call is not repeated in less time than it took", () => {
  const call = new ProgramCall("saga-run", {}, 0, 25);
  const waitS = call.waitAfter(new Unavailable("nobody leads"), 10);
  assert.throws(() => call.waitAfter(new Unavailable("nobody leads"), 20 + waitS), { name: "Unavailable" });
  assert.equal(call.isLost, false);
});

test("a run names the journal in which it begins", async () => {
  sidecar.usual.journal = () => ({ journal: JOURNAL });
  const journal = await registry.sagaJournal();
  assert.equal(journal, JOURNAL);
  await registry.runSaga(DEFINITION, { id: "s1", journal });
  await registry.runSaga(DEFINITION, { id: "s1" });
  assert.deepEqual(
    sidecar.params("run").map((params) => params.journal),
    [JOURNAL, undefined],
  );
  for (const wrong of ["", 7, null]) {
    const refused = registry.runSaga(DEFINITION, { journal: wrong });
    await assert.rejects(refused, { name: "BadParams", message: /give what sagaJournal\(\) answered/ });
  }
  sidecar.usual.journal = () => ({});
  await assert.rejects(registry.sagaJournal(), { name: "Unreachable" });
});

test("another saga of the id of a run is a conflict", async () => {
  sidecar.script.run = [failure("conflict", "it has another input")];
  const message = /another saga has the id s1: it has another input/;
  const conflict = { name: "SagaConflict", code: "conflict", message };
  await assert.rejects(registry.runSaga(DEFINITION, { id: "s1" }), conflict);
});

for (const [definition, options, message] of [
  [null, {}, /give an object, or TOML or JSON as text/],
  [[DEFINITION], {}, /give an object, or TOML or JSON as text/],
  [{ name: 1n }, {}, /no form in JSON/],
  [DEFINITION, { timeout: 5 }, /runSaga has no option timeout/],
  [DEFINITION, { timeoutMs: 0 }, /more than 0/],
  [DEFINITION, { id: 7 }, /id 7 is no text/],
  [DEFINITION, { id: "" }, /id is empty/],
  [DEFINITION, { input: () => {} }, /no form in JSON/],
]) {
  test(`a wrong run is refused before anything is sent: ${message}`, async () => {
    await assert.rejects(registry.runSaga(definition, options), { name: "BadParams", message });
    assert.deepEqual(sidecar.methods, []);
  });
}
