// `registry.saga`, against a sidecar whose answers a test sets.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { client } from "./client.mjs";
import { CLOSE, JOURNAL, SagaSidecar, begun, failure, stepAnswer, story } from "./saga-sidecar.mjs";
import { until } from "./sidecars.mjs";

const { connect, literal } = await client("index.mjs");
const { ProgramCall } = await client("sagas/program-call.mjs");
const { Unreachable } = await client("errors.mjs");
const UNDO = ["DELETE", "/reservations/{key}"];
const PATH = "/reservations/{key}";

let sidecar;
let registry;
let warnings;
const warned = (warning) => void warnings.push(warning.message);
beforeEach(async () => {
  warnings = [];
  process.on("warning", warned);
  sidecar = await new SagaSidecar().start();
  registry = await connect({ path: sidecar.path, timeoutMs: 60_000 });
});
afterEach(async () => {
  registry.close();
  await sidecar.end();
  process.off("warning", warned);
});

const reserve = (saga, name = "reserve", options = {}) =>
  saga.step(name, "stock", "PUT", PATH, { undo: UNDO, json: { n: 1 }, ...options });
const order = (options = {}) =>
  registry.saga("create-order", { id: "s1" }, (saga) => reserve(saga, "reserve", options));

test("a saga begins, takes steps and commits, and gives what its function does", async () => {
  const options = { id: "s1", input: { item: "tea" }, timeoutMs: 5000, strict: true };
  const result = await registry.saga("create-order", options, async (saga) => {
    const answer = await reserve(saga, "reserve", { timeoutMs: 2000, attemptTimeoutMs: 500, headers: { a: "b" } });
    assert.deepEqual([answer.ok, answer.status, answer.json()], [true, 200, { n: 7 }]);
    await saga.after("mail", "mailer", "POST", "/mails", { json: { to: "{input.to}" } });
    return [saga.saga, saga.copies, saga.takeover];
  });
  assert.deepEqual(result, [`${JOURNAL}.s1`, 3, true]);
  const saga = `${JOURNAL}.s1`;
  const undo = { method: "DELETE", path: PATH };
  const mail = { name: "mail", service: "mailer", method: "POST", path: "/mails", json: { to: "{input.to}" } };
  const step = { name: "reserve", service: "stock", method: "PUT", path: PATH, json: { n: 1 }, headers: { a: "b" } };
  assert.deepEqual(sidecar.seen, [
    ["begin", { name: "create-order", id: "s1", input: '{"item":"tea"}', timeout_ms: 5000, strict: true }],
    ["step", { saga, step: { ...step, undo, timeout_ms: 2000, attempt_timeout_ms: 500 } }],
    ["after", { saga, step: mail }],
    ["commit", { saga }],
  ]);
  assert.equal(sidecar.accepted, 1);
});

test("what the function throws aborts, and is thrown on", async () => {
  const error = new TypeError("no\nway");
  const failing = registry.saga("create-order", {}, async (saga) => {
    await reserve(saga);
    throw error;
  });
  await assert.rejects(failing, (thrown) => thrown === error);
  assert.deepEqual(sidecar.methods, ["begin", "step", "abort"]);
  assert.equal(sidecar.params("abort")[0].reason, "its program threw TypeError: no way");
});

test("abort leaves the function", async () => {
  const aborted = registry.saga("create-order", { id: "s1" }, (saga) => saga.abort("out of tea"));
  await assert.rejects(aborted, { name: "SagaAborted", reason: "out of tea", saga: `${JOURNAL}.s1` });
  assert.deepEqual(sidecar.methods, ["begin", "abort"]);
});

test("a refused step and an unknown one throw and abort", async () => {
  const refused = stepAnswer({ state: "refused", status: 422, body: "no" });
  sidecar.script.step = [refused, stepAnswer({ state: "unknown", status: 0 })];
  await assert.rejects(order(), (error) => error.name === "StepRefused" && error.answer.text === "no");
  await assert.rejects(order(), { name: "StepUnknown", message: /may be done or not: no answer$/ });
  assert.deepEqual(sidecar.methods, ["begin", "step", "abort", "begin", "step", "abort"]);
});

