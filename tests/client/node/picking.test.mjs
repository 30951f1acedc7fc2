// Traces of the Python core (picking_traces.py), which the core of the Node client must follow step by step.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { client } from "./client.mjs";
import { assertNear, xorshift32 } from "./numbers.mjs";

const { Resilience } = await client("picking/resilience.mjs");
const { callOptions, pickOptions } = await client("picking/options.mjs");
const { outcome } = await client("picking/outcomes.mjs");

class Replay {
  picks = new Map();
  calls = new Map();
  attempts = new Map();

  constructor({ seed, options }) {
    this.core = new Resilience("web", pickOptions(options), xorshift32(seed));
  }

  do(event) {
    try {
      return this[event.do](event) ?? null;
    } catch (error) {
      if (error.code === undefined || error instanceof assert.AssertionError) throw error;
      const call = this.calls.get(event.call);
      return { error: error.code, ...(event.do === "next" ? { why: call.why } : {}) };
    }
  }

  update({ instances, at }) {
    const list = instances.map((one) => ({ ...one, key: `${one.node}\0${one.id}` }));
    this.core.balancer.update(list, at);
  }

  set_callers({ callers }) {
    this.core.balancer.setCallers(new Map(Object.entries(callers)));
  }

  pick({ pick: label, key, at }) {
    const pick = this.core.pick(at, { key, deadlineS: 2 });
    this.picks.set(label, pick);
    return picked(pick);
  }

  answered({ pick, at }) {
    this.core.balancer.answered(this.picks.get(pick), at);
  }

  pick_ended({ pick, outcome: shape, load, at }) {
    this.core.pickEnded(this.picks.get(pick), outcome(shape.kind, shape), at, load);
  }

  abandon({ pick }) {
    this.core.balancer.abandon(this.picks.get(pick));
  }

  begin({ call, options, key, at }) {
    this.calls.set(call, this.core.begin(callOptions(options), at, key));
    return {};
  }

  next({ call: label, attempt: name, at }) {
    const call = this.calls.get(label);
    const attempt = call.nextAttempt(at);
    this.attempts.set(name, attempt);
    return { ...begun(attempt), hedge_at: call.hedgeAt(attempt, at) };
  }

  hedge({ call, attempt: name, at }) {
    const attempt = this.calls.get(call).hedge(at);
    this.attempts.set(name, attempt);
    return attempt && begun(attempt);
  }

  ended({ call: label, attempt, outcome: shape, load, at }) {
    const call = this.calls.get(label);
    const after = call.ended(this.attempts.get(attempt), outcome(shape.kind, shape), at, load);
    return { after, why: call.why, retry_at: call.retryAt, over: call.isOver };
  }

  close({ call, at }) {
    this.calls.get(call).close(at);
  }

  may_fall_back({ call, at }) {
    return this.calls.get(call).mayFallBack(at);
  }
}

function picked({ instance, probe, critical }) {
  return { id: instance.id, probe, critical };
}

function begun(attempt) {
  const { number, timeoutS: timeout_s, connectTimeoutS: connect_timeout_s } = attempt;
  return { ...picked(attempt.pick), number, timeout_s, connect_timeout_s, headers: attempt.headers() };
}

const { picking } = JSON.parse(readFileSync(process.env.TRACES, "utf8"));

test("there are traces", () => assert.ok(picking.length > 0));

for (const trace of picking) {
  test(`the core decides as in Python: ${trace.name}, ${trace.options.policy}`, () => {
    const replay = new Replay(trace);
    trace.events.forEach((event, number) => {
      assertNear(replay.do(event), event.expect, `event ${number}, ${event.do} at ${event.at}`);
    });
    assertNear(replay.core.stats(), trace.end.stats, "stats at the end");
    assertNear(replay.core.budget.left(trace.end.now), trace.end.budget, "budget at the end");
  });
}
