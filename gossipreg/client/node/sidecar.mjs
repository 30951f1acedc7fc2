// HTTP/1.1 with the sidecar over its unix socket: `POST /rpc/METHOD` with JSON, and streams of JSON lines. See
// `gossipreg docs local-socket`.

import { request } from "node:http";
import { busyTimer } from "./clock.mjs";
import { Unreachable, answeredError } from "./errors.mjs";
import { whyNot } from "./socket-path.mjs";

/** What a client takes from its own sidecar in one answer or line: more than a lookup of the largest table gives. */
const ANSWER_MAX = 64 << 20;
const ERROR_MAX = 64 << 10;
const LINES = "application/x-ndjson";

/** Call a method, and return its result. Rejects with the error that the sidecar answered, or with Unreachable, whose
 * `neverSent` says whether it is certain that the sidecar got nothing. `agent`: keeps connections for further calls;
 * left out, each call has its own. */
export function callSidecar(path, method, params, timeoutS, agent = false) {
  return new Promise((resolve, reject) => {
    const sent = post(path, method, params, "application/json", { agent });
    const timer = busyTimer(() => {
      const why = `the sidecar on ${path} does not answer: ${method}`;
      if (sent.socket) fail(new Unreachable(why));
      else fail(neverSent(`${why}: ${agent.maxSockets} calls of this program wait for their answers already`));
    }, timeoutS);
    function fail(error) {
      clearTimeout(timer);
      reject(error);
      sent.destroy();
    }
    sent.on("error", (error) => {
      const why = whyNot(path, error);
      fail(error.syscall === "connect" ? neverSent(why) : new Unreachable(why));
    });
    sent.on("response", (response) => {
      readAll(response, ANSWER_MAX).then(
        (body) => {
          clearTimeout(timer);
          settle(path, response.statusCode, body, resolve, reject);
        },
        (error) => fail(new Unreachable(`the sidecar on ${path} broke the connection: ${error.message}`)),
      );
    });
  });
}

/**
 * Open a stream, and hand each line on, as a value. The socket does not keep the process alive, unless `ref` is true.
 * `further`: whether parameters of further calls may be sent later. Returns {send(params), close(), unref()}.
 *
 * onLine(value) throws if it is no line of a sidecar. onPause(): all that has come was handed on. onEnd(error): the
 * stream has ended, once, unless it was closed here.
 */
export function openStream(path, method, params, { onLine, onPause, onEnd, ref = false, further = false }) {
  const sent = post(path, method, params, LINES, { further });
  let over = false;
  function end(error) {
    if (over) return;
    over = true;
    sent.destroy();
    onEnd(error);
  }
  sent.on("socket", (socket) => void (ref || socket.unref()));
  let waiting = ""; // calls of the same turn of the loop go in one piece
  function flush() {
    if (!over) sent.write(waiting);
    waiting = "";
  }
  const unref = () => void sent.socket?.unref();
  sent.on("error", (error) => end(new Unreachable(whyNot(path, error))));
  sent.on("response", (response) => {
    response.on("error", (error) =>
      end(new Unreachable(`the sidecar on ${path} broke the connection: ${error.message}`)),
    );
    if (response.statusCode !== 200) {
      readAll(response, ERROR_MAX).then((body) => settle(path, response.statusCode, body, end, end), end);
      return;
    }
    const lines = new LineReader(onLine);
    response.setEncoding("utf8");
    response.on("data", (text) => {
      if (over) return;
      try {
        lines.feed(text, () => over);
        if (!over) onPause();
      } catch (error) {
        const why = error instanceof Unreachable ? error.message : notASidecar(path, error.message);
        end(new Unreachable(why));
      }
    });
    response.on("end", () => end(new Unreachable(`the sidecar on ${path} closed the connection`)));
  });
  return {
    unref,
    send(params) {
      if (!waiting) queueMicrotask(flush);
      waiting += `${JSON.stringify(params)}\n`;
    },
    close() {
      over = true;
      sent.destroy();
    },
  };
}

function neverSent(why) {
  return Object.assign(new Unreachable(why), { neverSent: true });
}

/** `further`: whether the body goes on, with a call in each line. */
function post(path, method, params, accept, { further = false, agent = false }) {
  const body = Buffer.from(`${JSON.stringify(params)}\n`);
  const headers = { accept, host: "sidecar", "content-type": further ? LINES : "application/json" };
  if (!further) headers["content-length"] = body.length;
  const sent = request({ socketPath: path, path: `/rpc/${method}`, method: "POST", agent, headers });
  if (further) sent.write(body);
  else sent.end(body);
  return sent;
}

/** Takes JSON lines apart. A line may come in many pieces, so they are joined once. */
class LineReader {
  #onLine;
  #pieces = [];
  #held = 0;

  constructor(onLine) {
    this.#onLine = onLine;
  }

  feed(text, isOver) {
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0 && !isOver(); end = text.indexOf("\n", start)) {
      const line = this.#pieces.join("") + text.slice(start, end);
      this.#pieces = [];
      this.#held = 0;
      start = end + 1;
      if (line) this.#onLine(JSON.parse(line));
    }
    if (start < text.length) {
      this.#pieces.push(text.slice(start));
      this.#held += text.length - start;
      if (this.#held > ANSWER_MAX) throw new RangeError(`a line has more than ${ANSWER_MAX} characters`);
    }
  }
}

async function readAll(response, bound) {
  const pieces = [];
  let size = 0;
  for await (const piece of response) {
    size += piece.length;
    if (size > bound) throw new RangeError(`the answer has more than ${bound} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function settle(path, status, body, resolve, reject) {
  let answer;
  try {
    answer = JSON.parse(body);
  } catch {
    reject(new Unreachable(notASidecar(path, `HTTP status ${status} without JSON`)));
    return;
  }
  if (status === 200) resolve(answer);
  else if (typeof answer?.error?.code === "string") reject(answeredError(answer.error));
  else reject(new Unreachable(notASidecar(path, `HTTP status ${status}`)));
}

function notASidecar(path, why) {
  return `the program on ${path} is not a sidecar of this release: ${why}`;
}
