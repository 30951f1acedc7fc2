// What `client_rows.py` measures of the Node.js client. Times are on CLOCK_MONOTONIC, as those of `time.perf_counter`.
//
//     node node_client.mjs watch PATH NAME RECORD_BYTES    the time of each snapshot, in that many bytes
//     node node_client.mjs names PATH COUNT                milliseconds for the first lookups of names: of COUNT names
//                                                          one after the other, then of COUNT others together

import { connect } from "../../gossipreg/client/node/index.mjs";

const [what, path, name, bytes] = process.argv.slice(2);
const registry = await connect({ path, ref: true, timeoutMs: 60_000 });
const now = () => Number(process.hrtime.bigint()) / 1e6;

if (what === "watch") {
  registry.watch(name, () => process.stdout.write((now() / 1000).toFixed(7).padEnd(Number(bytes))));
} else {
  const names = (kind) => Array.from({ length: Number(name) }, (_, number) => `${kind}-${number}`);
  const began = now();
  for (const one of names("single")) await registry.service(one).lookup();
  const between = now();
  await Promise.all(names("together").map((one) => registry.service(one).lookup()));
  console.log(JSON.stringify([between - began, now() - between]));
  registry.close();
}
