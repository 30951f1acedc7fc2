// What one stream says, and what it changes, without a sidecar: the lines come from here, and so does the time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { client } from "./client.mjs";

const { Conversation } = await client("watching/conversation.mjs");
const { ServiceFeed } = await client("watching/feed.mjs");
const { SidecarTrust } = await client("watching/state.mjs");

const SYNCED = {
  cluster: "prod",
  node: "a",
  name: "a",
  zone: "",
  run: "1",
  knowledge: "synced",
  not_synced_because: "",
  others: true,
};

function instance(node, port, more = {}) {
  const shape = { id: `web-${port}`, service: "web", node, node_name: node, address: "10.0.0.1", port, tags: [] };
  return { ...shape, meta: {}, weight: 1, health: "passing", zone: "", stale: false, version: ["1", port], ...more };
}

/** A service that is followed over the connections of one program. */
class Followed {
  feed = new ServiceFeed("web");
  trust = new SidecarTrust(900);
  now = 0;
  asked = [];
  added = [];
  refused = [];
  renewals = 0;

  /** A new connection, to a sidecar in this state. */
  connect(state) {
    if (this.conversation !== undefined) {
      this.trust.gone(this.now);
      this.feed.known.disconnected(this.now);
      this.feed.publish();
      this.conversation.end();
    }
    this.conversation = new Conversation({
      path: "x.sock",
      trust: this.trust,
      feeds: [this.feed],
      ask: (method, { nodes }) => new Promise((resolve) => this.asked.push({ method, nodes, resolve })),
      apply: (change) => {
        change(this.now);
        this.conversation.flush(this.now);
      },
      add: (params) => this.added.push(params),
      refused: (feed, error) => this.refused.push([feed.name, error.code]),
      renew: () => this.renewals++,
    });
    this.line({ result: { watches: [7] } });
    this.state(state);
  }

  line(line) {
    this.conversation.takeUntrusted(line, this.now);
    this.conversation.flush(this.now);
  }

  state(state) {
    this.line({ method: "state", params: { ...SYNCED, ...state } });
  }

  change(change) {
    this.line({ method: "watch", params: { watch: 7, change } });
  }

  current(...instances) {
    this.change({ kind: "current", instances });
  }

  /** Answer the oldest question. */
  async answer(unmet) {
    this.asked.shift().resolve(unmet);
    await new Promise(setImmediate);
  }

  pass(seconds) {
    this.now += seconds;
    this.conversation.passTime(this.now);
    this.conversation.flush(this.now);
  }

  get shown() {
    const { instances, staleSince } = this.feed.snapshot;
    return [instances.map(({ node, stale }) => (stale ? `${node}?` : node)).join(" "), staleSince === null];
  }
}

function followed() {
  const found = new Followed();
  found.connect({});
  found.current(instance("a", 1), instance("b", 2), instance("c", 3));
  assert.deepEqual(found.shown, ["a b c", true]);
  return found;
}

test("what an isolated sidecar removes stays, stale, and comes back confirmed", () => {
  const one = followed();
  one.state({ knowledge: "isolated", others: false });
  one.change({ kind: "removed", instance: instance("b", 2) });
  assert.deepEqual(one.shown, ["a b? c", false]);
  one.change({ kind: "removed", instance: instance("a", 1) });
  assert.deepEqual(one.shown, ["b? c", false], "its own services it knows");
  one.state({});
  assert.equal(one.renewals, 1);
  one.current(instance("b", 2), instance("c", 3));
  assert.deepEqual(one.shown, ["b c", true]);
});

test("a list of a sidecar that is not synced removes nothing", () => {
  const one = followed();
  one.connect({ run: "2", knowledge: "last_known" });
  one.current(instance("a", 1), instance("d", 4));
  assert.deepEqual(one.shown, ["a b? c? d", false]);
  one.state({ run: "2" });
  assert.equal(one.renewals, 1);
});

test("members that a restarted sidecar has not met keep their instances for 10 s", async () => {
  const one = followed();
  one.connect({ run: "2" });
  one.current(instance("a", 1));
  assert.deepEqual(one.asked[0].nodes, ["b", "c"]);
  await one.answer(["c"]);
  assert.deepEqual(one.shown, ["a c?", true]);
  one.pass(9.9);
  assert.deepEqual(one.shown, ["a c?", true]);
  one.pass(0.2);
  assert.deepEqual(one.shown, ["a", true]);
});

