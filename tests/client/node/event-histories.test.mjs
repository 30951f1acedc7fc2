// Events when connections break and handlers are slow: a fake sidecar says what happens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { client } from "./client.mjs";
import { FakeSidecar } from "./fake-sidecar.mjs";
import { until } from "./sidecars.mjs";
import { gate, withFakeSidecar } from "./with-fake-sidecar.mjs";

const { Reject, Retry, connect } = await client("index.mjs");
const now = withFakeSidecar();

test("what the promise of a handler does decides", async () => {
  const outcomes = [
    () => 1,
    () => Promise.reject(new Reject("no such customer")),
    () => Promise.reject(new Retry({ afterMs: 1500, reason: "later" })),
    () => {
      throw new RangeError("a bug\nof two lines");
    },
  ];
  await now.registry.subscribe("order.*", { group: "g" }, ({ index }) => outcomes[index - 1]());
  const stream = await now.sidecar.stream();
  for (const _ of outcomes) stream.event();
  await until(() => stream.said.length === 4);
  const said = Object.fromEntries(stream.said.map(({ method, params }) => [`${params.delivery}`, [method, params]]));
  assert.deepEqual(said, {
    1: ["ack", { delivery: [1] }],
    2: ["reject", { delivery: 2, reason: "no such customer" }],
    3: ["retry", { delivery: 3, reason: "later", after: 1.5 }],
    4: ["retry", { delivery: 4, reason: "RangeError: a bug" }],
  });
  await until(() => now.warnings.length === 1);
  assert.match(now.warnings[0], /^the handler of order\.\* \(group g\) failed at order.created e4, attempt 1; .*Range/);
});

test("a reason goes out as a sidecar takes it, whatever an error says", async () => {
  await now.registry.subscribe("order.*", { group: "g" }, () => {
    throw new Reject(`\ud800${"x".repeat(510)}\u{1f600}`);
  });
  const stream = await now.sidecar.stream();
  stream.event();
  await until(() => stream.said.length === 1);
  assert.equal(stream.said[0].params.reason, `\ufffd${"x".repeat(510)}\ufffd`);
});

test("options of a subscription go out by their names", async () => {
  const options = { group: "g", window: 3, onDead: "hold", maxAttempts: 4, ackTimeoutMs: 1500, past: true };
  await now.registry.subscribe(["a.*", "b.>"], options, () => {});
  const iterator = now.registry.events("a.*", { broadcast: true });
  const wanted = { group: "g", window: 3, on_dead: "hold", max_attempts: 4, ack_timeout: 1.5, past: true };
  assert.deepEqual((await now.sidecar.stream(0)).params, { pattern: ["a.*", "b.>"], ...wanted });
  const broadcast = { pattern: ["a.*"], broadcast: true, window: 64, ack_timeout: 30 };
  assert.deepEqual((await now.sidecar.stream(1)).params, broadcast);
  await iterator.close();
});

test("acknowledgements that come together go out together", async () => {
  const end = gate();
  const subscription = await now.registry.subscribe("order.*", { group: "g", window: 200 }, () => end.passed);
  const stream = await now.sidecar.stream();
  for (let n = 0; n < 150; n++) stream.event();
  await until(() => subscription.stats().running === 150);
  end.open();
  await until(() => stream.of("ack").length === 150);
  assert.deepEqual(
    stream.said.map(({ params }) => params.delivery.length),
    [64, 64, 22],
  );
});

test("an acknowledgement waits for others only for a moment", async () => {
  const end = gate();
  await now.registry.subscribe("order.*", { group: "g" }, ({ index }) => (index === 1 ? end.passed : null));
  const stream = await now.sidecar.stream();
  stream.event();
  stream.event();
  await until(() => stream.of("ack").includes(2));
  assert.deepEqual(stream.of("ack"), [2]);
  end.open();
  await until(() => stream.of("ack").includes(1));
});

test("a handler that runs is renewed at a third of its time, and only while it runs", async () => {
  const end = gate();
  const options = { group: "g", ackTimeoutMs: 150 };
  const handler = ({ index }) => (index === 1 ? end.passed : null);
  const subscription = await now.registry.subscribe("order.*", options, handler);
  const stream = await now.sidecar.stream();
  stream.event();
  stream.event();
  await until(() => stream.of("renew").length >= 3);
  assert.deepEqual(new Set(stream.of("renew")), new Set([1]));
  end.open();
  await until(() => stream.of("ack").includes(1));
  const renewals = stream.of("renew").length;
  await sleep(200);
  assert.equal(stream.of("renew").length, renewals);
  await subscription.close();
});

