// The table of cases that the clients of all languages share, gossipreg/client/cases.json. Its "read_me" has the steps.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { client } from "./client.mjs";
import { assertNear, xorshift32 } from "./numbers.mjs";

const { Resilience } = await client("picking/resilience.mjs");
const { callOptions, pickOptions } = await client("picking/options.mjs");
const { retryAfterUntrusted } = await client("picking/retry-after.mjs");
const outcomes = await client("picking/outcomes.mjs");

const file = new URL("../../../gossipreg/client/cases.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8"));
const KINDS = {
  success: outcomes.SUCCESS,
  failure: outcomes.FAILURE,
  timed_out: outcomes.TIMED_OUT,
  never_sent: outcomes.NEVER_SENT,
  neutral: outcomes.NEUTRAL,
};

function outcomeOf({ outcome, retry_after_s = null }) {
  return typeof outcome === "number" ? outcomes.statusOutcome(outcome, retry_after_s) : KINDS[outcome];
}

function instance({ id, node = `node-${id}`, zone = "", weight = 1, health = "passing" }) {
  return { id, node, zone, weight, health, key: `${node}\0${id}` };
}

/** The state of one case. Each step's `do` is a method here. */
class CaseRunner {
  picks = new Map();
  calls = new Map();
  attempts = new Map();

  constructor({ options, seed = 1 }) {
    this.service = new Resilience("web", pickOptions(options), xorshift32(seed));
  }

  step(step) {
    try {
      return this[step.do](step, step.now);
    } catch (error) {
      if (error.code === undefined) throw error;
      return { error: error.code };
    }
  }

  snapshot({ instances }, now) {
    this.service.balancer.update(instances.map(instance), now);
  }

  callers({ zones }) {
    this.service.balancer.setCallers(new Map(Object.entries(zones)));
  }

  chances(_, now) {
    const chances = [...this.service.balancer.chances(now)];
    return Object.fromEntries(chances.map(([{ id }, chance]) => [id, chance]));
  }

  pick({ as, key, deadline_s }, now) {
    const pick = this.service.pick(now, { key, deadlineS: deadline_s });
    this.picks.set(as, pick);
    return pick.probe ? { id: pick.instance.id, probe: true } : pick.instance.id;
  }

  end(step, now) {
    this.service.pickEnded(this.picks.get(step.pick), outcomeOf(step), now, step.load);
  }

  answered({ pick }, now) {
    this.service.balancer.answered(this.picks.get(pick), now);
  }

  requests({ count, key, took_s = {}, outcomes = {}, outcome = "success" }, now) {
    return Array.from({ length: count }, () => {
      const pick = this.service.pick(now, { key });
      const { id } = pick.instance;
      pick.started = now - (took_s[id] ?? 0.01);
      this.service.pickEnded(pick, outcomeOf({ outcome: outcomes[id] ?? outcome }), now);
      return id;
    });
  }

  counts(step, now) {
    const counts = {};
    for (const id of this.requests(step, now)) counts[id] = (counts[id] ?? 0) + 1;
    return counts;
  }

  begin({ call, options = {}, key }, now) {
    const { deadline_s: deadlineS, attempts_max: attemptsMax, attempts_before: attemptsBefore, ...same } = options;
    const given = callOptions({ ...same, deadlineS, attemptsMax, attemptsBefore });
    this.calls.set(call, this.service.begin(given, now, key));
  }

  attempt(step, now) {
    const call = this.calls.get(step.call);
    return this.#taken(step, call, call.nextAttempt(now));
  }

  hedge(step, now) {
    const call = this.calls.get(step.call);
    const attempt = call.hedge(now);
    return attempt && this.#taken(step, call, attempt);
  }

  hedge_at({ attempt: name }, now) {
    const { call, attempt } = this.attempts.get(name);
    return call.hedgeAt(attempt, now);
  }

  attempt_end(step, now) {
    const { call, attempt } = this.attempts.get(step.attempt);
    const after = call.ended(attempt, outcomeOf(step), now);
    if (after === "retry") return { after, retry_at: call.retryAt };
    return call.why ? { after, why: call.why } : { after };
  }

  close({ call }, now) {
    this.calls.get(call).close(now);
  }

  fall_back({ call }, now) {
    return this.calls.get(call).mayFallBack(now);
  }

  retry_after({ text, date, wall_s }) {
    return retryAfterUntrusted(text, date, wall_s);
  }

  stats({ expect }) {
    const stats = this.service.stats();
    return Object.fromEntries(Object.keys(expect).map((name) => [name, stats[name]]));
  }

  #taken({ as }, call, attempt) {
    this.attempts.set(as, { call, attempt });
    const { timeoutS: timeout_s, connectTimeoutS: connect_timeout_s } = attempt;
    return { id: attempt.pick.instance.id, timeout_s, connect_timeout_s, headers: attempt.headers() };
  }
}

for (const one of cases) {
  const forks = one.steps.some((step) => step.do === "fork");
  test(one.name, { skip: forks && "a process of Node.js is not forked" }, () => {
    const runner = new CaseRunner(one);
    one.steps.forEach((step, number) => {
      assertNear(runner.step(step) ?? null, step.expect ?? null, `step ${number}, ${JSON.stringify(step)}`);
    });
  });
}

test("a wrong expectation is found", () => {
  const runner = new CaseRunner({});
  runner.step({ do: "snapshot", now: 0, instances: [{ id: "a" }] });
  assert.throws(() => assertNear(runner.step({ do: "pick", now: 0, as: "p" }), "b", "pick"));
});
