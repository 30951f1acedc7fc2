// Servers with the middleware, and requests that a program sends by itself.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { client } from "./client.mjs";
import { answer, serve } from "./servers.mjs";
import { testServices, url } from "./services.mjs";
import { until } from "./sidecars.mjs";

const { connect } = await client("index.mjs");
const { withLoad } = await client("load.mjs");
const { errorOutcome } = await client("picking/outcomes.mjs");
const { registry, service } = testServices();

describe("servers", () => {
  test("the middleware tells the load, and picks obey it", async () => {
    const busy = await serve(answer(200, "", { "gossipreg-load": "in_flight=100" }));
    const idle = await serve(withLoad((_, response) => response.end()));
    const both = await service([busy, idle]);
    const counts = { busy: 0, idle: 0 };
    for (let times = 0; times < 40; times++) {
      const response = await registry.fetch(url(both));
      await response.arrayBuffer();
      const load = response.headers.get("gossipreg-load");
      counts[load === "in_flight=100" ? "busy" : "idle"]++;
      if (load !== "in_flight=100") assert.equal(load, "in_flight=1");
    }
    assert.ok(counts.idle > 4 * counts.busy, JSON.stringify(counts));
  });

  test("a request that serves a retry is not retried further down", async () => {
    let below = 0;
    const bad = await service([await serve((request, response) => (below++, answer(503)(request, response)))]);
    const port = await serve(
      withLoad(async (_, response) => {
        const inner = await registry.fetch(url(bad));
        response.writeHead(inner.status).end();
      }),
    );
    const front = await service([port]);
    assert.equal((await registry.fetch(url(front))).status, 503);
    assert.equal(below, 3 + 1 + 1, "three attempts for the first request, and one for each of its two retries");
    assert.ok(bad.stats().retry_of_a_retry >= 1);
  });

  test("what a server does after its answer is for no caller", async () => {
    const below = await service([await serve(answer(200))]);
    let later;
    const port = await serve(
      withLoad((_, response) => {
        later = new Promise((resolve) => response.once("finish", () => setTimeout(resolve, 30))).then(() =>
          registry.fetch(url(below)),
        );
        response.end();
      }),
    );
    await fetch(`http://127.0.0.1:${port}/`, { headers: { "gossipreg-timeout-ms": "20" } });
    assert.equal((await later).status, 200);
  });

  test("calls below end when the caller waits no longer", async () => {
    let told;
    const hung = await service([await serve((request) => (told = Number(request.headers["gossipreg-timeout-ms"])))]);
    const port = await serve(
      withLoad(async (_, response) => {
        const found = await registry.fetch(url(hung), { method: "POST" }).catch((error) => error.code);
        response.end(found);
      }),
    );
    const front = await service([port]);
    await registry.fetch(url(front), { method: "POST" }, { deadlineMs: 1500 }).catch(() => {});
    await until(() => hung.stats().in_flight === 0 && hung.stats().calls === 1);
    assert.ok(told <= 1500, `${told} ms`);
  });
});

describe("many requests at once", () => {
  test("no idempotent request fails while instances die, hang and come back", async () => {
    const states = ["up", "up", "up"];
    const handler = (at) => (request, response) => {
      if (states[at] === "dead") request.socket.destroy();
      else if (states[at] === "up") response.end(String(at));
    };
    const ports = await Promise.all(states.map((_, at) => serve(handler(at))));
    const three = await service(ports);
    const served = new Set();
    let left = 400;
    async function client() {
      while (left-- > 0) {
        if (left === 350) states[0] = "dead";
        if (left === 250) states[1] = "hung";
        if (left === 150) states.splice(0, 2, "up", "up");
        const response = await registry.fetch(url(three), {}, { deadlineMs: 20_000 });
        assert.equal(response.status, 200);
        served.add(await response.text());
      }
    }
    await Promise.all(Array.from({ length: 10 }, client));
    const stats = three.stats();
    assert.deepEqual([stats.calls_failed, stats.in_flight, stats.calls_succeeded], [0, 0, 400]);
    assert.ok(stats.retries > 0 && stats.failures > 0, JSON.stringify(stats));
    assert.equal(served.size, 3);
  });
});

