// The registry with real sidecars: lookups, watches, registrations, and what a restart or the end of a sidecar does.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { client } from "./client.mjs";
import { Sidecar, until } from "./sidecars.mjs";

const { connect } = await client("index.mjs");
const { findSocket } = await client("socket-path.mjs");
const index = new URL("../../../gossipreg/client/node/index.mjs", import.meta.url).href;

const opened = [];
async function open(options) {
  const registry = await connect({ timeoutMs: 60_000, ...options });
  opened.push(registry);
  return registry;
}
afterEach(() => opened.splice(0).forEach((registry) => registry.close()));
after(() => Sidecar.endAll());

/** The message of the next warning of this client that fits. */
function warning(pattern) {
  return new Promise((resolve) => {
    process.on("warning", function heard({ name, message }) {
      if (name !== "GossipregWarning" || !pattern.test(message)) return;
      process.off("warning", heard);
      resolve(message);
    });
  });
}

const ports = (instances) => instances.map(({ port }) => port);

describe("with a sidecar that runs", () => {
  let sidecar, other;
  before(async () => {
    sidecar = await new Sidecar("a", "--zone", "z1").start();
    other = await connect({ path: sidecar.socket });
  });
  after(() => other.close());
  const register = async (name, port, more = {}) => {
    const registry = await connect({ path: sidecar.socket });
    const held = await registry.register({ name, port, address: "127.0.0.1", ...more });
    return { ...held.result, close: () => registry.close() };
  };

  test("a lookup gives the passing instances, and later ones wait for nothing", async () => {
    const held = await register("billing", 7001, { tags: ["v2"], meta: { tls_name: "b" }, weight: 3 });
    const registry = await open({ path: sidecar.socket });
    const billing = registry.service("Billing");
    const [found] = await billing.lookup();
    assert.equal(found.hostport, "127.0.0.1:7001");
    assert.deepEqual([...found.tags, found.meta.tls_name, found.weight, found.zone], ["v2", "b", 3, "z1"]);
    assert.equal(billing.instances, billing.instances);
    assert.ok(Object.isFrozen(found) && Object.isFrozen(billing.instances) && Object.isFrozen(found.meta));
    assert.equal(registry.zone, "z1");
    assert.equal(JSON.parse(JSON.stringify(found)).port, 7001);
    held.close();
  });

  test("tags and zones leave out the other instances", async () => {
    const [one, two] = [
      await register("tagged", 7001, { tags: ["v1"] }),
      await register("tagged", 7002, { tags: ["v2"] }),
    ];
    const registry = await open({ path: sidecar.socket });
    assert.deepEqual(ports(await registry.service("tagged").wait(2)), [7001, 7002]);
    assert.deepEqual(ports(registry.service("tagged", { tags: ["v2"] }).instances), [7002]);
    assert.deepEqual(ports(registry.service("tagged", { zone: "elsewhere" }).instances), []);
    one.close();
    two.close();
  });

  test("a watch is told of what comes and goes, until it is stopped", async () => {
    const registry = await open({ path: sidecar.socket });
    const seen = [];
    const stop = registry.watch("watched", (instances) => seen.push(ports(instances)));
    await until(() => seen.length === 1);
    const held = await register("watched", 7003);
    await until(() => seen.length === 2);
    held.close();
    await until(() => seen.length === 3);
    stop();
    const again = await register("watched", 7004);
    await registry.service("watched").wait(1);
    again.close();
    assert.deepEqual(seen, [[], [7003], []]);
  });

  test("an unknown name is an empty list, and a name that cannot be is refused", async () => {
    const registry = await open({ path: sidecar.socket });
    assert.deepEqual(await registry.service("nobody").lookup(), []);
    await assert.rejects(registry.service("a/b").lookup(), { code: "bad_params" });
    assert.deepEqual(await registry.service("nobody2").lookup(), []);
    await assert.rejects(registry.service("c/d").lookup(), { code: "bad_params" });
  });

  test("a watch of a name that cannot be is warned of", async () => {
    const registry = await open({ path: sidecar.socket });
    const warned = warning(/^e\/f is not watched: .*e\/f/);
    registry.watch("e/f", () => assert.fail("it has no instances"));
    await warned;
  });

  test("a watch that fails is warned of, and goes on", async () => {
    const held = await register("failing", 7010);
    const registry = await open({ path: sidecar.socket });
    const warned = warning(/the callback for changes of failing failed: Error: mine/);
    let calls = 0;
    registry.watch("failing", () => {
      if (++calls === 1) throw new Error("mine");
    });
    await warned;
    held.close();
    await until(() => calls === 2);
  });

  test("a watch that is stopped at once is never called", async () => {
    const registry = await open({ path: sidecar.socket });
    await registry.service("stopped").lookup();
    registry.watch("stopped", () => assert.fail("it was stopped"))();
    await registry.service("stopped2").lookup();
  });

  test("many names share one stream", async () => {
    const registry = await open({ path: sidecar.socket });
    const names = Array.from({ length: 300 }, (_, number) => `name-${number}`);
    await Promise.all(names.map((name) => registry.service(name).lookup()));
    const stats = registry.stats();
    assert.deepEqual([stats.services, stats.connects, stats.unknown, stats.losses], [300, 1, 0, 0]);
    assert.ok(stats.changes <= 301, `${stats.changes} lists came for 300 names`);
  });

  test("names that are used one after the other share one stream, and each is listed once", async () => {
    const pipes = () => process.getActiveResourcesInfo().filter((name) => name === "PipeWrap").length;
    const registry = await open({ path: sidecar.socket, ref: true });
    const before = pipes();
    const held = await register("number-500", 7009);
    for (let number = 0; number < 1000; number++) await registry.service(`number-${number}`).lookup();
    assert.equal(pipes(), before + 1);
    assert.deepEqual(ports(registry.service("number-500").instances), [7009]);
    const { services, connects, losses, stale, changes } = registry.stats();
    assert.deepEqual([services, connects, losses, stale], [1000, 1, 0, 0]);
    assert.ok(changes <= 1001, `${changes} lists came for 1,000 names`);
    held.close();
    await until(() => registry.service("number-500").instances.length === 0);
  });

  test("a name that is used later disturbs no other", async () => {
    const held = await register("first", 7005);
    const registry = await open({ path: sidecar.socket });
    const first = registry.service("first");
    await first.wait(1);
    const snapshot = first.snapshot;
    await registry.service("second").lookup();
    await registry.service("third").lookup();
    assert.equal(first.snapshot, snapshot);
    assert.equal(first.snapshot.staleMs, 0);
    held.close();
    await until(() => first.instances.length === 0);
  });

  test("what somebody else took out stays out", async () => {
    const registry = await open({ path: sidecar.socket });
    const why = new Promise((resolve) => {
      registry.register({ name: "taken", port: 7006, onTakenOut: resolve }).then(({ id }) => {
        void other.call("deregister", { id });
      });
    });
    assert.match(await why, /\w/);
    assert.deepEqual(await other.service("taken").lookup(), []);
  });

  test("a registration has the checks that were given, and wrong ones are refused", async () => {
    const held = await register("checked", 7007, { check: "tcp://127.0.0.1:1", checks: ["ttl:30s"] });
    const [found] = (await other.call("registered")).filter(({ service }) => service === "checked");
    assert.equal(found.checks.length, 2);
    held.close();
    await assert.rejects(register("checked", 7007, { check: "nonsense" }), { code: "bad_params" });
    await assert.rejects(register("checked", 7007, { prot: 1 }), /register has no option prot/);
  });

  test("an error of the sidecar has its code and its text", async () => {
    await assert.rejects(other.call("no-such-method"), { name: "UnknownMethod", code: "unknown_method" });
    await assert.rejects(other.call("deregister", { id: "none" }), { name: "NotFound" });
  });

  test("a process at rest ends, although it watches and has registered", async () => {
    const script = `
      import { connect } from ${JSON.stringify(index)};
      const registry = await connect({ path: ${JSON.stringify(sidecar.socket)} });
      registry.watch("idle", () => {});
      await registry.register({ name: "idle", port: 1 });
      console.log((await registry.service("idle").wait(1)).length);
    `;
    const { stdout } = await run(script);
    assert.equal(stdout.trim(), "1");
  });

  test("with ref the watch keeps the process alive", async () => {
    const script = `
      import { connect } from ${JSON.stringify(index)};
      const registry = await connect({ path: ${JSON.stringify(sidecar.socket)}, ref: true });
      let calls = 0;
      registry.watch("kept", (instances) => {
        if (++calls === 1) console.log("watching");
        if (instances.length) registry.close();
      });
    `;
    const running = run(script, ({ stdout }) => stdout.once("data", () => register("kept", 7008)));
    await running; // it ends because it saw the registration, and closed
  });

  test("a closed registry refuses lookups, and ends those that wait", async () => {
    const registry = await connect({ path: sidecar.socket });
    const waiting = assert.rejects(registry.service("never").wait(1), { code: "refused" });
    await registry.service("other").lookup();
    registry.close();
    await waiting;
    assert.throws(() => registry.service("never").instances, /closed: make another one/);
    await assert.rejects(registry.fetch("http://never.service/"), /closed/);
  });
});

