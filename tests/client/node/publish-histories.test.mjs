// Publishes whose answers are lost, late or refused: a fake sidecar says what happens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { client } from "./client.mjs";
import { FakeSidecar } from "./fake-sidecar.mjs";
import { until } from "./sidecars.mjs";
import { withFakeSidecar } from "./with-fake-sidecar.mjs";

const { connect } = await client("index.mjs");
const now = withFakeSidecar();

test("a publish whose answer is lost is sent again with its id", async () => {
  const { answer } = FakeSidecar;
  now.sidecar.onPublish = (params, response, number) => {
    if (number < 3) response.socket.destroy();
    else answer(response, { id: params.id, source: "x", copies: 1, takeover: false, duplicate: true, groups: 2 });
  };
  const published = await now.registry.publish("order.created", { n: 1 });
  const ids = new Set(now.sidecar.published.map(({ id }) => id));
  assert.deepEqual([now.sidecar.published.length, ids.size], [3, 1]);
  assert.deepEqual(published, {
    ...{ id: [...ids][0], source: "x", copies: 1, takeover: false, duplicate: true, groups: 2 },
  });
});

test("a publish that no sidecar answers is of unknown outcome", async () => {
  now.sidecar.onPublish = () => {};
  await assert.rejects(now.registry.publish("order.created", "x", { id: "mine", timeoutMs: 1000 }), {
    code: "outcome_unknown",
    message: /^the event may be published or not: no answer within 1 s; publish it again with the id mine, it counts/,
  });
});

test("a lost answer and then a refusal leave the outcome unknown", async () => {
  now.sidecar.onPublish = (params, response, number) => {
    if (number === 1) response.socket.destroy();
    else FakeSidecar.refuse(response, "no_data_directory", "no disk", 403);
  };
  await assert.rejects(now.registry.publish("order.created"), { code: "outcome_unknown", message: /\(no disk\)$/ });
});

test("a conflict counts, whatever was lost before", async () => {
  now.sidecar.onPublish = (params, response, number) => {
    if (number === 1) response.socket.destroy();
    else FakeSidecar.refuse(response, "conflict", "another event has this id", 409);
  };
  await assert.rejects(now.registry.publish("order.created"), { name: "Conflict", code: "conflict" });
});

test("a publish that was certainly not sent says so, and not that it may be published", async () => {
  await now.sidecar.stop();
  const refused = now.registry.publish("order.created", "x", { timeoutMs: 200 });
  await assert.rejects(refused, { name: "Unreachable", message: /^no sidecar answers on / });
  await now.sidecar.start();
});

test("a publish waits for a sidecar that is started again", async () => {
  await now.registry.publish("order.created");
  await now.sidecar.stop();
  const published = now.registry.publish("order.created");
  await sleep(100);
  await now.sidecar.start();
  await published;
  assert.equal(now.sidecar.published.length, 2);
});

test("a refusal that may pass is tried again, and others are thrown at once", async () => {
  now.sidecar.onPublish = (params, response, number) => {
    if (number < 3) FakeSidecar.refuse(response, number === 1 ? "unavailable" : "busy");
    else FakeSidecar.refuse(response, "journal_full", "group mail", 507);
  };
  await assert.rejects(now.registry.publish("order.created"), { name: "JournalFull", message: "group mail" });
  assert.equal(now.sidecar.published.length, 3);
});

test("what a publish cannot do by its timeout is the error of its last refusal", async () => {
  now.sidecar.onPublish = (params, response) => FakeSidecar.refuse(response, "unavailable", "nobody leads");
  await assert.rejects(now.registry.publish("order.created", 1, { timeoutMs: 1000 }), { name: "Unavailable" });
  assert.ok(now.sidecar.published.length > 0, "on a busy machine the first refusal may be the last");
});

test("the sidecar is told to answer before the client gives up", async () => {
  await now.registry.publish("order.created", 1, { timeoutMs: 2000 });
  await now.registry.publish("order.created", 1, { timeoutMs: 60_000 });
  const [short, long] = now.sidecar.published.map(({ timeout }) => timeout);
  assert.ok(short > 0 && short <= 1.8, `${short}: a busy machine takes of the 2 s`);
  assert.ok(long > 30 && long <= 59.75, String(long));
});

test("data goes out as bytes, text or JSON, and the options by their names", async () => {
  const bytes = new Uint8Array([9, 1, 2, 255]).subarray(1);
  const given = [bytes, bytes.slice().buffer, "text", { a: [1] }, null, undefined];
  for (const data of given) await now.registry.publish("order.created", data);
  const sent = now.sidecar.published.map((sent) => [sent.data, sent.data_base64, sent.datacontenttype]);
  assert.deepEqual(sent, [
    [undefined, "AQL/", undefined],
    [undefined, "AQL/", undefined],
    ["text", undefined, undefined],
    ['{"a":[1]}', undefined, "application/json"],
    ["null", undefined, "application/json"],
    [undefined, undefined, undefined],
  ]);
  const attributes = { id: "i", source: "s", key: "k", subject: "u", datacontenttype: "application/x+json" };
  const more = { extensions: { a: "b" }, keepMs: 1500, time: undefined };
  await now.registry.publish("order.created", 1, { ...attributes, ...more });
  const { timeout, ...last } = now.sidecar.published.at(-1);
  assert.deepEqual(last, { type: "order.created", data: "1", ...attributes, extensions: { a: "b" }, keep: 1.5 });
});

test("the service of the program is the source of its events", async () => {
  const shop = await connect({ path: now.sidecar.path, service: "shop" });
  await shop.publish("order.created");
  await shop.publish("order.created", 1, { source: "other" });
  assert.deepEqual(
    now.sidecar.published.map(({ source }) => source),
    ["shop", "other"],
  );
  shop.close();
});

test("many publishes at once share 48 connections", async () => {
  const waiting = [];
  now.sidecar.onPublish = (params, response) => waiting.push([params, response]);
  const all = Array.from({ length: 100 }, (_, n) => now.registry.publish("order.created", n));
  await until(() => waiting.length === 48);
  await sleep(50);
  assert.equal(waiting.length, 48, "the others wait");
  const answerAll = () => {
    for (const [{ id }, response] of waiting.splice(0)) {
      FakeSidecar.answer(response, { id, source: "x", copies: 1, takeover: false, duplicate: false, groups: 0 });
    }
  };
  now.sidecar.onPublish = (params, response) => {
    waiting.push([params, response]);
    answerAll();
  };
  answerAll();
  const ids = (await Promise.all(all)).map(({ id }) => id);
  assert.equal(new Set(ids).size, 100);
});