describe("requests of the program's own", () => {
  test("call gives the instance, and tries another one after a failure", async () => {
    const two = await service([1, 2]);
    const tried = [];
    const result = await two.call(
      async (instance, attempt) => {
        tried.push([instance.port, attempt.number, attempt.headers["Gossipreg-Attempt"]]);
        if (tried.length === 1) throw Object.assign(new Error("reset"), { code: "ECONNRESET", syscall: "read" });
        return instance.port;
      },
      { idempotent: true },
    );
    assert.deepEqual(
      tried.map(([, ...rest]) => rest),
      [
        [1, undefined],
        [2, "2"],
      ],
    );
    assert.notEqual(tried[0][0], tried[1][0]);
    assert.equal(result, tried[1][0]);
  });

  const system = (code, syscall) => Object.assign(new Error(code), { code, syscall, errno: -1 });
  const inside = (cause) => new TypeError("fetch failed", { cause });
  const groups = (...errors) => inside(new AggregateError(errors, "several"));
  const itself = new AggregateError([], "in a circle");
  itself.errors.push(itself);
  for (const [error, kind, neverSent] of [
    [system("ECONNREFUSED", "connect"), "failure", true],
    [system("EHOSTUNREACH", "connect"), "failure", true],
    [system("ETIMEDOUT", "connect"), "failure", true],
    [system("EMFILE", "connect"), "neutral", false],
    [system("ENOTFOUND", "getaddrinfo"), "failure", true],
    [system("EAI_AGAIN", "getaddrinfo"), "failure", true],
    [Object.assign(new Error("expired"), { code: "CERT_HAS_EXPIRED" }), "failure", true],
    [Object.assign(new Error("name"), { code: "ERR_TLS_CERT_ALTNAME_INVALID" }), "failure", true],
    [Object.assign(new Error("undici"), { code: "UND_ERR_CONNECT_TIMEOUT" }), "failure", true],
    [system("EHOSTUNREACH", "read"), "failure", false],
    [system("ECONNRESET", "read"), "failure", false],
    [system("EPIPE", "write"), "failure", false],
    [Object.assign(new Error("time"), { code: "ETIMEDOUT" }), "failure", false],
    [Object.assign(new Error("body"), { code: "UND_ERR_BODY_TIMEOUT" }), "failure", false],
    [inside(system("ECONNREFUSED", "connect")), "failure", true],
    [groups(system("ECONNREFUSED", "connect"), system("ENETUNREACH", "connect")), "failure", true],
    [groups(system("ECONNREFUSED", "connect"), system("ECONNRESET", "read")), "failure", false],
    [groups(), "neutral", false],
    [itself, "neutral", false],
  ]) {
    const what = [error.message, error.syscall, error.cause?.name].join(" ");
    test(`what was never sent: ${what}`, () => {
      const found = errorOutcome(error);
      assert.deepEqual([found.kind, found.neverSent], [kind, neverSent]);
    });
  }

  test("the program says that nothing was sent", async () => {
    const two = await service([1, 2]);
    const tried = [];
    const result = await two.call((instance, attempt) => {
      tried.push(instance.port);
      if (tried.length > 1) return instance.port;
      attempt.neverSent();
      throw new Error("as this program knows");
    });
    assert.deepEqual([tried.length, result], [2, tried[1]]);
  });

  test("an error with a response says its Retry-After, a date of HTTP too", () => {
    const date = "Sun, 06 Nov 1994 08:49:37 GMT";
    const error = (headers) => Object.assign(new Error("busy"), { response: { status: 503, headers } });
    const later = { "retry-after": "Sun, 06 Nov 1994 08:49:47 GMT", date };
    assert.equal(errorOutcome(error(later)).retryAfterS, 10);
    assert.equal(errorOutcome(error(new Headers(later))).retryAfterS, 10);
    assert.equal(errorOutcome(error({ "retry-after": "soon" })).retryAfterS, null);
    assert.equal(errorOutcome(error(undefined)).retryAfterS, null);
  });

  test("an error of the program's own code is thrown at once, and is no failure", async () => {
    const one = await service([1]);
    await assert.rejects(
      one.call(() => JSON.parse("{"), { idempotent: true }),
      SyntaxError,
    );
    assert.deepEqual([one.stats().attempts, one.stats().failures, one.stats().neutral], [1, 0, 1]);
  });

  test("a function that hangs is given up at its timeout, and told so by its signal", async () => {
    const one = await service([1]);
    let told;
    const hang = (_, { signal }) => new Promise(() => signal.addEventListener("abort", () => (told = true)));
    await assert.rejects(one.call(hang, { deadlineMs: 300 }), { code: "deadline_exceeded" });
    assert.ok(told);
    let attempts = 0;
    const hangsOnce = (instance, context) => {
      if (++attempts === 1) return hang(instance, context);
      context.failed();
      throw new Error("gone");
    };
    const options = { deadlineMs: 900, attemptsMax: 2, fallback: () => "instead", idempotent: true };
    assert.equal(await one.call(hangsOnce, options), "instead");
    assert.equal(attempts, 2);
  });

  const reset = () => {
    throw Object.assign(new Error("reset"), { code: "ECONNRESET", syscall: "read" });
  };

  test("a fallback is told what is left, and that it is a retry", async () => {
    const one = await service([1]);
    let seen;
    const backup = await service([
      await serve((request, response) => {
        seen = request.headers;
        response.end();
      }),
    ]);
    let limits;
    await one.call(reset, {
      idempotent: true,
      deadlineMs: 20_000,
      attemptsMax: 2,
      fallback: (given) => {
        limits = given;
        return registry.fetch(url(backup), { method: "POST" });
      },
    });
    assert.equal(limits.headers["Gossipreg-Attempt"], "3");
    assert.ok(limits.timeoutMs <= 20_000 && !limits.signal.aborted);
    assert.equal(seen["gossipreg-attempt"], "3");
    assert.ok(Number(seen["gossipreg-timeout-ms"]) <= limits.timeoutMs, "the default of fetch is longer");
  });

  test("a fallback that does not end is given up at the deadline", async () => {
    const one = await service([1]);
    let signal;
    const hang = (limits) => new Promise(() => void ({ signal } = limits));
    const options = { idempotent: true, attemptsMax: 1, deadlineMs: 200, fallback: hang };
    await assert.rejects(one.call(reset, options), { code: "ECONNRESET" });
    assert.equal(signal.reason.code, "deadline_exceeded");
  });

  test("the wait for the first list is part of the deadline", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "gr-"));
    const path = join(folder, "silent.sock");
    const sockets = new Set();
    const silent = createServer((socket) => sockets.add(socket.on("error", () => {}))).listen(path);
    const apart = await connect({ path, timeoutMs: 60_000 });
    context.after(() => {
      apart.close();
      silent.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true });
    });
    const message = /within 0\.(1|0[5-9]\d*) s/; // what is left of the deadline
    await assert.rejects(apart.service("web").call(() => 1, { deadlineMs: 100 }), { code: "not_synced", message });
    await assert.rejects(apart.fetch("http://web.service/", {}, { deadlineMs: 100 }), { code: "not_synced", message });
  });

  test("the requests of a service as fallback are retries, and its failure gives the first", async () => {
    const [one, other] = [await service([1]), await service([2])];
    const seen = [];
    const send = ({ port }, attempt) => {
      seen.push([port, attempt.headers["Gossipreg-Attempt"]]);
      attempt.failed();
      return port;
    };
    assert.equal(await one.call(send, { idempotent: true, attemptsMax: 1, fallback: other }), 1);
    assert.deepEqual(seen, [
      [1, undefined],
      [2, "2"],
    ]);
  });

  test("an error with a status that is no failure is thrown, without a fallback", async () => {
    const one = await service([1]);
    const missing = Object.assign(new Error("not found"), { response: { status: 404 } });
    const send = () => Promise.reject(missing);
    await assert.rejects(one.call(send, { idempotent: true, fallback: () => "instead" }), missing);
    assert.deepEqual([one.stats().fallbacks, one.stats().successes], [0, 1]);
  });

  test("a pick ends with its outcome, once", async () => {
    const one = await service([1]);
    const pick = one.pick();
    assert.equal(one.stats().in_flight, 1);
    pick.status(503);
    pick.end();
    pick.end();
    assert.deepEqual([one.stats().in_flight, one.stats().failures], [0, 1]);
    one.pick().end(new TypeError("mine"));
    assert.equal(one.stats().neutral, 1);
    assert.throws(() => registry.service("none-yet").pick(), { code: "not_synced" });
  });

  test("the service of connect is the caller that zones are looked at for", async () => {
    const { name } = await service([1]);
    for (const [options, names] of [
      [{}, 1],
      [{ service: "shop" }, 2],
    ]) {
      const other = await connect({ path: registry.path, ...options });
      await other.service(name).lookup();
      other.service(name).pick().end();
      await until(() => other.stats().services === names);
      other.close();
    }
  });

  test("the same key gets the same instance", async () => {
    const many = await service([1, 2, 3, 4, 5]);
    const picked = new Set();
    for (let times = 0; times < 20; times++) {
      const pick = many.pick({ key: "user-7" });
      picked.add(pick.instance.id);
      pick.end();
    }
    assert.equal(picked.size, 1);
    await assert.rejects(
      many.call(() => 1, { deadline: 5 }),
      /call has no option deadline: it has deadlineMs/,
    );
    assert.throws(() => many.configure({ policy: "nearest" }), /policy 'nearest' does not exist/);
  });
});