test("a lost connection subscribes again, and what ends later is not said there", async () => {
  const end = gate();
  const handled = [];
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, async ({ index, attempt }) => {
    handled.push([index, attempt]);
    if (attempt === 1) await end.passed;
  });
  const first = await now.sidecar.stream();
  first.event({ index: 7 });
  await until(() => handled.length === 1);
  first.break();
  const second = await now.sidecar.stream(1);
  assert.deepEqual(second.params, first.params);
  second.event({ index: 8, attempt: 2 });
  await until(() => second.of("ack").length === 1);
  assert.deepEqual(second.of("ack"), [1], "of the second connection");
  end.open();
  await sleep(50);
  assert.equal(second.said.length, 1);
  assert.deepEqual(handled, [
    [7, 1],
    [8, 2],
  ]);
  const { connects, losses, connected } = subscription.stats();
  assert.deepEqual([connects, losses, connected], [2, 1, true]);
  await until(() => now.warnings.length === 2);
  assert.match(now.warnings[0], /has no connection, and tries again: the sidecar on .* (closed|broke) the connection/);
  assert.match(now.warnings[1], /is connected$/);
});

test("an event that comes again while its handler runs is handled once", async () => {
  const end = gate();
  let calls = 0;
  await now.registry.subscribe("order.*", { group: "g" }, async () => {
    calls++;
    await end.passed;
  });
  const first = await now.sidecar.stream();
  first.event({ index: 7 });
  await until(() => calls === 1);
  first.break();
  const second = await now.sidecar.stream(1);
  second.event({ index: 7, attempt: 2 });
  await sleep(50);
  assert.equal(calls, 1);
  end.open();
  await until(() => second.of("ack").length === 1);
  assert.equal(calls, 1);
});

test("the next event of a key waits for the handler of the former connection", async () => {
  const end = gate();
  const began = [];
  await now.registry.subscribe("order.*", { group: "g" }, async ({ index }) => {
    began.push(index);
    if (index === 7) await end.passed;
  });
  const first = await now.sidecar.stream();
  first.event({ index: 7, event: { partitionkey: "k" } });
  await until(() => began.length === 1);
  first.break();
  const second = await now.sidecar.stream(1);
  second.event({ index: 8, event: { partitionkey: "k" } });
  second.event({ index: 9, event: { partitionkey: "other" } });
  await until(() => second.of("ack").length === 1);
  assert.deepEqual(began, [7, 9]);
  end.open();
  await until(() => second.of("ack").length === 2);
  assert.deepEqual(began, [7, 9, 8]);
});

test("an event whose time is over is not settled, and is warned of", async () => {
  const end = gate();
  await now.registry.subscribe("order.*", { group: "g" }, () => end.passed);
  const stream = await now.sidecar.stream();
  stream.dropped(stream.event());
  await until(() => now.warnings.length === 1);
  assert.match(now.warnings[0], /^the event order.created e1 of s has taken too long: /);
  end.open();
  await sleep(50);
  assert.deepEqual(stream.said, []);
});

test("a refusal of what was said is warned of, and ends nothing", async () => {
  await now.registry.subscribe("order.*", { group: "g" }, () => {});
  const stream = await now.sidecar.stream();
  stream.answers = false;
  stream.event();
  await until(() => stream.said.length === 1);
  stream.line({ refused: { code: "not_found", message: "no such delivery" } });
  await until(() => now.warnings.length === 1);
  assert.match(now.warnings[0], /refused what the subscription of .* said: no such delivery$/);
  stream.event();
  await until(() => stream.said.length === 2);
  assert.equal(now.sidecar.streams.length, 1);
});

