// What the types of the client allow, and what they refuse: compiled, never run.

import http from "node:http";
import { connect, NoInstance, Participant, ParticipantAnswer, Reject, Retry, StepRefused } from "gossipreg";
import type { Event, Instance, Published, Snapshot } from "gossipreg";
import { loadMiddleware, withLoad } from "gossipreg/load";
import { observe } from "gossipreg/otel";

const registry = await connect({ timeoutMs: 100, maxStaleMs: null, tls: { ca: "x" } });
const found: readonly Instance[] = await registry.service("billing", { tags: ["v2"] }).lookup();
const snapshot: Snapshot = registry.service("billing").snapshot;
const length: number = await registry
  .service("billing")
  .call((instance, { signal }) => (signal.aborted ? 0 : instance.port));
const response: Response = await registry.fetch(new URL("http://billing.service"), { method: "PUT" }, { hedge: true });
http.createServer(withLoad((request, answer) => answer.end(request.url)));
loadMiddleware()(new http.IncomingMessage(null as never), null as never, () => {});
if (new Error() instanceof NoInstance) console.log(found, snapshot, length, response);

type Order = { id: number };
const published: Published = await registry.publish("order.created", { id: 7 }, { keepMs: 1 });
const group = { group: "mail", onDead: "hold" } as const;
const subscription = await registry.subscribe<Order>(["order.*"], group, async ({ data }) => {
  if (data.id < published.copies) throw new Retry({ afterMs: 5 });
  throw new Reject(published.id);
});
await subscription.close({ timeoutMs: 1 });
for await (const event of registry.events("order.*", { broadcast: true })) {
  const same: Event = event;
  const result: number = await event.run(async () => same.attempt + event.index);
  event.retry({ afterMs: result, reason: event.key });
}

const paid: number = await registry.saga("create-order", { input: { n: 1 }, timeoutMs: 5 }, async (saga) => {
  await saga.after("mail", "mailer", "POST", "/mails", { json: {} });
  const { status } = await saga.step("pay", "billing", "PUT", "/{key}", { undo: ["DELETE", "/{key}"] });
  return status || saga.abort("not paid");
});
const step = { name: "pay", service: "billing", method: "PUT", path: "/{key}", undo: null };
const [first] = await registry.saga("create-order", {}, (saga) => saga.steps([step, { ...step, optional: true }]));
const run = await registry.runSaga({ name: "create-order" }, { id: first?.step ?? "none", timeoutMs: 5 });
await registry.runSaga("name = 1", { id: "s1", journal: await registry.sagaJournal() });
if (run.exists && run.decision === "abort") console.log((await registry.runSaga("name = 1")).copies + 1);
if (!(await registry.sagaOf("s1").wait({ until: "ended" })).isCommitted) console.log(paid);
declare const database: { exec(script: string): void; prepare(statement: string): any };
http.createServer((request, answer) =>
  new Participant(database).do(request.headers["x"]?.toString(), () => new ParticipantAnswer(422)).send(answer),
);
if (new Error() instanceof StepRefused) console.log((new Error() as StepRefused).answer.status);

// @ts-expect-error: an option that does not exist
await registry.saga("create-order", { timeout: 5 }, () => {});
// @ts-expect-error: an option that does not exist
await registry.runSaga({}, { timeout: 5 });
// @ts-expect-error: there is no service
await registry.saga("create-order", {}, (saga) => saga.steps([{ name: "pay", method: "PUT", path: "/", undo: null }]));
// @ts-expect-error: there is no service
await registry.saga("create-order", {}, (saga) => saga.step("pay", { undo: null }));
// @ts-expect-error: an option that does not exist
await registry.publish("order.created", 1, { timeout: 5 });
// @ts-expect-error: a group, or broadcast
registry.events("order.*", {});
// @ts-expect-error: one of them
registry.events("order.*", { group: "mail", broadcast: true });
// @ts-expect-error: an event does not change
await registry.subscribe("order.*", { group: "mail" }, (event) => (event.id = "x"));
// @ts-expect-error: an option that does not exist
await connect({ timeout: 5 });
// @ts-expect-error: instances do not change
found[0].port = 1;
// @ts-expect-error: the list does not either
found.push(found[0]);
// @ts-expect-error: a policy that does not exist
registry.service("billing").configure({ policy: "nearest" });
// @ts-expect-error: a meter is needed
observe(registry);
// @ts-expect-error: a service has a name
await registry.register({ port: 1 });
// @ts-expect-error: the fallback of fetch is a name
await registry.fetch("http://billing.service", {}, { fallback: () => 1 });
// @ts-expect-error: made by connect alone
new registry.constructor.Registry();
