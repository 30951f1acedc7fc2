// A sidecar for histories of sagas: a test says what it answers, loses, forgets.

import http from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const JOURNAL = "ab".repeat(16);
/** An answer: the connection ends without one. */
export const CLOSE = Symbol("close");

export const failure = (code, message = "as asked") => ({ error: { code, message } });
export const stepAnswer = (changed = {}) => ({
  ...{ state: "done", status: 200, content_type: "application/json", body: '{"n":7}', cut: false, attempts: 1 },
  ...{ text: "", ...changed },
});
export const story = (changed = {}) => ({
  ...{ saga: `${JOURNAL}.s1`, name: "create-order", state: "running", decision: null, reason: "", steps: [] },
  ...changed,
});
export const begun = ({ id }) => ({ saga: `${JOURNAL}.${id}`, id, state: "running", copies: 3, takeover: true });

export class SagaSidecar {
  /** By method without `saga-`: the next answers, each a value, an error, CLOSE, or a function of the parameters. */
  script = {};
  usual = {
    begin: begun,
    run: begun,
    step: () => stepAnswer(),
    after: () => ({}),
    commit: () => ({ state: "committed" }),
    abort: () => ({ state: "aborted" }),
    show: ({ saga }) => story({ saga }),
    wait: ({ saga }) => story({ saga, state: "committed", decision: "commit" }),
  };
  seen = [];
  accepted = 0;
  sockets = new Set();
  #folder = mkdtempSync(join(tmpdir(), "gr-"));
  #server;
  path = join(this.#folder, "fake.sock");

  /** Without those that only say that the program is there: they may come whenever a connection was lost. */
  get methods() {
    return this.seen.filter(([, params]) => params.program === undefined).map(([method]) => method);
  }

  params(method) {
    return this.seen.filter(([one]) => one === method).map(([, params]) => params);
  }

  async start() {
    this.#server = http.createServer((request, response) => this.#serve(request, response));
    this.#server.on("connection", (socket) => {
      this.accepted++;
      this.sockets.add(socket);
      socket.on("error", () => {}).on("close", () => this.sockets.delete(socket));
    });
    await new Promise((resolve) => this.#server.listen(this.path, resolve));
    return this;
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  async end() {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #serve(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const method = request.url.replace("/rpc/saga-", "");
    const params = JSON.parse(Buffer.concat(pieces));
    this.seen.push([method, params]);
    const isScripted = params.program === undefined && this.script[method]?.length;
    let answer = isScripted ? this.script[method].shift() : this.usual[method];
    while (typeof answer === "function") answer = await answer(params);
    if (answer === CLOSE) response.socket.destroy();
    else response.writeHead(answer.error === undefined ? 200 : 503).end(JSON.stringify(answer));
  }
}
