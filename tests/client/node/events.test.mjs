// Events between programs of Node.js, over real sidecars.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { client } from "./client.mjs";
import { Sidecar, until } from "./sidecars.mjs";

const { connect, Reject, Retry } = await client("index.mjs");
const data = mkdtempSync(join(tmpdir(), "gr-data-"));
const TIMEOUT = { timeoutMs: 60_000 };

let sidecar;
let registry;
let number = 0;

before(async () => {
  sidecar = await new Sidecar("e", "--data-dir", data, "--host-id", "host-e", "--profile", "local").start();
  registry = await connect({ path: sidecar.socket, timeoutMs: 60_000 });
});

after(async () => {
  registry.close();
  await Sidecar.endAll();
  rmSync(data, { recursive: true, force: true });
});

/** A type of events of its own for each test. */
function type() {
  return `test${++number}.created`;
}

/** Publish until a group gets it: the journal has to know the group first. */
async function publish(type, value, options = {}) {
  return registry.publish(type, value, { ...TIMEOUT, ...options });
}

async function groups() {
  return (await registry.call("events-groups")).groups;
}

test("an event comes to each group once, with its data and attributes", async () => {
  const kind = type();
  const got = { stock: [], mail: [] };
  const subscriptions = [];
  for (const group of ["stock", "mail"]) {
    const handler = (event) => void got[group].push(event);
    subscriptions.push(await registry.subscribe(`${kind.split(".")[0]}.*`, { group }, handler));
  }
  const options = { key: "k", subject: "u", extensions: { shard: "7" } };
  const published = await publish(kind, { id: 7, name: "é" }, options);
  assert.deepEqual(
    { ...published, id: "" },
    { id: "", source: "e", copies: 1, takeover: false, duplicate: false, groups: 2 },
  );
  await until(() => got.stock.length && got.mail.length);
  const [event] = got.stock;
  assert.deepEqual(event.data, { id: 7, name: "é" });
  const { id, source, key, subject, group, attempt, datacontenttype, extensions } = event;
  assert.deepEqual(
    { id, source, key, subject, group, attempt, datacontenttype, extensions },
    {
      ...{ id: published.id, source: "e", key: "k", subject: "u", group: "stock", attempt: 1 },
      ...{ datacontenttype: "application/json", extensions: { partitionkey: "k", shard: "7" } },
    },
  );
  assert.match(event.time, /^\d{4}-.*Z$/);
  assert.ok(event.journal && event.index > 0);
  await until(async () => (await groups()).every(({ pending }) => pending === 0));
  assert.deepEqual([got.stock.length, got.mail.length], [1, 1]);
  for (const subscription of subscriptions) await subscription.close();
});

test("bytes, texts, values and nothing come as they went", async () => {
  const kind = type();
  const events = registry.events(kind, { group: `g-${kind}` });
  await until(() => events.stats().connected);
  const sent = [Buffer.from([0, 255, 10]), "tëxt", [1, null, "a"], undefined, null, Number.MAX_SAFE_INTEGER];
  for (const value of sent) await publish(kind, value, { key: "k" });
  for (const value of sent) {
    const { value: event } = await events.next();
    assert.deepEqual(event.data, value);
    event.ack();
  }
  await events.close();
});

test("the same event twice counts once, and another with its id is a conflict", async () => {
  const kind = type();
  const first = await publish(kind, 1, { id: `id-${kind}` });
  const again = await publish(kind, 1, { id: `id-${kind}` });
  assert.deepEqual([first.duplicate, again.duplicate], [false, true]);
  await assert.rejects(publish(kind, 2, { id: `id-${kind}` }), { name: "Conflict", code: "conflict" });
});

test("a handler that fails gets the event again, and a rejected one is a dead letter", async () => {
  const kind = type();
  const group = `g-${kind}`;
  const attempts = [];
  const subscription = await registry.subscribe(kind, { group }, ({ attempt }) => {
    attempts.push(attempt);
    if (attempt === 1) throw new Retry({ afterMs: 10, reason: "not yet" });
    throw new Reject("no such customer");
  });
  const { id } = await publish(kind);
  const letter = await until(async () => (await registry.call("events-dead", { group })).letters[0]);
  assert.deepEqual(attempts, [1, 2]);
  assert.deepEqual([letter.id, letter.reason, letter.attempts], [id, "no such customer", 2]);
  await subscription.close();
});

