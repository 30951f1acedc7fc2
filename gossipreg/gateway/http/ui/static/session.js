// The connection to the sidecar: one stream for the view that is open, opened anew when it is lost.
//
// States: `connecting` (nothing is known yet), `live`, `lost` (with the reason, since when what is shown is old, and when
// the next attempt begins), `token` (the sidecar asks for one), `paused` (nobody looks at the page).
//
// A browser opens at most six connections to a server, for all its tabs together. So a tab that nobody looks at gives its
// own back after a while, and one that is left does so at once, also where the browser keeps it for the way back.

import { readError } from "./rpc.js";
import { readEvents } from "./sse.js";
import { headers, token } from "./token.js";

const SILENCE_MS = 8_000; // the sidecar says something every 3 s, so two of these are missing
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const HIDDEN_MS = 15_000; // somebody who comes back from another tab sooner finds all as it was

export class Session {
  /** `onEvent(kind, data)` and `onState(state)` are told what comes. */
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.attempt = null;
    this.retry = null;
    this.failures = 0;
    this.heardMs = null;
    window.addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.hide() : this.unhide()));
    window.addEventListener("pagehide", () => this.pause());
    window.addEventListener("pageshow", (event) => event.persisted && this.unhide());
  }

  /** Follow a view; `query` are the parameters of the stream. */
  follow(query) {
    this.query = query;
    this.open();
  }

  hide() {
    clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.pause(), HIDDEN_MS);
  }

  unhide() {
    clearTimeout(this.hiding);
    if (this.paused) this.open();
    else this.retryNow();
  }

  pause() {
    if (this.attempt === null && this.retry === null) return; // it waits for the token
    this.attempt?.abort();
    this.attempt = null;
    clearTimeout(this.retry);
    this.retry = null;
    this.paused = true;
    this.onState({ is: "paused" });
  }

  retryNow() {
    if (this.retry !== null) this.open();
  }

  open() {
    this.attempt?.abort();
    clearTimeout(this.retry);
    this.retry = null;
    this.paused = false;
    const attempt = new AbortController();
    this.attempt = attempt;
    if (this.heardMs === null) this.onState({ is: "connecting" });
    this.run(attempt).then(
      () => this.failed(attempt, "the sidecar ended the stream"),
      (error) => this.failed(attempt, error instanceof Problem ? error.message : "the sidecar does not answer"),
    );
  }

  async run(attempt) {
    const silence = this.watchSilence(attempt);
    try {
      const response = await fetch(`stream?${new URLSearchParams(this.query)}`, {
        headers: headers({ Accept: "text/event-stream" }),
        cache: "no-store",
        signal: attempt.signal,
      });
      if (!response.ok) await this.refused(response, attempt);
      await readEvents(response, (kind, data) => this.receive(attempt, kind, data), silence.heard);
    } finally {
      silence.end();
    }
  }

  watchSilence(attempt) {
    let timer;
    const over = () => {
      this.failed(attempt, `nothing came from the sidecar for ${SILENCE_MS / 1000} s`);
      attempt.abort();
    };
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(over, SILENCE_MS);
    };
    heard();
    return { heard, end: () => clearTimeout(timer) };
  }

  async refused(response, attempt) {
    const { error } = await readError(response);
    if ((response.status === 401 || response.status === 403) && attempt === this.attempt) {
      this.attempt = null;
      this.onState({ is: "token", message: error.message, wrong: token() !== null });
    }
    throw new Problem(error.message);
  }

  receive(attempt, kind, data) {
    if (attempt !== this.attempt) return;
    this.heardMs = performance.now();
    if (kind === "hello") {
      this.failures = 0;
      this.onState({ is: "live" });
    }
    this.onEvent(kind, JSON.parse(data));
  }

  failed(attempt, message) {
    if (attempt !== this.attempt) return; // another one took its place
    this.attempt = null;
    this.failures += 1;
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 1.7 ** (this.failures - 1)) * (0.8 + 0.4 * Math.random());
    this.retry = setTimeout(() => this.open(), waitMs);
    this.onState({ is: "lost", message, heardMs: this.heardMs, retryAtMs: performance.now() + waitMs });
  }
}

class Problem extends Error {}
