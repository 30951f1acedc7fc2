// Take orders, as api.py does, in Node.js.
//
//   node api.mjs PORT
//
// In a program of your own the import is `from "gossipreg"`, after `npm install "$(gossipreg client node --print-path)"`.

import { createServer } from "node:http";
import { connect, StepRefused } from "../../client/node/index.mjs";

const registry = await connect({ service: "api" });

// Reserve, then pay. An exception in the function aborts the saga: what was done is undone, whoever dies now.
async function createOrder(order) {
  try {
    return await registry.saga("create-order", { id: order.order, input: order }, async (saga) => {
      await saga.step("reserve", "stock", "PUT", "/reservations/{key}", {
        json: { order: "{input.order}", item: "{input.item}" },
        undo: ["DELETE", "/reservations/{key}"],
      });
      await saga.step("pay", "billing", "PUT", "/payments/{key}", {
        json: { order: "{input.order}", cents: "{input.cents}", card: "{input.card}" },
        undo: ["DELETE", "/payments/{key}"],
      });
      // After the commit, and tried until they are done.
      await saga.after("mail", "mail", "POST", "/receipts", { json: { order: "{input.order}" } });
      await saga.after("announce", "api", "POST", "/announcements", {
        json: { order: "{input.order}", customer: "{input.customer}" },
      });
      return [201, { saga: saga.saga }];
    });
  } catch (error) {
    if (error instanceof StepRefused) return [422, { why: error.answer.text }];
    return [503, { why: error.message }];
  }
}

// Publish that the order was created. The same source and id are one event, however often this is asked for.
async function announce(order) {
  await registry.publish("order.created", order, { source: "shop", id: order.order, key: order.customer });
  return [200, { announced: order.order }];
}

const routes = { "/orders": createOrder, "/announcements": announce };

async function answer(request) {
  if (request.method === "GET") return [200, { well: true }]; // the health check
  const route = routes[request.url];
  if (!route) return [404, { why: `no such path: ${request.url}` }];
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return route(JSON.parse(Buffer.concat(pieces)));
}

const server = createServer(async (request, response) => {
  const [status, content] = await answer(request).catch((error) => [500, { why: error.message }]);
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(content));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