test("a step that is not awaited aborts the saga, and is no unhandled rejection", async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    for (const method of ["step", "after"]) {
      sidecar.script[method] = [failure("aborted", "the saga was aborted: its program was in a hurry")];
      const json = method === "step" ? { undo: null } : {};
      const hurry = (saga) => void saga[method]("a", "stock", "PUT", "/", json);
      const hurried = registry.saga("create-order", {}, async (saga) => hurry(saga));
      await assert.rejects(hurried, { name: "SagaAborted", reason: /step a is still open: await it/ });
    }
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(unhandled, []);
    assert.deepEqual(sidecar.methods.filter((method) => method === "commit"), []);
  } finally {
    process.off("unhandledRejection", note);
  }
});

test("an empty id is refused and not drawn", async () => {
  const empty = registry.saga("create-order", { id: "" }, () => {});
  await assert.rejects(empty, { name: "BadParams", message: /id is empty/ });
  assert.deepEqual(sidecar.methods, []);
});

test("an optional step that is refused goes on", async () => {
  sidecar.script.step = [stepAnswer({ state: "refused", status: 422 })];
  assert.equal((await order({ optional: true })).ok, false);
  assert.deepEqual(sidecar.methods, ["begin", "step", "commit"]);
});

test("a swallowed failure does not commit", async () => {
  sidecar.script.step = [stepAnswer({ state: "refused", status: 422 })];
  sidecar.script.commit = [failure("not_done", "saga cannot commit: reserve is refused")];
  const swallowing = registry.saga("create-order", {}, async (saga) => void (await reserve(saga).catch(() => {})));
  await assert.rejects(swallowing, { name: "SagaAborted", message: /reserve is refused/ });
  assert.deepEqual(sidecar.methods, ["begin", "step", "commit", "abort"]);
});

test("a saga that was decided meanwhile is aborted", async () => {
  const decided = failure("decided", "the saga is aborted: too late: it takes no more steps");
  sidecar.script.step = [decided, decided];
  await assert.rejects(order(), { name: "SagaAborted", reason: "too late" });
  const swallowing = registry.saga("create-order", {}, async (saga) => void (await reserve(saga).catch(() => {})));
  await assert.rejects(swallowing, { name: "SagaAborted" });
  sidecar.script.commit = [failure("aborted", "the saga was aborted: its program was lost")];
  await assert.rejects(order(), { name: "SagaAborted", reason: "its program was lost" });
  assert.deepEqual(sidecar.methods, ["begin", "step", "begin", "step", "begin", "step", "commit"]);
});

test("a known id does not call the function", async () => {
  const never = () => assert.fail("it is called");
  sidecar.script.begin = [
    (params) => ({ ...begun(params), exists: true, state: "ended", decision: "commit" }),
    failure("conflict", "another name"),
  ];
  const exists = { name: "SagaExists", state: "ended", decision: "commit", saga: `${JOURNAL}.s1` };
  await assert.rejects(registry.saga("create-order", { id: "s1" }, never), exists);
  await assert.rejects(registry.saga("create-order", { id: "s1" }, never), { name: "SagaConflict", code: "conflict" });
});

test("a begin whose answer is lost is found again by the id that was drawn", async () => {
  const again = (params) => ({ ...begun(params), exists: true });
  sidecar.script.begin = [CLOSE, again];
  await registry.saga("create-order", {}, () => {});
  assert.deepEqual(sidecar.methods, ["begin", "begin", "commit"]);
  sidecar.script.begin = [CLOSE, again];
  const given = registry.saga("create-order", { id: "given" }, () => {});
  await assert.rejects(given, { name: "SagaExists", message: /may be the one that this program began/ });
});

test("a saga that was lost before its first step begins again", async () => {
  const lost = failure("not_found", "lost before its first step");
  sidecar.script.step = [lost, stepAnswer(), lost];
  const twice = registry.saga("create-order", {}, async (saga) => {
    await reserve(saga);
    await reserve(saga, "second");
  });
  await assert.rejects(twice, { name: "NotFound" });
  assert.deepEqual(sidecar.methods, ["begin", "step", "begin", "step", "step", "abort"]);
});