test("a broadcast has at most a window of events at a time, and drops the rest", async () => {
  const end = gate();
  const handled = [];
  const options = { broadcast: true, window: 2 };
  const subscription = await now.registry.subscribe("order.*", options, async ({ index, group }) => {
    handled.push([index, group]);
    await end.passed;
  });
  const stream = await now.sidecar.stream();
  for (let index = 1; index <= 4; index++) stream.event({ delivery: 0, index, group: "" });
  await until(() => subscription.stats().events === 4);
  assert.equal(subscription.stats().left_out, 2);
  end.open();
  await until(() => subscription.stats().running === 0);
  stream.event({ delivery: 0, index: 5, group: "" });
  await until(() => handled.length === 3);
  assert.deepEqual(handled, [
    [1, ""],
    [2, ""],
    [5, ""],
  ]);
  assert.deepEqual(stream.said, []);
});

// -- beginnings and ends ----------------------------------------------------------------------------------------------

test("a subscription that the sidecar refuses is an error", async () => {
  now.sidecar.onSubscribe = ({ response }) => FakeSidecar.refuse(response, "bad_params", "pattern is wrong", 400);
  const wrong = now.registry.subscribe("order..", { group: "g" }, () => {});
  await assert.rejects(wrong, { name: "BadParams", message: "pattern is wrong" });
  await assert.rejects(now.registry.events("order..", { group: "g" }).next(), { message: "pattern is wrong" });
});

test("a sidecar that refuses for now, or is silent, is tried again", async () => {
  now.sidecar.onSubscribe = (stream, number) => {
    if (number === 1) FakeSidecar.refuse(stream.response, "busy", "too many");
    else if (number > 2) stream.accept(); // the second gets no answer
  };
  let handled = 0;
  now.registry.close();
  now.registry = await connect({ path: now.sidecar.path, timeoutMs: 1000 });
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, () => handled++);
  assert.equal(subscription.isOpen, false);
  (await now.sidecar.stream(2)).event();
  await until(() => handled === 1);
  assert.equal(subscription.isOpen, true);
  assert.deepEqual(
    now.warnings.map((what) => /(too many|no answer within 1 s|is connected)/.exec(what)?.[0]),
    ["too many", "no answer within 1 s", "is connected"],
  );
});

test("close waits for handlers that run, and gives back what none has begun", async () => {
  const end = gate();
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, () => end.passed);
  const stream = await now.sidecar.stream();
  stream.event({ event: { partitionkey: "k" } });
  stream.event({ event: { partitionkey: "k" } });
  await until(() => subscription.stats().events === 2);
  let isClosed = false;
  const closed = subscription.close().then(() => (isClosed = true));
  await until(() => stream.of("give_back").length === 1);
  assert.deepEqual(stream.said, [
    { method: "unsubscribe", params: { subscription: 1 } },
    { method: "give_back", params: { delivery: [2] } },
  ]);
  stream.event();
  await until(() => stream.of("give_back").includes(3), "nothing is begun any more");
  assert.equal(isClosed, false);
  end.open();
  await closed;
  assert.deepEqual(stream.of("ack"), [1]);
});

test("close gives up a handler that does not end in time", async () => {
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, () => new Promise(() => {}));
  const stream = await now.sidecar.stream();
  stream.event();
  await until(() => subscription.stats().running === 1);
  await subscription.close({ timeoutMs: 50 });
  const params = { delivery: 1, reason: "the program ended while it was handled" };
  const left = { method: "unsubscribe", params: { subscription: 1 } };
  await until(() => stream.said.length === 2);
  assert.deepEqual(stream.said, [left, { method: "retry", params }]);
  assert.equal(subscription.isOpen, false);
});

test("a handler that closes its own subscription does not wait for itself", async () => {
  const done = gate();
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, async () => {
    await subscription.close();
    done.open();
  });
  const stream = await now.sidecar.stream();
  stream.event();
  await done.passed;
  await until(() => stream.of("ack").length === 1);
  await subscription.close();
});

test("close does not wait for a sidecar that reads no last words", async () => {
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, () => {});
  const stream = await now.sidecar.stream();
  stream.answers = false;
  stream.event();
  await until(() => stream.of("ack").length === 1);
  const began = performance.now();
  await subscription.close();
  assert.ok(performance.now() - began >= 900);
});

test("a subscription without a connection is closed at once", async () => {
  await now.sidecar.stop();
  const subscription = await now.registry.subscribe("order.*", { group: "g" }, () => {});
  await subscription.close();
  await now.sidecar.start();
  await sleep(150);
  assert.equal(now.sidecar.streams.length, 0);
  assert.equal(now.warnings.length, 1);
});

