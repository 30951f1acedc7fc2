// What the types of the client allow, and what they refuse: compiled, never run.

import http from "node:http";
import { connect, NoInstance, type Instance, type Snapshot } from "gossipreg";
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
