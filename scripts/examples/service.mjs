// A service in Node.js that registers with the sidecar beside it, finds the others of its kind, and greets them.
//
//   gossipreg join --http unix:/run/gossipreg/http.sock --dns 127.0.0.1:8600
//   REGISTRY=/run/gossipreg/http.sock DNS=127.0.0.1:8600 node service.mjs hello
//
// No packages: `http.request({socketPath})` speaks to the sidecar, `dns.Resolver` asks it (where DNS is set). It answers
// `GET /` with its id, and prints the ids of those that it reaches whenever that changes. The sidecar takes it out when
// its check fails, or when it says goodbye on SIGTERM.

import dns from "node:dns";
import http from "node:http";

const [name = "hello"] = process.argv.slice(2);
const socketPath = process.env.REGISTRY;
const id = `${name}-node-${process.pid}`;

// One request to the sidecar; the parsed answer and the index to wait beyond.
function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? "" : JSON.stringify(body);
    const headers = { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(data) };
    const request = http.request({ socketPath, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => {
        if (response.statusCode !== 200) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve({ index: response.headers["x-consul-index"], value: text ? JSON.parse(text) : null });
      });
    });
    request.on("error", reject);
    request.end(data);
  });
}

function greet(address, port) {
  return new Promise((resolve) => {
    const request = http.get({ host: address, port, path: "/", timeout: 1000 }, (response) => {
      let text = "";
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(text));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(null));
  });
}

async function byDns() {
  if (!process.env.DNS) return null;
  const resolver = new dns.promises.Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([process.env.DNS]);
  try {
    return (await resolver.resolveSrv(`${name}.service.consul`)).map((one) => one.port).sort((a, b) => a - b);
  } catch (error) {
    if (error.code === dns.NOTFOUND || error.code === dns.NODATA) return [];
    throw error;
  }
}

const server = http.createServer((_request, response) => response.end(id));
server.listen(0, "127.0.0.1", async () => {
  const { port } = server.address();
  await ask("PUT", "/v1/agent/service/register", {
    Name: name, ID: id, Address: "127.0.0.1", Port: port, Meta: { language: "node" },
    Check: { HTTP: `http://127.0.0.1:${port}/`, Interval: "250ms", Timeout: "200ms", Status: "passing" },
  });
  process.once("SIGTERM", async () => {
    await ask("PUT", `/v1/agent/service/deregister/${id}`);
    process.exit(0);
  });
  let index = 0;
  let before = "";
  for (;;) {
    try {
      const found = await ask("GET", `/v1/health/service/${name}?passing&index=${index}&wait=30s`);
      index = found.index;
      const greeted = await Promise.all(found.value.map((one) => greet(one.Service.Address, one.Service.Port)));
      const line = greeted.filter((one) => one !== null).sort().join(" ");
      if (line !== before) console.log(`${id} sees ${line}; dns ${JSON.stringify(await byDns())}`);
      before = line;
    } catch (error) {
      // The sidecar is being restarted: ask again soon, and anew.
      console.error(error.message);
      index = 0;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
});