test("a step whose connection breaks is asked for again, and so is a commit", async () => {
  sidecar.script.step = [CLOSE, failure("unavailable"), failure("outcome_unknown"), stepAnswer()];
  sidecar.script.commit = [CLOSE, failure("unavailable")];
  await order();
  assert.deepEqual(sidecar.methods, ["begin", "step", "step", "step", "step", "commit", "commit", "commit"]);
});

test("a restarted sidecar gets the same saga, also while the program is busy", async () => {
  await registry.saga("create-order", { id: "s1" }, async (saga) => {
    await reserve(saga);
    await sidecar.stop();
    await sidecar.start();
    await until(() => sidecar.params("show").length, "the program is heard again");
    await reserve(saga, "second");
  });
  assert.deepEqual(sidecar.params("show"), [{ saga: `${JOURNAL}.s1`, program: true }]);
  assert.deepEqual(sidecar.methods, ["begin", "step", "step", "commit"]);
});

test("steps may be taken at once", async () => {
  let waiting = 0;
  sidecar.usual.step = async ({ step }) => {
    waiting++;
    await until(() => waiting === 4, "all are there");
    return stepAnswer({ body: JSON.stringify(step.name) });
  };
  const answers = await registry.saga("create-order", {}, (saga) =>
    Promise.all(["a", "b", "c", "d"].map((name) => reserve(saga, name))),
  );
  assert.deepEqual(answers.map((answer) => answer.json()), ["a", "b", "c", "d"]);
  assert.equal(sidecar.accepted, 4);
});

test("a commit without answer is of unknown outcome, and never aborts", async () => {
  sidecar.script.commit = [failure("refused", "no answer is known")];
  await assert.rejects(order(), { name: "OutcomeUnknown", saga: `${JOURNAL}.s1`, message: /sagaOf/ });
  assert.deepEqual(sidecar.methods, ["begin", "step", "commit"]);
  await until(() => sidecar.sockets.size === 0, "the sidecar sees that the program is gone");
});

test("a call is given up once the sidecar is away for long", () => {
  const away = () => new Unreachable("gone");
  const unsent = () => Object.assign(away(), { neverSent: true });
  const call = new ProgramCall("saga-step", {}, 0, 45);
  assert.ok(call.waitAfter(unsent(), 1) > 0);
  assert.equal(call.isLost, false);
  assert.throws(() => call.waitAfter(unsent(), 11), Unreachable);
  assert.ok(call.waitAfter(away(), 12) > 0);
  assert.equal(call.isLost, true);
  assert.ok(call.waitAfter(unsent(), 21) > 0);
  assert.throws(() => call.waitAfter(unsent(), 22), Unreachable);
  assert.throws(() => call.waitAfter(away(), 45), Unreachable);
});

test("sagas share connections, and more than 48 wait", async () => {
  for (let count = 0; count < 3; count++) await order();
  assert.equal(sidecar.accepted, 1);
  await Promise.all(Array.from({ length: 60 }, () => registry.saga("create-order", {}, () => sleep(5))));
  assert.equal(sidecar.accepted, 48);
});

for (const id of ["order.7", `${"g".repeat(32)}.7`]) {
  test(`an id with a dot is not taken for a full name: ${id}`, async () => {
    sidecar.script.show = [story({ saga: `${JOURNAL}.${id}` })];
    assert.ok((await registry.sagaOf(id).wait()).isCommitted);
    assert.deepEqual(sidecar.params("show").map(({ saga }) => saga), [id]);
    assert.deepEqual(sidecar.params("wait").map(({ saga }) => saga), [`${JOURNAL}.${id}`]);
  });
}