test("a sidecar that is alone after its restart removes nothing", () => {
  const one = followed();
  one.connect({ run: "2", others: false });
  one.current(instance("a", 1));
  assert.deepEqual(one.shown, ["a b? c?", false]);
});

test("another member is believed once it has met one that we know, or after 10 s", async () => {
  for (const unmet of [["a"], ["a", "b", "c"]]) {
    const one = followed();
    one.connect({ run: "2", node: "z", name: "z" });
    one.current(instance("z", 9));
    assert.deepEqual(one.shown, ["a b c", false]);
    await one.answer(unmet);
    if (unmet.length === 3) {
      assert.equal(one.renewals, 0);
      one.pass(10);
    }
    assert.equal(one.renewals, 1);
  }
});

test("a sidecar of another cluster changes nothing", () => {
  const one = followed();
  one.connect({ run: "2", cluster: "test" });
  one.current(instance("z", 9));
  one.pass(1000);
  assert.deepEqual(one.shown, ["a b c", false]);
});

test("an answer that comes late says nothing about a newer list", async () => {
  const one = followed();
  one.current(instance("a", 1));
  one.current(instance("a", 1), instance("b", 2));
  assert.equal(one.asked.length, 2);
  await one.answer(["b", "c"]);
  assert.deepEqual(one.shown, ["a b c?", false]);
  await one.answer([]);
  assert.deepEqual(one.shown, ["a b", true]);
});

test("lines that no sidecar sends are refused", () => {
  const one = followed();
  assert.throws(() => one.change({ kind: "current", instances: [{ id: 1 }] }), /not an instance/);
  assert.throws(() => one.line({ method: "watch", params: { watch: 8, change: {} } }), /no watch has the number 8/);
  assert.throws(() => one.state({ others: "yes" }), /not the state of a sidecar/);
  assert.throws(() => one.line({ error: { code: "busy", message: "too slow" } }), /ended the stream: too slow/);
});

test("a service that is used later is followed on the same stream, and changes no other", () => {
  const one = followed();
  const { snapshot } = one.feed;
  const later = new ServiceFeed("api");
  assert.equal(one.conversation.follows(later), false);
  one.conversation.watch(later);
  assert.deepEqual([one.added, one.conversation.follows(later)], [[{ names: ["api"] }], true]);
  one.line({ result: { watches: [8] } });
  one.line({ method: "watch", params: { watch: 8, change: { kind: "current", instances: [instance("d", 4)] } } });
  assert.deepEqual(
    later.snapshot.instances.map(({ port, stale }) => [port, stale]),
    [[4, false]],
  );
  assert.equal(one.feed.snapshot, snapshot);
  one.state({ knowledge: "isolated", others: false });
  assert.notEqual(later.snapshot.staleSince, null);
});

test("answers about later services come in the order of the questions", () => {
  const one = followed();
  const [first, second, third] = ["a/b", "busy", "api"].map((name) => new ServiceFeed(name));
  for (const feed of [first, second, third]) one.conversation.watch(feed);
  one.line({ refused: { code: "bad_params", message: "no" } });
  one.line({ refused: { code: "busy", message: "no room" } });
  one.line({ result: { watches: [9] } });
  assert.deepEqual(one.refused, [
    ["a/b", "bad_params"],
    ["busy", "busy"],
  ]);
  assert.deepEqual(
    [first, second, third].map((feed) => one.conversation.follows(feed)),
    [false, false, true],
  );
  assert.throws(() => one.line({ result: { watches: [10] } }), /0 services are asked for/);
  assert.throws(() => one.line({ refused: { code: "busy", message: "no" } }), /nothing was asked for/);
});

test("a service that is used later is not believed before the sidecar is", () => {
  const one = followed();
  one.connect({ run: "2", cluster: "test" });
  const later = new ServiceFeed("api");
  one.conversation.watch(later);
  one.line({ result: { watches: [8] } });
  one.line({ method: "watch", params: { watch: 8, change: { kind: "current", instances: [instance("d", 4)] } } });
  assert.equal(later.snapshot, null);
});