test("a handler may take longer than ackTimeoutMs", async () => {
  const kind = type();
  const group = `g-${kind}`;
  let calls = 0;
  const subscription = await registry.subscribe(kind, { group, ackTimeoutMs: 300 }, async () => {
    calls++;
    const until = performance.now() + 1200;
    while (performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  await publish(kind);
  await until(async () => {
    const found = (await groups()).find((one) => one.group === group);
    return found !== undefined && found.pending === 0;
  });
  assert.equal(calls, 1);
  await subscription.close();
});

test("an event of a handler tells what caused it", async () => {
  const kind = type();
  const followed = [];
  const follow = (event) => void followed.push(event);
  const second = await registry.subscribe(`${kind}.mailed`, { group: `h-${kind}` }, follow);
  const first = await registry.subscribe(kind, { group: `g-${kind}` }, () => publish(`${kind}.mailed`));
  const { id } = await publish(kind);
  const [event] = await until(() => followed.length && followed);
  assert.deepEqual([event.causationid, event.correlationid], [id, id]);
  const trace = await registry.call("events-trace", { correlation: id });
  assert.ok(trace.handled.some((one) => one.id === event.id && one.causation === id));
  await first.close();
  await second.close();
});

test("broadcast comes to everybody who subscribes", async () => {
  const kind = type();
  const got = [];
  const subscriptions = [];
  for (const name of ["a", "b"]) {
    const handler = (event) => void got.push([name, event.data, event.group]);
    subscriptions.push(await registry.subscribe(kind, { broadcast: true }, handler));
  }
  await until(async () => {
    await publish(kind, "x");
    return got.some(([name]) => name === "a") && got.some(([name]) => name === "b");
  });
  assert.deepEqual(got[0].slice(1), ["x", ""]);
  for (const subscription of subscriptions) await subscription.close();
});

test("events of one key come in their order, one after the other", async () => {
  const kind = type();
  const got = [];
  let running = 0;
  const subscription = await registry.subscribe(kind, { group: `g-${kind}` }, async ({ data }) => {
    assert.equal(++running, 1);
    await new Promise((resolve) => setTimeout(resolve, 1));
    got.push(data);
    running--;
  });
  const all = Array.from({ length: 40 }, (_, n) => n);
  for (const n of all) await publish(kind, n, { key: "k" });
  await until(() => got.length === all.length);
  assert.deepEqual(got, all);
  await subscription.close();
});

test("wrong patterns and groups are refused by the sidecar", async () => {
  await assert.rejects(
    registry.subscribe("a..b", { group: "g" }, () => {}),
    { name: "BadParams", code: "bad_params" },
  );
  await assert.rejects(registry.events("a.*", { group: "" }).next(), { code: "bad_params" });
  await assert.rejects(publish("a..b"), { code: "bad_params" });
  const tooLarge = { code: "too_large", message: /at most 196608 fit .* publish where the data is/ };
  const large = ["x".repeat(200_000), "\u00e9".repeat(99_000), new Uint8Array(5_000_000), [1, "x".repeat(196_608)]];
  for (const data of large) {
    await assert.rejects(publish("a.b", data), tooLarge);
  }
});

test("numbers that JSON does not have are not published as null", async () => {
  for (const data of [NaN, { total: Infinity }, [[-Infinity]]]) {
    await assert.rejects(publish("a.b", data), { code: "bad_params", message: /JSON does not have/ });
  }
});

test("a sidecar without a disk publishes nothing, and says what to do", async () => {
  const bare = await new Sidecar("bare", "--profile", "local").start();
  const other = await connect({ path: bare.socket });
  await assert.rejects(other.publish("a.b"), {
    ...{ name: "NoDataDirectory", code: "no_data_directory" },
    message: "this sidecar has no disk to publish to: start it with --data-dir DIR",
  });
  other.close();
  await bare.kill();
});

test("events and their handlers outlive a sidecar that is killed", async () => {
  const kind = type();
  const group = `g-${kind}`;
  const got = new Set();
  const subscription = await registry.subscribe(kind, { group }, ({ id }) => void got.add(id));
  const before = [];
  for (let n = 0; n < 20; n++) before.push((await publish(kind, n)).id);
  const during = Array.from({ length: 20 }, (_, n) => publish(kind, n));
  await sidecar.kill();
  const restarted = sidecar.start();
  const all = [...before, ...(await Promise.all(during)).map(({ id }) => id)];
  await restarted;
  await until(() => all.every((id) => got.has(id)));
  assert.ok(subscription.stats().losses >= 1);
  await subscription.close();
});
