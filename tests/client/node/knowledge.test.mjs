// Traces of what the Python client believes (knowledge_traces.py), which the Node client must believe too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { client } from "./client.mjs";

const { instanceUntrusted } = await client("instance.mjs");
const { KnownService } = await client("watching/known.mjs");
const { SidecarTrust, stateUntrusted } = await client("watching/state.mjs");

const { known, trust } = JSON.parse(readFileSync(process.env.TRACES, "utf8"));

test("there are traces", () => assert.ok(known.length > 0 && trust.length > 0));

const finite = (number) => (number === Infinity ? null : number);

function whatIsKnown(service) {
  const snapshot = service.snapshot();
  return {
    settled: service.settled,
    due: finite(service.due()),
    unconfirmed: [...service.unconfirmed()].sort(),
    members: [...service.members()].sort(),
    snapshot: snapshot && {
      all: snapshot.all.map((one) => [one.node, one.id, one.version[1], one.health, one.stale]),
      passing: snapshot.instances.map((one) => [one.node, one.id]),
      staleSince: snapshot.staleSince,
      complete: snapshot.complete,
    },
  };
}

function step(service, event) {
  switch (event.do) {
    case "current":
      return service.current(event.instances.map(instanceUntrusted));
    case "settle":
      return service.settle(new Set(event.unmet), event.at);
    case "put":
      return service.put(instanceUntrusted(event.instance));
    case "remove":
      return service.remove(instanceUntrusted(event.instance), event.believed);
    case "time":
      return assert.equal(service.passTime(event.at), event.dropped);
    default:
      return service[event.call](event.at);
  }
}

for (const trace of known) {
  test(`the snapshot is that of Python: ${trace.name}`, () => {
    const service = new KnownService("web");
    trace.events.forEach((event, number) => {
      step(service, event);
      assert.deepEqual(whatIsKnown(service), event.expect, `event ${number}, ${event.do}`);
    });
  });
}

function howMuch(trust) {
  return {
    level: trust.level,
    due: finite(trust.due),
    whyNot: trust.whyNot,
    cluster: trust.cluster,
    isStranger: trust.isStranger,
    other: trust.isOfAnotherCluster,
    believed: trust.believed && [trust.believed.run, trust.believed.node],
  };
}

for (const trace of trust) {
  test(`the sidecar is believed as in Python: ${trace.name}`, () => {
    const trust = new SidecarTrust(trace.maxStaleS);
    trace.events.forEach((event, number) => {
      if (event.do === "said") trust.said(stateUntrusted(event.state), event.at);
      else trust[event.do === "time" ? "passTime" : event.do](event.at);
      assert.deepEqual(howMuch(trust), event.expect, `event ${number}, ${event.do}`);
    });
  });
}