function run(script, started = () => {}) {
  const running = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { timeout: 60_000 });
  started(running.child);
  return running;
}

describe("when sidecars end and come back", () => {
  test("a restart never empties the answers, and confirms them again", async () => {
    const sidecar = await new Sidecar("r", "--profile", "local").start();
    const seed = await new Sidecar("s", "--profile", "local", "--seed", sidecar.ready.gossip).start();
    const remote = await open({ path: seed.socket });
    await remote.register({ name: "web", port: 7100, address: "127.0.0.1" });
    const registry = await open({ path: sidecar.socket });
    const web = registry.service("web");
    await web.wait(1);
    const seen = [];
    registry.watch("web", (instances, snapshot) => seen.push([instances.length, snapshot.staleSince !== null]));
    await until(() => seen.length === 1);
    await sidecar.kill();
    await until(() => web.snapshot.staleMs > 0);
    assert.equal(web.instances.length, 1);
    await sidecar.start("--seed", seed.ready.gossip);
    await until(() => web.snapshot.staleSince === null && registry.stats().connects === 2);
    assert.ok(
      seen.every(([count]) => count === 1),
      JSON.stringify(seen),
    );
    assert.deepEqual(seen.at(-1), [1, false]);
    remote.close();
    await until(() => web.instances.length === 0);
  });

  test("a service is registered again with the next sidecar", async () => {
    const sidecar = await new Sidecar("again").start();
    const registry = await open({ path: sidecar.socket });
    const held = await registry.register({ name: "api", port: 7200, address: "127.0.0.1" });
    await sidecar.kill();
    await until(() => !held.isOpen);
    await sidecar.start();
    await until(() => held.isOpen);
    const other = await open({ path: sidecar.socket });
    assert.deepEqual(ports(await other.service("api").wait(1)), [7200]);
    held.close();
    await until(() => other.service("api").instances.length === 0);
  });

  test("what nobody confirmed for maxStaleMs is an error that names the sidecar", async () => {
    const sidecar = await new Sidecar("old").start();
    const registry = await open({ path: sidecar.socket, maxStaleMs: 50 });
    const forever = await open({ path: sidecar.socket, maxStaleMs: null });
    await Promise.all([registry, forever].map((one) => one.service("web").lookup()));
    await sidecar.kill();
    const tooStale = await until(() => {
      try {
        return !registry.service("web").instances;
      } catch (error) {
        return error;
      }
    });
    assert.equal(tooStale.code, "too_stale");
    assert.match(tooStale.message, new RegExp(sidecar.socket));
    assert.deepEqual(forever.service("web").instances, []);
  });

  test("a sidecar that stands still is noticed once a request fails", async () => {
    const sidecar = await new Sidecar("still").start();
    const registry = await open({ path: sidecar.socket });
    await registry.register({ name: "web", port: 7300, address: "127.0.0.1" });
    const web = registry.service("web");
    await web.wait(1);
    sidecar.stop();
    const pick = web.pick();
    pick.failed();
    pick.end();
    await until(() => web.snapshot.staleMs > 0);
    assert.match(registry.stats().why_not, /it has answered nothing for 2 s/);
    assert.equal(web.instances.length, 1);
    sidecar.resume();
    await until(() => web.snapshot.staleSince === null);
    assert.equal(registry.stats().losses, 0);
  });

  test("without a sidecar a lookup gives up after the timeout, and says why", async () => {
    const path = join(tmpdir(), "no-such-sidecar.sock");
    const registry = await open({ path, timeoutMs: 30 });
    assert.throws(() => registry.service("web").instances, { code: "not_synced" });
    await assert.rejects(registry.service("web").lookup(), (error) => {
      assert.equal(error.code, "not_synced");
      assert.match(error.message, /no sidecar answers on .*no-such-sidecar.sock: start one/);
      return true;
    });
    await assert.rejects(registry.register({ name: "web", port: 1 }), { code: "unreachable" });
  });

  test("a program that is no sidecar is told apart", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "gr-"));
    const path = join(folder, "x.sock");
    const server = createServer((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\n[]nonsense\n")),
    );
    await new Promise((resolve) => server.listen(path, resolve));
    context.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    const registry = await open({ path });
    const refused = assert.rejects(registry.service("web").lookup(), { code: "refused" });
    await until(() => /is not a sidecar of this release/.test(registry.stats().why_not));
    registry.close();
    await refused;
  });
});