test("a saga is asked for by its name or its id", async () => {
  const aborted = { state: "aborted", decision: "abort", reason: "no tea" };
  sidecar.script.show = [story({ steps: [{ name: "reserve", stuck: true }] })];
  sidecar.script.wait = [story(), CLOSE, story(aborted), story({ ...aborted, state: "ended" })];
  const found = await registry.sagaOf("s1").wait({ until: "ended" });
  const { isDecided, isCommitted, isEnded, reason } = found;
  assert.deepEqual([isDecided, isCommitted, isEnded, reason], [true, false, true, "no tea"]);
  assert.deepEqual(new Set(sidecar.params("wait").map(({ saga }) => saga)), new Set([`${JOURNAL}.s1`]));
  sidecar.usual.wait = () => story();
  const late = registry.sagaOf(`${JOURNAL}.s1`).wait({ timeoutMs: 300 });
  await assert.rejects(late, { name: "DeadlineExceeded", message: /not decided after 0.3 s: running/ });
  sidecar.script.show = [story({ steps: [{ name: "reserve", stuck: true }, { name: "pay" }] })];
  assert.deepEqual((await registry.sagaOf("s1").show()).stuck, ["reserve"]);
});

for (const [options, message] of [
  [{ undo: undefined }, /does not say how it is undone/],
  [{ undo: "DELETE /x" }, /METHOD, PATH/],
  [{ undo: { method: "DELETE", path: "/x", url: "/" } }, /has no option url/],
  [{ undo: { method: "DELETE" } }, /a path as text/],
  [{ body: "x" }, /json and body/],
  [{ json: 1n }, /no form in JSON/],
  [{ headers: { a: 1 } }, /headers of step reserve: a 1/],
  [{ unknown: "ignore" }, /"repeat"/],
  [{ timeoutMs: 0 }, /more than 0/],
  [{ needs: "reserve" }, /is no list/],
  [{ optional: "no" }, /neither true nor false/],
  [{ timeout: 5 }, /step has no option timeout/],
]) {
  test(`a wrong step is refused before anything is sent: ${message}`, async () => {
    await assert.rejects(order(options), { name: "BadParams", message });
    assert.deepEqual(sidecar.methods, ["begin", "abort"]);
  });
}

test("json that is deeper than a request may be goes as text", async () => {
  const nested = (levels) => (levels ? { a: [nested(levels - 1)] } : "{input.card}");
  const undo = ["DELETE", PATH, nested(3)];
  await registry.saga("create-order", {}, async (saga) => {
    await saga.step("a", "stock", "PUT", PATH, { json: nested(2), undo: ["DELETE", PATH, nested(1)] });
    await saga.step("b", "stock", "PUT", PATH, { json: nested(20), undo });
    await saga.after("c", "mailer", "POST", "/mails", { json: nested(3) });
  });
  const [plain, deep] = sidecar.params("step").map(({ step }) => step);
  assert.deepEqual([plain.json, plain.undo.json], [nested(2), nested(1)]);
  assert.deepEqual([deep.json_template, deep.undo.json_template].map(JSON.parse), [nested(20), nested(3)]);
  assert.deepEqual([deep.json, deep.undo.json], [undefined, undefined]);
  assert.deepEqual(JSON.parse(sidecar.params("after")[0].step.json_template), nested(3));
});

test("braces of what comes from outside are no templates", () => {
  const given = { a: ["{input.card}", 7, null, true], b: { c: "}{" } };
  assert.deepEqual(literal(given), { a: ["{{input.card}}", 7, null, true], b: { c: "}}{{" } });
});

test("a program whose abort is not heard is warned", async () => {
  sidecar.script.abort = [failure("not_allowed", "of another user")];
  await assert.rejects(
    registry.saga("create-order", {}, () => Promise.reject(new Error("no"))),
    { message: "no" },
  );
  await until(() => warnings.length, "the warning");
  assert.match(warnings[0], /not known to be aborted yet \(of another user\)/);
});

test("sagas with steps at once stay below what a sidecar takes of a process", async () => {
  let most = 0;
  let asked = 0;
  sidecar.usual.step = async () => {
    asked++;
    await until(() => asked >= 48 + 16, "all that may run at once");
    most = Math.max(most, sidecar.sockets.size);
    return stepAnswer();
  };
  const names = ["a", "b", "c", "d"];
  const one = (_, number) =>
    registry.saga("create-order", { id: `s${number}` }, (saga) =>
      Promise.all(names.map((name) => reserve(saga, name))),
    );
  await Promise.all(Array.from({ length: 60 }, one));
  assert.ok(most >= 64 && most <= 112, `${most} connections`);
  assert.equal(sidecar.params("step").length, 240);
  await until(() => sidecar.sockets.size <= 48);
});

