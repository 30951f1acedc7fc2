// A sidecar for histories that no real one gives at will: a test says what is answered, and when.

import http from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { until } from "./sidecars.mjs";

const PUBLISHED = { source: "fake", copies: 3, takeover: true, duplicate: false, groups: 1 };

/** One subscription of a client. */
class FakeStream {
  /** {method, params} that the client said after `subscribe`. */
  said = [];
  /** Whether what it says is answered. */
  answers = true;

  constructor(params, response) {
    this.params = params;
    this.response = response;
    this.number = 0;
  }

  line(value) {
    this.response.write(`${JSON.stringify(value)}\n`);
  }

  accept() {
    this.response.writeHead(200, { "content-type": "application/x-ndjson" });
    this.line({ result: { subscription: 1 } });
  }

  /** Deliver an event; more: of the notification, with `event` for the attributes. Returns the delivery's number. */
  event({ event = {}, ...more } = {}) {
    const delivery = more.delivery ?? ++this.number;
    const document = { specversion: "1.0", id: `e${delivery}`, source: "s", type: "order.created", ...event };
    const params = { subscription: 1, delivery, group: "g", attempt: 1, journal: "j", index: delivery, ...more };
    this.line({ method: "event", params: { ...params, event: document } });
    return delivery;
  }

  dropped(delivery) {
    this.line({ method: "dropped", params: { subscription: 1, delivery } });
  }

  took({ method, params }) {
    this.said.push({ method, params });
    if (this.answers) this.line({ result: { known: 1 } });
  }

  /** What it said by this method, in short: [delivery, ...]. */
  of(method) {
    return this.said.filter((one) => one.method === method).flatMap(({ params }) => params.delivery);
  }

  break() {
    this.response.socket.destroy();
  }
}

export class FakeSidecar {
  streams = [];
  /** The parameters of each `publish` that came. */
  published = [];
  /** From the parameters and the number of the publish, what it does with the response. */
  onPublish = (params, response) => FakeSidecar.answer(response, { ...PUBLISHED, id: params.id });
  /** What a subscription is told. */
  onSubscribe = (stream) => stream.accept();
  #folder = mkdtempSync(join(tmpdir(), "gr-"));
  #server;
  #sockets = new Set();
  path = join(this.#folder, "fake.sock");

  async start() {
    this.#server = http.createServer((request, response) => this.#serve(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
    });
    await new Promise((resolve) => this.#server.listen(this.path, resolve));
    return this;
  }

  /** End it, with all its connections. `start` begins it again. */
  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async end() {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The stream of the n-th subscription, counted from 0, once it is there. */
  async stream(number = 0) {
    return until(() => this.streams[number], `the subscription number ${number}`);
  }

  async #serve(request, response) {
    let stream = null;
    try {
      for await (const line of createInterface({ input: request })) {
        const value = JSON.parse(line);
        if (stream !== null) {
          stream.took(value);
        } else if (request.url === "/rpc/publish") {
          this.published.push(value);
          this.onPublish(value, response, this.published.length);
        } else {
          stream = new FakeStream(value, response);
          this.streams.push(stream);
          this.onSubscribe(stream, this.streams.length);
        }
      }
    } catch {
      // the client has closed the connection
    }
  }

  static answer(response, result) {
    response.end(JSON.stringify(result));
  }

  static refuse(response, code, message = code, status = 503) {
    response.writeHead(status).end(JSON.stringify({ error: { code, message } }));
  }
}
