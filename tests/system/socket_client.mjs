// A program for Node.js that uses the local socket over HTTP with nothing but what Node has; argv: the socket's path.
// It registers a service for its own life, watches it, updates it, and prints what it is told, one JSON text a line.
import http from "node:http";
import readline from "node:readline";

const socketPath = process.argv[2];

function post(method, params, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path: `/rpc/${method}`, method: "POST", headers }, resolve);
    request.on("error", reject);
    request.end(JSON.stringify(params));
  });
}

async function call(method, params) {
  const response = await post(method, params);
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) };
}

async function lines(response, take) {
  for await (const line of readline.createInterface({ input: response })) if (take(JSON.parse(line))) return;
}

const held = await post("register", { name: "held", port: 80, attach: true }, { Accept: "application/x-ndjson" });
await lines(await post("watch", { names: ["held", "none"], state: true }), (line) => {
  console.log(JSON.stringify(line));
  if (line.method === "watch" && line.params.change.kind === "current" && line.params.watch === 2) {
    call("register", { name: "held", port: 80, id: "second", weight: 7 }).then((answer) => console.log(JSON.stringify(answer)));
  }
  return line.method === "watch" && line.params.change.kind === "added";
});
console.log(JSON.stringify(await call("lookup", { nam: "held" })));
held.destroy();
process.exit(0);