describe("where the socket is", () => {
  let folder;
  before(() => (folder = mkdtempSync(join(tmpdir(), "gr-"))));
  after(() => rmSync(folder, { recursive: true }));
  const inFolder = (name, env) => {
    const place = join(folder, name);
    mkdirSync(place, { recursive: true });
    return { place, env: env(place) };
  };

  test("a named socket is taken, and one that is too long is refused", async () => {
    assert.equal(await findSocket("/x/y.sock", {}), "/x/y.sock");
    assert.equal(await findSocket(null, { GOSSIPREG_SOCKET: "/x/z.sock" }), "/x/z.sock");
    await assert.rejects(findSocket(`/${"x".repeat(107)}`, {}), /has 108 bytes, and the system allows 107/);
  });

  test("the only file of all folders is taken without a question", async () => {
    const { place, env } = inFolder("one", (XDG_RUNTIME_DIR) => ({ XDG_RUNTIME_DIR, TMPDIR: XDG_RUNTIME_DIR }));
    mkdirSync(join(place, "gossipreg"));
    writeFileSync(join(place, "gossipreg", "web.sock"), "");
    assert.equal(await findSocket(null, env), join(place, "gossipreg", "web.sock"));
  });

  test("the first folder with a living sidecar decides, and two in it are too many", async (context) => {
    const { place, env } = inFolder("two", (XDG_RUNTIME_DIR) => ({ XDG_RUNTIME_DIR, TMPDIR: XDG_RUNTIME_DIR }));
    const own = join(place, `gossipreg-${process.getuid()}`);
    mkdirSync(own);
    mkdirSync(join(place, "gossipreg"));
    writeFileSync(join(place, "gossipreg", "dead.sock"), "");
    const listen = (path) => new Promise((resolve) => servers.push(createServer().listen(path, resolve)));
    const servers = [];
    context.after(() => servers.forEach((server) => server.close()));
    await listen(join(own, "a.sock"));
    assert.equal(await findSocket(null, env), join(own, "a.sock"));
    await listen(join(own, "b.sock"));
    await assert.rejects(findSocket(null, env), /several sidecars found, .*a\.sock, .*b\.sock/);
  });

  test("no sidecar at all: the error names the folders", async () => {
    const { place, env } = inFolder("none", (TMPDIR) => ({ TMPDIR }));
    await assert.rejects(findSocket(null, env), new RegExp(`no sidecar found in .*or ${place}`));
  });

  test(
    "a folder of another user is not trusted",
    { skip: process.getuid() !== 0 && "only root can give a folder away" },
    async () => {
      const { place, env } = inFolder("other", (TMPDIR) => ({ TMPDIR }));
      const own = join(place, `gossipreg-${process.getuid()}`);
      mkdirSync(own);
      writeFileSync(join(own, "gossipreg.sock"), "");
      chownSync(own, 12345, 12345);
      await assert.rejects(findSocket(null, env), /it belongs to uid 12345 and is not trusted/);
    },
  );
});
