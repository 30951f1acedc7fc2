// A service in Node.js that calls another one, `billing`, through the client, and registers itself.
//
//   GOSSIPREG_SOCKET=/run/gossipreg/gossipreg.sock node stock.mjs 8201
//
// `GET /` answers with its name. `GET /order` asks an instance of billing, and answers with both names.

import { createServer } from "node:http";
import { connect } from "../../gossipreg/client/node/index.mjs"; // in a program of yours: from "gossipreg"
import { withLoad } from "../../gossipreg/client/node/load.mjs"; // and from "gossipreg/load"

const port = Number(process.argv[2]);
const name = `stock-${port}`;
const registry = await connect();

async function order(response) {
  try {
    const answer = await registry.fetch("http://billing.service/", {}, { deadlineMs: 10_000 });
    if (!answer.ok) throw new Error(`billing answered ${answer.status}`);
    response.end(`${name} ${await answer.text()}`);
  } catch (error) {
    console.error(`${name}: no order: ${error.message}`);
    response.writeHead(503).end(error.message);
  }
}

const server = createServer(
  withLoad((request, response) => {
    if (request.url === "/order") order(response);
    else response.end(name);
  }),
);

server.listen(port, "127.0.0.1", async () => {
  const check = `http://127.0.0.1:${port}/,interval=1s,timeout=5s`;
  const held = await registry.register({ name: "stock", port, address: "127.0.0.1", check });
  process.once("SIGTERM", () => {
    held.close(); // first out of the answers, then served to the end
    server.close(() => registry.close());
  });
});
