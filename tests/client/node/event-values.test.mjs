// Loops over events, and what an event is: a fake sidecar delivers them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "./sidecars.mjs";
import { gate, withFakeSidecar } from "./with-fake-sidecar.mjs";
import { givenTrace, handling, tracedNow } from "../../../gossipreg/client/node/events/handled.mjs";

const now = withFakeSidecar();

test("a loop over events that is left gives back what it did not settle", async () => {
  const seen = [];
  const asked = now.sidecar.stream().then((stream) => {
    for (let n = 0; n < 3; n++) stream.event();
    return stream;
  });
  for await (const event of now.registry.events("order.*", { group: "g" })) {
    seen.push(event.index);
    if (event.index === 2) break;
    event.ack();
    event.reject("too late");
  }
  const stream = await asked;
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(stream.of("ack"), [1]);
  assert.deepEqual(stream.of("retry"), [2]);
  assert.deepEqual(stream.of("give_back"), [3]);
});

test("close ends a loop that waits", async () => {
  const events = now.registry.events("order.*", { group: "g" });
  const waiting = [events.next(), events.next()];
  await now.sidecar.stream();
  await events.close();
  assert.deepEqual(await Promise.all(waiting), [
    { value: undefined, done: true },
    { value: undefined, done: true },
  ]);
});

test("an event of an iterator that was dropped before its turn is left out", async () => {
  const events = now.registry.events("order.*", { group: "g" });
  const stream = await now.sidecar.stream();
  stream.dropped(stream.event());
  stream.event();
  await until(() => events.stats().events === 2);
  assert.equal((await events.next()).value.index, 2);
  await events.close();
});

// -- what an event is -------------------------------------------------------------------------------------------------

test("data is what its content type says", async () => {
  const cases = [
    [{ data: { a: 1 } }, { a: 1 }],
    [{ data: "x", datacontenttype: "text/plain" }, "x"],
    [{ data_base64: "AQI=", datacontenttype: "application/octet-stream" }, Buffer.from([1, 2])],
    [{ data_base64: "eyJhIjoxfQ==", datacontenttype: "application/x+json" }, { a: 1 }],
    [{ data_base64: "6Q==", datacontenttype: 'text/plain; charset="iso-8859-1"' }, "é"],
    [{ data: null, datacontenttype: "application/json" }, null],
    [{}, undefined],
  ];
  const events = now.registry.events("order.*", { group: "g" });
  const stream = await now.sidecar.stream();
  for (const [event] of cases) stream.event({ event });
  for (const [, wanted] of cases) assert.deepEqual((await events.next()).value.data, wanted);
  await events.close();
});

test("data that is not what it says is rejected by its handler", async () => {
  await now.registry.subscribe("order.*", { group: "g" }, ({ data }) => data);
  const stream = await now.sidecar.stream();
  stream.event({ event: { data_base64: "AQI=", datacontenttype: "application/json" } });
  await until(() => stream.said.length === 1);
  assert.match(stream.said[0].params.reason, /^the data is not application\/json: /);
});

test("a handler's events name the one that it handles, and nothing else does", async () => {
  const settled = gate();
  await now.registry.subscribe("order.*", { group: "g" }, async () => {
    await sleep(1);
    await now.registry.publish("mail.sent", 1, { extensions: { a: "b" } });
    await now.registry.publish("mail.sent", 1, { extensions: { correlationid: "own" } });
    settled.open();
  });
  const stream = await now.sidecar.stream();
  stream.event({ event: { traceparent: "00-1-2-01", other: "x" } });
  await settled.passed;
  await now.registry.publish("mail.sent");
  const inherited = { correlationid: "e1", traceparent: "00-1-2-01", causationid: "e1" };
  assert.deepEqual(
    now.sidecar.published.map(({ extensions }) => extensions),
    [{ ...inherited, a: "b" }, { ...inherited, correlationid: "own" }, undefined],
  );
});

test("a handler's events are children of its handling, where the sidecar says which span that is", async () => {
  const settled = gate();
  const seen = [];
  await now.registry.subscribe("order.*", { group: "g" }, async (event) => {
    seen.push([event.traceparent, event.tracestate]);
    await now.registry.publish("mail.sent");
    await now.registry.publish("mail.sent", 1, { extensions: { traceparent: "00-own" } });
    settled.open();
  });
  const stream = await now.sidecar.stream();
  stream.event({ traceparent: "00-3-4-01", tracestate: "a=1", event: { traceparent: "00-1-2-01", tracestate: "b=2" } });
  await settled.passed;
  assert.deepEqual(seen, [["00-3-4-01", "a=1"]]);
  const [first, second] = now.sidecar.published.map(({ extensions }) => extensions);
  assert.deepEqual([first.traceparent, first.tracestate], ["00-3-4-01", "a=1"]);
  assert.deepEqual([second.traceparent, second.tracestate], ["00-own", undefined]);
});

test("event.run does in a loop what a handler does", async () => {
  const events = now.registry.events("order.*", { group: "g" });
  (await now.sidecar.stream()).event({ event: { correlationid: "c" } });
  const { value: event } = await events.next();
  const { id } = await event.run(() => now.registry.publish("mail.sent"));
  assert.deepEqual(now.sidecar.published[0].extensions, { correlationid: "c", causationid: "e1" });
  assert.equal(now.sidecar.published[0].id, id);
  await events.close();
});

test("what follows from a handling has its trace, if that has its form", () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  assert.deepEqual(handling({ traceparent }, tracedNow), { traceparent });
  assert.deepEqual(handling({ traceparent, tracestate: "a=1" }, tracedNow), { traceparent, tracestate: "a=1" });
  assert.deepEqual(handling({ traceparent, tracestate: "a=1" }, () => givenTrace("mine")), { traceparent: "mine" });
  assert.deepEqual(givenTrace("mine", "b=2"), { traceparent: "mine", tracestate: "b=2" });
  assert.deepEqual(handling({ traceparent: "00-1-2-01", tracestate: "a=1" }, tracedNow), {});
  assert.deepEqual(tracedNow(), {});
});
