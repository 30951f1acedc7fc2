// A gRPC client that finds its service by xDS: `node caller.mjs TARGET MODULES`, with the bootstrap in
// GRPC_XDS_BOOTSTRAP_CONFIG. MODULES is the folder of node_modules. What it is told and what it answers stands in
// `mesh_caller.py`.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [target, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const grpc = require("@grpc/grpc-js");
require("@grpc/grpc-js-xds").register();

const METHOD = "/mesh.Where/Ask";
const same = (bytes) => bytes;
const client = new grpc.Client(target, grpc.credentials.createInsecure());
const seconds = () => Number(process.hrtime.bigint()) / 1e9;

function newTally() {
  return { by: {}, errors: {}, longest_s: 0, last_error_at: 0 };
}

function call(tally, timeoutS, wait) {
  const began = seconds();
  const metadata = new grpc.Metadata({ waitForReady: wait });
  const options = { deadline: Date.now() + 1000 * timeoutS };
  return new Promise((done) => {
    client.makeUnaryRequest(METHOD, same, same, Buffer.alloc(0), metadata, options, (error, answer) => {
      tally.longest_s = Math.max(tally.longest_s, seconds() - began);
      if (error) {
        const why = `${grpc.status[error.code]}: ${error.details}`;
        tally.errors[why] = (tally.errors[why] ?? 0) + 1;
        tally.last_error_at = Date.now() / 1000;
      } else {
        const id = answer.toString();
        tally.by[id] = (tally.by[id] ?? 0) + 1;
      }
      done();
    });
  });
}

async function calls({ count, timeout_s, wait }) {
  const tally = newTally();
  for (let number = 0; number < count; number++) await call(tally, timeout_s, wait);
  return tally;
}

let load = null;

function beginLoad({ rate, timeout_s }) {
  const tally = newTally();
  load = { tally, ended: false };
  const mine = load;
  load.over = (async () => {
    await call(tally, timeout_s, false); // one at least, however soon it ends
    while (!mine.ended) {
      await new Promise((done) => setTimeout(done, 1000 / rate));
      if (!mine.ended) await call(tally, timeout_s, false);
    }
  })();
  return {};
}

async function endLoad() {
  load.ended = true;
  await load.over;
  return load.tally;
}

const doings = { calls, begin_load: beginLoad, end_load: endLoad };
for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...asked } = JSON.parse(line);
  console.log(JSON.stringify(await doings[what](asked)));
}
process.exit(0);
