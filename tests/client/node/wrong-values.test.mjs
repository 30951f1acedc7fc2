// Options that do not exist and values of the wrong type: each is one plain error at once, without a sidecar.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { client } from "./client.mjs";

const { connect, Reject, Retry } = await client("index.mjs");
const path = join(tmpdir(), "no-such-sidecar-of-wrong-values.sock");
const registry = await connect({ path, timeoutMs: 1 });
const ok = registry.service("ok");
const send = () => 1;
const url = "http://ok.service/";

const WRONG = [
  [() => connect(null), /^connect takes an object of options, and null is none: it has path, /],
  [() => connect({ path: 5 }), /^path 5 is no text/],
  [() => connect({ service: 5 }), /^service 5 is no text/],
  [() => connect({ timeoutMs: "5" }), /^timeoutMs '5' is no number/],
  [() => connect({ timeoutMs: -1 }), /^timeoutMs -1 is not 0 or more/],
  [() => connect({ timeoutMs: NaN }), /^timeoutMs NaN is not 0 or more/],
  [() => connect({ maxStaleMs: 0 }), /^maxStaleMs 0 is not more than 0/],
  [() => connect({ maxStaleMs: "1" }), /^maxStaleMs '1' is no number/],
  [() => connect({ zone: 5 }), /^zone 5 is no text/],
  [() => connect({ ref: 1 }), /^ref 1 is neither true nor false/],
  [() => connect({ tls: null }), /^tls null is no object/],
  [() => registry.service(5), /^the name of a service is a text, and 5 is none/],
  [() => registry.service("ok", { tag: ["v2"] }), /^service has no option tag: it has tags, zone$/],
  [() => registry.service("ok", null), /^service takes an object of options, and null is none/],
  [() => registry.service("ok", { tags: "v2" }), /^tags 'v2' is no list/],
  [() => registry.service("ok", { tags: [5] }), /^tags: the element 5 is no text/],
  [() => registry.service("ok", { zone: 5 }), /^zone 5 is no text/],
  [() => registry.watch("ok", 5), /^callback 5 is no function/],
  [() => registry.watch("ok", send, { tag: ["v2"] }), /^watch has no option tag: it has tags, zone$/],
  [() => registry.register(), /^register takes an object of options, and undefined is none/],
  [() => registry.register({ name: "ok", checks: "ttl:30s" }), /^checks 'ttl:30s' is no list/],
  [() => registry.register({ name: "ok", onTakenOut: 5 }), /^onTakenOut 5 is no function/],
  [() => ok.wait("1"), /^count '1' is no whole number/],
  [() => ok.wait(5, 200), /^wait takes an object of options, and 200 is none: it has timeoutMs$/],
  [() => ok.wait(1, { timeout: 5 }), /^wait has no option timeout: it has timeoutMs$/],
  [() => ok.wait(1, { timeoutMs: "5" }), /^timeoutMs '5' is no number/],
  [() => ok.pick({ keys: "a" }), /^pick has no option keys: it has key, deadlineMs$/],
  [() => ok.pick({ key: 5 }), /^key 5 is no text/],
  [() => ok.pick({ deadlineMs: 0 }), /^deadlineMs 0 is not more than 0/],
  [() => ok.configure({ polices: 1 }), /^configure has no option polices/],
  [() => ok.configure({ caller: 5 }), /^caller 5 is no text/],
  [() => ok.call(5), /^send 5 is no function/],
  [() => ok.call(send, null), /^call takes an object of options, and null is none/],
  [() => ok.call(send, { deadlineMs: "5" }), /^deadlineMs '5' is no number/],
  [() => ok.call(send, { attemptsMax: "5" }), /^attemptsMax '5' is no whole number/],
  [() => ok.call(send, { attemptsMax: 1.5 }), /^attemptsMax 1.5 is no whole number/],
  [() => ok.call(send, { depth: "1" }), /^depth '1' is no whole number/],
  [() => ok.call(send, { depth: -1 }), /^depth -1: give the Gossipreg-Attempt/],
  [() => ok.call(send, { idempotent: "no" }), /^idempotent 'no' is neither true nor false/],
  [() => ok.call(send, { hedge: "no" }), /^hedge 'no' is neither true nor false/],
  [() => registry.fetch(url, {}, { idempotent: "no" }), /^idempotent 'no' is neither true nor false/],
  [() => ok.call(send, { key: 5 }), /^key 5 is no text/],
  [() => ok.call(send, { fallback: 5 }), /^fallback 5 is neither a function nor a Service/],
  [() => registry.fetch(url, {}, { fallback: 5 }), /^fallback 5 is not the name of a service/],
  [() => registry.fetch(url, {}, { fallback: send }), /^fallback \[Function: send\] is not the name of a service/],
  [() => registry.fetch(url, {}, { key: 5 }), /^key 5 is no text/],
  [() => registry.publish(5), /^type 5 is no text: give words with dots/],
  [() => registry.publish("a.b", 1, null), /^publish takes an object of options, and null is none/],
  [() => registry.publish("a.b", 1, { timeout: 5 }), /^publish has no option timeout: it has id, source, key/],
  [() => registry.publish("a.b", 1, { timeoutMs: 0 }), /^timeoutMs 0 is not more than 0/],
  [() => registry.publish("a.b", 1, { timeoutMs: 1e9 }), /^timeoutMs 1000000000 is out of range/],
  [() => registry.publish("a.b", 1, { keepMs: -1 }), /^keepMs -1 is not 0 or more/],
  [() => registry.publish("a.b", 1, { id: 5 }), /^id 5 is no text/],
  [() => registry.publish("a.b", 1, { id: "" }), /^id is empty: leave it out to have one drawn/],
  [() => registry.publish("a.b", 1, { key: null }), /^key null is no text/],
  [() => registry.publish("a.b", 1, { extensions: ["a"] }), /^extensions \[ 'a' \] is no object/],
  [() => registry.publish("a.b", 1, { extensions: { a: 1 } }), /^extensions: a 1 is no text/],
  [() => registry.publish("a.b", 1n), /^data 1n has no form in JSON: /],
  [() => registry.publish("a.b", send), /^data \[Function: send\] has no form in JSON: /],
  [() => registry.subscribe("a.*", { group: "g" }), /^handler undefined is no function/],
  [() => registry.subscribe("a.*", {}, send), /^group is undefined and broadcast is false: give the name of a group/],
  [() => registry.subscribe("a.*", { group: "g", broadcast: true }, send), /^group is 'g' and broadcast is true: /],
  [() => registry.subscribe(5, { group: "g" }, send), /^pattern 5 is no list: give a list of patterns/],
  [() => registry.subscribe([5], { group: "g" }, send), /^pattern: the element 5 is no text/],
  [() => registry.subscribe("a.*", { group: 5 }, send), /^group 5 is no text/],
  [() => registry.subscribe("a.*", { groups: "g" }, send), /^subscribe has no option groups: it has group, window/],
  [() => registry.subscribe("a.*", { group: "g", window: 0 }, send), /^window 0 is no whole number from 1 on/],
  [() => registry.subscribe("a.*", { group: "g", maxAttempts: 1.5 }, send), /^maxAttempts 1.5 is no whole number/],
  [() => registry.subscribe("a.*", { group: "g", onDead: "stop" }, send), /^onDead 'stop' is not known: give/],
  [() => registry.subscribe("a.*", { group: "g", ackTimeoutMs: 0 }, send), /^ackTimeoutMs 0 is not more than 0/],
  [() => registry.events("a.*"), /^events takes an object of options, and undefined is none/],
  [() => registry.events("a.*", { group: "g", broadcast: 1 }), /^broadcast 1 is neither true nor false/],
  [() => registry.events("a.*", { group: "g", past: 1 }), /^past 1 is neither true nor false/],
  [() => registry.events("a.*", { broadcast: true, past: true }), /^a broadcast subscription gets events from now on/],
  [() => new Retry({ after: 5 }), /^Retry has no option after: it has afterMs, reason$/],
  [() => new Retry({ afterMs: "5" }), /^afterMs '5' is no number/],
  [() => new Retry({ afterMs: Infinity }), /^afterMs Infinity is too long: give at most 604800000$/],
  [() => new Reject(5), /^reason 5 is no text/],
];

for (const [wrong, message] of WRONG) {
  test(`${String(wrong).slice(6)} is refused`, async () => {
    await assert.rejects(async () => wrong(), { name: "BadParams", code: "bad_params", message });
  });
}

test("an error of a wrong value is one line, however the value looks", async () => {
  const zone = { text: "a\nb".repeat(200), toString: () => "a\nb", [Symbol("s")]: new Error("c\nd") };
  await assert.rejects(connect({ zone }), ({ message }) => message.length < 1000 && !message.includes("\n"));
});

test("nothing that was refused has asked for a sidecar", () => {
  assert.equal(registry.stats().services, 0);
  registry.close();
});
