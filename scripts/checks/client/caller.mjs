// A program in Node.js that looks up and calls, many at once: `node caller.mjs SOCKET RECORDS CALLERS`. It writes records
// as `records.py` reads them, and ends with SIGTERM: the process has to end by itself then.

import { closeSync, openSync, writeSync } from "node:fs";
import { connect } from "../../../gossipreg/client/node/index.mjs";

const [path, recordsPath, callers] = process.argv.slice(2);
const SERVICES = ["billing", "stock", "mail"];
const DEADLINE_MS = 10_000;
const PAUSE_MS = 150; // the mean of a caller's pauses
const LOOKUPS = 200; // at once, as one record
const registry = await connect({ path, timeoutMs: 30_000 });
const records = openSync(recordsPath, "a");
const seconds = () => Number(process.hrtime.bigint()) / 1e9;
let ended = false;

function note(worker, kind, took, service, answer) {
  const fields = [seconds().toFixed(6), worker, kind, took.toFixed(7), 0, service, answer.replace(/\s+/g, " ")];
  writeSync(records, `${fields.join("\t")}\n`);
}

async function lookup(name) {
  const service = registry.service(name);
  let instances = await service.lookup();
  for (let number = 1; number < LOOKUPS; number++) instances = service.instances;
  return instances.map((one) => `${one.service} ${one.id}`).join(",");
}

async function fetched(name, options) {
  const answer = await registry.fetch(`http://${name}.service/`, {}, { deadlineMs: DEADLINE_MS, ...options });
  const text = await answer.text();
  return answer.ok ? text : `!Status${answer.status}: ${text}`;
}

const WAYS = [
  ["node lookup", lookup],
  ["node fetch", (name) => fetched(name, {})],
  ["node hedged", (name) => fetched(name, { hedge: true })],
];

async function work(worker) {
  while (!ended) {
    const [kind, how] = WAYS[Math.floor(Math.random() * WAYS.length)];
    const service = SERVICES[Math.floor(Math.random() * SERVICES.length)];
    const start = seconds();
    let answer;
    try {
      answer = await how(service);
    } catch (error) {
      answer = `!${error.name}: ${error.message}`; // what a program gets: the judge knows what may be
    }
    const took = seconds() - start;
    note(worker, kind, kind === "node lookup" ? took / LOOKUPS : took, service, answer);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * PAUSE_MS));
  }
}

process.once("SIGTERM", () => (ended = true));
await Promise.all(Array.from({ length: Number(callers) }, (_, number) => work(`node ${number}`)));
note("the program in Node.js", "ended", 0, "-", String(registry.stats().losses));
registry.close();
closeSync(records);