const stepOf = (name, options = {}) => ({ name, service: "stock", method: "PUT", path: PATH, undo: UNDO, ...options });

test("a list of steps is taken at once, 16 at a time, and answered in its order", async () => {
  let running = 0;
  let most = 0;
  sidecar.usual.step = async ({ step }) => {
    most = Math.max(most, ++running);
    await until(() => most >= 16, "16 are there");
    await sleep(step.name === "s0" ? 20 : 1);
    running--;
    return stepAnswer({ body: JSON.stringify(step.name) });
  };
  const names = Array.from({ length: 40 }, (_, number) => `s${number}`);
  const answers = await registry.saga("create-order", {}, async (saga) => {
    assert.deepEqual(await saga.steps([]), []);
    return saga.steps(new Set(names.map((name) => stepOf(name, { json: { n: 1 } }))));
  });
  assert.deepEqual(answers.map((answer) => answer.json()), names);
  assert.equal(most, 16);
  const undo = { method: "DELETE", path: PATH };
  const step = { name: "s7", service: "stock", method: "PUT", path: PATH, json: { n: 1 }, undo };
  assert.deepEqual(sidecar.params("step").find((params) => params.step.name === "s7").step, step);
});

test("the first failure of a list of steps is thrown once all have ended", async () => {
  const states = { b: "unknown", c: "refused", d: "refused" };
  let ended = 0;
  sidecar.usual.step = async ({ step: { name } }) => {
    await sleep(name === "b" ? 40 : 1);
    ended++;
    return stepAnswer({ state: states[name] ?? "done", status: states[name] ? 422 : 200 });
  };
  const steps = [stepOf("a"), stepOf("b"), stepOf("c"), stepOf("d", { optional: true }), stepOf("e")];
  const failing = registry.saga("create-order", {}, (saga) => saga.steps(steps));
  await assert.rejects(failing, { name: "StepUnknown", message: /^step b of/ });
  assert.equal(ended, 5);
  assert.deepEqual(sidecar.methods.at(-1), "abort");
});

for (const [steps, message] of [
  [{}, /give a list of/],
  ["ab", /give a list of/],
  [["a"], /steps has 'a': give objects/],
  [[stepOf("a"), stepOf("a")], /two steps are called a/],
  [[stepOf("a"), stepOf("b", { needs: ["a"] })], /step b needs a, which is taken at the same time/],
  [[stepOf("a"), stepOf("b", { undo: undefined })], /does not say how it is undone/],
  [[stepOf("a", { options: {} })], /step has no option options/],
]) {
  test(`a wrong list of steps is refused before anything is sent: ${message}`, async () => {
    const wrong = registry.saga("create-order", {}, (saga) => saga.steps(steps));
    await assert.rejects(wrong, { name: "BadParams", message });
    assert.deepEqual(sidecar.methods, ["begin", "abort"]);
  });
}

test("a list of steps that nobody awaits aborts its saga", async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    sidecar.usual.step = () => failure("decided", "the saga was aborted: its program was in a hurry");
    const hurry = (saga) => void saga.steps([stepOf("a"), stepOf("b")]);
    const hurried = registry.saga("create-order", {}, async (saga) => hurry(saga));
    await assert.rejects(hurried, { name: "SagaAborted", reason: /step of saga.steps is still open: await it/ });
    await until(() => sidecar.methods.filter((method) => method === "step").length === 2, "both were sent");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(unhandled, []);
    assert.ok(!sidecar.methods.includes("commit"));
  } finally {
    process.off("unhandledRejection", note);
  }
});

test("a list of steps is for a saga that is open", async () => {
  const left = await registry.saga("create-order", {}, (saga) => saga);
  await assert.rejects(left.steps([stepOf("a")]), { name: "Refused", message: /is over/ });
});
