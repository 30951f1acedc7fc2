// registry.fetch with real servers: what the program sees, what the instances see, and what happens when they fail.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { answer, deadPort, serve, serveBytes } from "./servers.mjs";
import { testServices, url } from "./services.mjs";
import { until } from "./sidecars.mjs";

const { registry, service } = testServices({ tls: { ca: certificates().ca } });

function certificates() {
  const read = (name) => readFileSync(`${process.env.CERTIFICATES}/${name}.pem`);
  return { ca: read("ca"), cert: read("server"), key: read("key") };
}

describe("what both sides see", () => {
  test("URL, Host and cookies keep the name of the service", async () => {
    let seen;
    const port = await serve((request, response) => {
      seen = { url: request.url, host: request.headers.host };
      response.setHeader("set-cookie", ["a=1", "b=2"]).end("hi");
    });
    const billing = await service([port]);
    const response = await registry.fetch(url(billing, "/charge?x=%20y#part"));
    assert.deepEqual(seen, { url: "/charge?x=%20y", host: `${billing.name}.service` });
    assert.equal(response.url, `http://${billing.name}.service/charge?x=%20y#part`);
    assert.deepEqual(response.headers.getSetCookie?.() ?? ["a=1", "b=2"], ["a=1", "b=2"]);
    assert.equal(await response.text(), "hi");
    assert.ok(response instanceof Response && response.ok && !response.redirected);
  });

  test("a connection that is not used is closed, and one in use is not", { timeout: 60_000 }, async () => {
    let closed;
    const port = await serve((request, response) => {
      request.socket.server.keepAliveTimeout = 0; // or the server closes it
      closed = new Promise((resolve) => request.socket.on("close", resolve));
      setTimeout(() => response.end("late"), request.url === "/slow" ? 5000 : 0);
    });
    const billing = await service([port]);
    assert.equal(await (await registry.fetch(url(billing, "/slow"), { deadlineMs: 40_000 })).text(), "late");
    await closed;
  });

  test("bodies of every kind arrive, with their type and length", async () => {
    const port = await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += piece;
      response.end(
        JSON.stringify([request.headers["content-type"] ?? null, request.headers["content-length"] ?? null, body]),
      );
    });
    const echo = await service([port]);
    const post = async (body, more = {}) => (await registry.fetch(url(echo), { method: "POST", body, ...more })).json();
    assert.deepEqual(await post("text"), ["text/plain;charset=UTF-8", "4", "text"]);
    assert.deepEqual(await post(Buffer.from("bytes")), [null, "5", "bytes"]);
    assert.deepEqual(await post(new Blob(["blob"], { type: "x/y" })), ["x/y", "4", "blob"]);
    assert.deepEqual(await post(new URLSearchParams("a=1")), [
      "application/x-www-form-urlencoded;charset=UTF-8",
      "3",
      "a=1",
    ]);
    assert.deepEqual(await post(null), [null, "0", ""]);
    const stream = new Blob(["streamed"]).stream();
    assert.deepEqual(await post(stream, { duplex: "half" }), [null, null, "streamed"]);
    const request = new Request(url(echo), { method: "PUT", body: "in a request", headers: { "content-type": "a/b" } });
    assert.deepEqual(await (await registry.fetch(request)).json(), ["a/b", null, "in a request"]);
  });

  test("other hosts pass untouched", async () => {
    const port = await serve((request, response) =>
      response.end(request.headers["gossipreg-timeout-ms"] ?? "untouched"),
    );
    const response = await registry.fetch(new URL(`http://127.0.0.1:${port}/`));
    assert.equal(await response.text(), "untouched");
    await assert.rejects(registry.fetch("not a url"), TypeError);
  });

  test("a name may have letters beyond ASCII, and is compared in lower case", async () => {
    const port = await serve(answer(200, "found"));
    await service([port], { name: "b\u00fcro" });
    assert.equal(await (await registry.fetch("http://B\u00fcro.service/")).text(), "found");
  });

  test("a compressed answer is decoded, as fetch does", async () => {
    const { gzipSync } = await import("node:zlib");
    const port = await serve(answer(200, gzipSync("plain"), { "content-encoding": "gzip" }));
    assert.equal(await (await registry.fetch(url(await service([port])))).text(), "plain");
  });

  test("connections to an instance are kept alive", async () => {
    const sockets = new Set();
    const port = await serve((request, response) => {
      sockets.add(request.socket.remotePort);
      response.end("x");
    });
    const kept = await service([port]);
    for (let times = 0; times < 5; times++) await (await registry.fetch(url(kept))).text();
    assert.equal(sockets.size, 1);
  });

  test("https verifies tls_name, else the name of the service", async () => {
    const { cert, key } = certificates();
    const port = await serve((request, response) => response.end(request.socket.servername), { cert, key });
    const named = await service([port], { meta: { tls_name: "billing.example" } });
    const secure = (one) => url(one).replace("http:", "https:");
    for (let times = 0; times < 2; times++) {
      const response = await registry.fetch(secure(named), { method: "POST", body: "x" }); // the second on the same one
      assert.equal(await response.text(), "billing.example");
    }
    assert.deepEqual([named.stats().attempts, named.stats().failures], [2, 0]);
    const other = await service([port], { meta: { tls_name: "other.example" } });
    await assert.rejects(registry.fetch(secure(other)), /fetch failed: GET https:.*other.example.*altnames/s);
    await assert.rejects(registry.fetch(secure(await service([port]))), /svc-\d+\.service/);
    assert.equal(other.stats().attempts, 3, "a connection that is not trusted was never used, so others are tried");
  });

  test("a redirect is followed to another service, and a POST becomes a GET", async () => {
    const target = await service([
      await serve((request, response) => response.end(`${request.method} ${request.headers.authorization}`)),
    ]);
    const port = await serve((request, response) => {
      request.resume();
      response.writeHead(302, { location: `http://${target.name}.service/there` }).end();
    });
    const source = await service([port]);
    const init = { method: "POST", body: "x", headers: { authorization: "secret" } };
    const response = await registry.fetch(url(source), init);
    assert.equal(await response.text(), "GET undefined");
    assert.deepEqual([response.redirected, response.url], [true, `http://${target.name}.service/there`]);
    assert.equal((await registry.fetch(url(source), { redirect: "manual" })).status, 302);
    await assert.rejects(registry.fetch(url(source), { redirect: "error" }), /redirects/);
  });
});

