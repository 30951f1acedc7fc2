// One sidecar for all tests of a file, and services of real servers.

import { after, afterEach, before } from "node:test";
import { client } from "./client.mjs";
import { endServers } from "./servers.mjs";
import { Sidecar } from "./sidecars.mjs";

const { connect } = await client("index.mjs");

/** A registry that is connected before the first test, and a function that makes services in it. */
export function testServices(options = {}) {
  let current;
  let number = 0;
  before(async () => {
    const sidecar = await new Sidecar("f").start();
    current = await connect({ path: sidecar.socket, timeoutMs: 60_000, ...options });
  });
  after(async () => {
    current.close();
    await Sidecar.endAll();
  });
  afterEach(endServers);
  const registry = {
    fetch: (...given) => current.fetch(...given),
    service: (...given) => current.service(...given),
    get path() {
      return current.path;
    },
  };
  /** A service of its own name with an instance at each of these ports. */
  async function service(ports, more = {}) {
    const name = more.name ?? `svc-${++number}`;
    for (const port of ports) await current.register({ port, address: "127.0.0.1", ...more, name });
    await current.service(name).wait(ports.length);
    return current.service(name);
  }
  return { registry, service };
}

export function url({ name }, path = "/") {
  return `http://${name}.service${path}`;
}
