// The Response that a program gets for an answer of node:http. Its body streams: the request is in flight until the
// body has ended, was cancelled, or the program has lost the Response.

import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { isDisturbed, pipeline } from "node:stream";
import { FAILURE, NEUTRAL, SUCCESS } from "../picking/outcomes.mjs";

/** Statuses whose responses have no body. */
const WITHOUT_BODY = new Set([101, 204, 205, 304]);
const DECODERS = new Map([
  ["gzip", createGunzip],
  ["x-gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
]);

/** A Response that nobody can read any more, and of whose body nothing was read: free its connection. */
const lost = new FinalizationRegistry(({ source, body, end }) => {
  if (body.locked || isDisturbed(body)) return;
  end(NEUTRAL);
  source.destroy();
});

/**
 * source: the IncomingMessage. end(outcome): called once, when the body is over. signal: of the caller, for whom the
 * body ends when it is aborted; or null.
 */
export function makeResponse(source, { method, url, redirected, end, signal }) {
  try {
    const headers = headersOf(source);
    const isEmpty = method === "HEAD" || WITHOUT_BODY.has(source.statusCode);
    const body = isEmpty ? null : bodyOf(source, headers, end, signal);
    const init = { status: source.statusCode, statusText: source.statusMessage, headers };
    const response = new Response(body, init);
    Object.defineProperties(response, { url: { value: url.href }, redirected: { value: redirected } });
    if (body !== null) lost.register(response, { source, body, end });
    else ended(source, end);
    return response;
  } catch (error) {
    end(FAILURE); // a status or a header that no Response can have
    source.destroy();
    throw new TypeError(`fetch failed: ${method} ${url.origin}: the answer is no HTTP: ${error.message}`, {
      cause: error,
    });
  }
}

function headersOf(source) {
  const headers = new Headers();
  for (let at = 0; at < source.rawHeaders.length; at += 2) {
    headers.append(source.rawHeaders[at], source.rawHeaders[at + 1]);
  }
  return headers;
}

function ended(source, end) {
  source.resume();
  end(SUCCESS);
}

/** The body as a stream for the program, decoded as fetch does. */
function bodyOf(source, headers, end, signal) {
  const decoders = [];
  for (const coding of (headers.get("content-encoding") ?? "").toLowerCase().split(",").reverse()) {
    if (!coding.trim()) continue;
    const make = DECODERS.get(coding.trim());
    if (make === undefined) {
      decoders.length = 0; // an encoding that fetch does not know either: the program gets the bytes
      break;
    }
    decoders.push(make());
  }
  const last = decoders.length ? pipeline(source, ...decoders, () => {}) : source;
  source.once("end", () => end(SUCCESS));
  source.once("error", () => end(FAILURE));
  source.once("close", () => end(SUCCESS)); // cancelled by the program, which had its answer
  return webStream(source, last, end, signal);
}

function webStream(source, last, end, signal) {
  let controller;
  let isOver = false;
  const abort = () => {
    end(NEUTRAL);
    fail(signal.reason);
    source.destroy();
  };
  function finish() {
    if (isOver) return false;
    isOver = true;
    signal?.removeEventListener("abort", abort);
    return true;
  }
  function fail(error) {
    if (finish()) controller.error(error);
  }
  last.on("data", (piece) => {
    if (isOver) return;
    controller.enqueue(new Uint8Array(piece.buffer, piece.byteOffset, piece.length));
    if (controller.desiredSize <= 0) last.pause();
  });
  last.once("end", () => finish() && controller.close());
  last.once("close", () => fail(new TypeError("the answer was closed before its body had ended")));
  for (const stream of new Set([source, last])) {
    stream.once("error", (error) =>
      fail(new TypeError(`the body of the answer broke: ${error.message}`, { cause: error })),
    );
  }
  signal?.addEventListener("abort", abort, { once: true });
  return new ReadableStream(
    {
      start: (given) => void (controller = given),
      pull: () => void last.resume(),
      cancel() {
        finish();
        source.destroy();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: 64 << 10 }),
  );
}