describe("when instances fail", () => {
  test("a request that was never sent goes to another instance, whatever its method is", async () => {
    const live = await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += piece;
      response.end(`${request.method} ${body}`);
    });
    const half = (await service([await deadPort(), live])).configure({ policy: "round_robin" });
    for (let times = 0; times < 8; times++) {
      const body = times % 2 ? "text" : new Blob(["stream"]).stream();
      const response = await registry.fetch(url(half), { method: "POST", body, duplex: "half" });
      assert.equal(await response.text(), times % 2 ? "POST text" : "POST stream");
    }
    assert.ok(half.stats().retries >= 1);
  });

  test("a POST that may have been carried out is not sent again", async () => {
    let served = 0;
    const port = await serveBytes((socket) => socket.once("data", () => (served++, socket.destroy())));
    const broken = await service([
      port,
      await serveBytes((socket) => socket.once("data", () => (served++, socket.destroy()))),
    ]);
    await assert.rejects(registry.fetch(url(broken), { method: "POST", body: "x" }), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, /^fetch failed: POST http:\/\/svc-\d+\.service at 127\.0\.0\.1:\d+: /);
      return true;
    });
    assert.deepEqual([served, broken.stats().not_idempotent], [1, 1]);
    const idempotent = { method: "POST", body: "x", headers: { "Idempotency-Key": "1" } };
    await assert.rejects(registry.fetch(url(broken), idempotent), TypeError);
    assert.equal(served, 4);
  });

  test("a reset on a kept-alive connection is not taken for never sent", async () => {
    let requests = 0;
    const port = await serve((request, response) => {
      requests++;
      if (request.method === "POST") request.socket.destroy();
      else response.end("x");
    });
    const kept = await service([port]);
    await (await registry.fetch(url(kept))).text();
    await assert.rejects(registry.fetch(url(kept), { method: "POST", body: "x" }), TypeError);
    assert.equal(requests, 2);
  });

  test("503 is tried at another instance, and the last answer is what the program gets", async () => {
    const attempts = [];
    const bad = await serve((request, response) => {
      attempts.push(request.headers["gossipreg-attempt"]);
      response.writeHead(503).end("down");
    });
    const mixed = await service([bad, await serve(answer(200, "up"))]);
    for (let times = 0; times < 6; times++) assert.equal(await (await registry.fetch(url(mixed))).text(), "up");
    const allBad = await service([bad]);
    attempts.length = 0;
    const response = await registry.fetch(url(allBad));
    assert.deepEqual([response.status, await response.text()], [503, "down"]);
    assert.deepEqual(attempts, [undefined, "2", "3"]);
  });

  test("a stream that was sent is not sent again", async () => {
    const bad = await service([await serve(answer(503))]);
    const body = new Blob(["once"]).stream();
    assert.equal((await registry.fetch(url(bad), { method: "PUT", body, duplex: "half" })).status, 503);
    assert.deepEqual([bad.stats().attempts, bad.stats().not_idempotent], [1, 1]);
  });

  test("Retry-After beyond the deadline ends the call at once, a date of HTTP too", async () => {
    for (const later of ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"]) {
      const busy = await service([await serve(answer(503, "", { "retry-after": later }))]);
      assert.equal((await registry.fetch(url(busy))).status, 503);
      assert.deepEqual([busy.stats().attempts, busy.stats().deadline_too_near], [1, 1]);
    }
  });

  test("an instance that hangs does not use up the deadline", async () => {
    const hung = await serve(() => {});
    const half = await service([hung, await serve(answer(200, "up"))]);
    for (let times = 0; times < 4; times++) {
      assert.equal(await (await registry.fetch(url(half), {}, { deadlineMs: 4500 })).text(), "up");
    }
    const all = await service([hung]);
    await assert.rejects(registry.fetch(url(all), { method: "POST" }, { deadlineMs: 50 }), {
      code: "deadline_exceeded",
    });
  });

  test("the program's signal ends the call, and says nothing about the instance", async () => {
    let came;
    const arrived = new Promise((resolve) => (came = resolve));
    const slow = await service([await serve(() => came())]);
    const controller = new AbortController();
    const call = registry.fetch(url(slow), { signal: controller.signal });
    await arrived;
    controller.abort(new Error("enough"));
    await assert.rejects(call, /enough/);
    assert.deepEqual([slow.stats().neutral, slow.stats().failures, slow.stats().in_flight], [1, 0, 0]);
    await assert.rejects(registry.fetch(url(slow), { signal: AbortSignal.abort() }), { name: "AbortError" });
  });

  test("a body that breaks is an error for the reader and a failure of the instance", async () => {
    const port = await serve((request, response) => {
      response.writeHead(200, { "content-length": "10" }).write("half");
      setImmediate(() => request.socket.destroy());
    });
    const broken = await service([port]);
    const response = await registry.fetch(url(broken));
    await assert.rejects(response.text(), /the body of the answer broke/);
    assert.deepEqual([broken.stats().failures, broken.stats().in_flight], [1, 0]);
  });

  test("a request is in flight until its body has ended or was cancelled", async () => {
    let open;
    const port = await serve((_, response) => {
      open = response;
      response.write("begun");
    });
    const streaming = await service([port]);
    const response = await registry.fetch(url(streaming));
    assert.equal(streaming.stats().in_flight, 1);
    open.end("over");
    assert.equal(await response.text(), "begunover");
    assert.deepEqual([streaming.stats().in_flight, streaming.stats().successes], [0, 1]);
    const second = await registry.fetch(url(streaming));
    await second.body.cancel();
    await until(() => streaming.stats().in_flight === 0);
    assert.equal(streaming.stats().failures, 0);
  });

  test("a broken body of the program is its own fault", async () => {
    const port = await serve((request) => request.resume());
    const fine = await service([port]);
    const body = (async function* () {
      yield Buffer.from("begun");
      throw new Error("my fault");
    })();
    await assert.rejects(registry.fetch(url(fine), { method: "POST", body, duplex: "half" }), /my fault/);
    assert.deepEqual([fine.stats().failures, fine.stats().neutral], [0, 1]);
  });

  test("after many failed calls the breaker opens, and a fallback takes over", async () => {
    const bad = await service([await serve(answer(500))]);
    const backup = await service([await serve((request, response) => response.end(request.headers.host))]);
    for (let times = 0; times < 20; times++) await registry.fetch(url(bad), { method: "POST", body: "x" });
    await assert.rejects(registry.fetch(url(bad)), { code: "breaker_open" });
    const response = await registry.fetch(url(bad), {}, { fallback: backup.name });
    assert.equal(await response.text(), `${backup.name}.service`);
    assert.equal(bad.stats().breaker, "open");
  });

  test("a fallback that fails gives the first answer, and a POST that was sent has none", async () => {
    let backups = 0;
    const bad = await service([await serve(answer(500, "first"))]);
    const backup = await service([
      await serve((request, response) => (backups++, answer(500, "second")(request, response))),
    ]);
    assert.equal(await (await registry.fetch(url(bad), {}, { fallback: backup.name })).text(), "first");
    assert.ok(backups > 0);
    backups = 0;
    await registry.fetch(url(bad), { method: "POST", body: "x" }, { fallback: backup.name });
    assert.equal(backups, 0);
  });

  test("a fallback that answers lets go of the first answer and its connection", async () => {
    const connections = new Set();
    const bad = await service([
      await serve((request, response) => {
        connections.add(request.socket);
        answer(500, "first")(request, response);
      }),
    ]);
    const backup = await service([await serve(answer(200, "second"))]);
    for (let times = 0; times < 5; times++) {
      const options = { fallback: backup.name, attemptsMax: 1 };
      assert.equal(await (await registry.fetch(url(bad), {}, options)).text(), "second");
    }
    assert.equal(connections.size, 1);
  });

  test("the program's signal ends a fallback too", async () => {
    const controller = new AbortController();
    const bad = await service([await serve(answer(500, "first"))]);
    const backup = await service([await serve(() => controller.abort(new Error("enough")))]);
    const options = { fallback: backup.name, attemptsMax: 1 };
    await assert.rejects(registry.fetch(url(bad), { signal: controller.signal }, options), /^Error: enough$/);
    const other = new AbortController();
    const fallback = () => other.abort(new Error("now")) ?? new Promise(() => {});
    const failing = bad.call(
      (_, attempt) => {
        attempt.failed();
        throw new Error("first");
      },
      { idempotent: true, attemptsMax: 1, fallback, signal: other.signal },
    );
    await assert.rejects(failing, /^Error: now$/);
  });

  test("the request of a fallback says that it is a retry", async () => {
    const seen = [];
    const backup = await service([
      await serve((request, response) => {
        seen.push(request.headers["gossipreg-attempt"]);
        response.end("up");
      }),
    ]);
    const bad = await service([await serve(answer(500))]);
    await registry.fetch(url(bad), {}, { fallback: backup.name });
    const refused = await service([await deadPort()]);
    await registry.fetch(url(refused), { method: "POST" }, { fallback: backup.name, attemptsMax: 1 });
    assert.deepEqual(seen, ["4", "2"]);
  });

  test("a slow request is hedged at another instance", async () => {
    let slow = false;
    const handler = (request, response) => void (slow ? (slow = false) : response.end("x"));
    const hedged = await service([await serve(handler), await serve(handler)]);
    for (let times = 0; times < 120; times++) await (await registry.fetch(url(hedged))).text();
    slow = true;
    assert.equal(await (await registry.fetch(url(hedged), {}, { hedge: true })).text(), "x");
    assert.deepEqual([hedged.stats().hedges, hedged.stats().in_flight], [1, 0]);
  });
});
