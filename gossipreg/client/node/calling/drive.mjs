// Drives one logical call: sends its attempts, waits between them, hedges, and cancels what is not needed any more. The
// decisions are those of `picking/attempts.mjs`.
//
// An answer is what came of an attempt: {outcome, load, value or error, isOpen, discard}. If it `isOpen`, its body has
// not ended yet: it is a success so far, and `answer.end(outcome)` has to follow. `discard()` frees what it holds.

import { busyTimer, monotonic } from "../clock.mjs";
import { DeadlineExceeded, NoInstance } from "../errors.mjs";
import { NEUTRAL } from "../picking/outcomes.mjs";

const HEDGE = Symbol("hedge");

/**
 * Send attempts until one is final, and return its answer.
 *
 * picker: of the service. call: a LogicalCall of its core. send(attempt, signal): sends one, and resolves with an
 * answer; it never rejects. signal: the caller's, or null; `drive` rejects with its reason. Rejects with NoInstance and
 * DeadlineExceeded if not even a first attempt was possible.
 */
export async function drive(picker, call, send, signal) {
  const running = new Map();
  const aborted = abortion(signal);
  const start = (attempt) => {
    const controller = new AbortController();
    const answer = send(attempt, controller.signal).then((answer) => ({ attempt, answer }));
    running.set(attempt, { controller, answer });
  };
  let last = null;
  try {
    for (;;) {
      const attempt = nextAttempt(picker, call, last);
      if (attempt === null) return last;
      last?.discard?.();
      start(attempt);
      const { answer, isFinal } = await firstThatDecides(call, attempt, running, start, aborted);
      if (answer.outcome.kind === "failure") picker.check();
      if (isFinal) return answer;
      last = answer;
      await pause(call.retryAt - monotonic(), aborted);
    }
  } catch (error) {
    last?.discard?.();
    throw error;
  } finally {
    aborted.end();
    cancelAll(picker.core, running);
  }
}

/** The result of `promise`, unless the caller's signal is aborted before: then it rejects with the reason. */
export async function orAborted(promise, signal) {
  const aborted = abortion(signal);
  try {
    return await firstOf([promise, aborted.promise]);
  } finally {
    aborted.end();
  }
}

/** The next attempt. Null: there can be none, so the call ends as its last attempt did. */
function nextAttempt(picker, call, last) {
  try {
    picker.follow();
    return call.nextAttempt(monotonic());
  } catch (error) {
    if (last !== null && (error instanceof NoInstance || error instanceof DeadlineExceeded)) return null;
    throw error;
  }
}

/** Wait until an attempt succeeds, or all that run have failed. */
async function firstThatDecides(call, first, running, start, aborted) {
  const hedge = hedgeAlarm(call, first);
  try {
    for (;;) {
      const answers = [...running.values()].map(({ answer }) => answer);
      const came = await firstOf([...answers, hedge.promise, aborted.promise]);
      if (came === HEDGE) {
        hedge.end();
        const second = call.hedge(monotonic());
        if (second !== null) start(second);
        continue;
      }
      const { attempt, answer } = came;
      running.delete(attempt);
      if (answer.isOpen) {
        answer.end = (outcome) => endOpen(call, attempt, answer, outcome);
        return { answer, isFinal: true };
      }
      const next = call.ended(attempt, answer.outcome, monotonic(), answer.load ?? null);
      if (next !== "wait") return { answer, isFinal: next === "final" };
      answer.discard?.();
    }
  } finally {
    hedge.end();
  }
}

/** The body of the answer that the caller got has ended. It cannot be had again, whatever the outcome is. */
function endOpen(call, attempt, answer, outcome) {
  const now = monotonic();
  call.ended(attempt, outcome, now, answer.load ?? null);
  call.close(now);
}

/** The call is decided: what still runs is not needed, and says nothing about its instance. */
function cancelAll(core, running) {
  for (const [attempt, { controller, answer }] of running) {
    core.balancer.ended(attempt.pick, NEUTRAL, monotonic());
    controller.abort();
    void answer.then((late) => late.answer.discard?.());
  }
}

/** As Promise.race, where null stands for a promise that never comes. One such promise for all calls would keep what
 * each of them waited for. */
function firstOf(promises) {
  return Promise.race(promises.filter((promise) => promise !== null));
}

/** A promise of HEDGE for the moment at which a second attempt is worth sending. */
function hedgeAlarm(call, attempt) {
  const now = monotonic();
  const at = call.hedgeAt(attempt, now);
  if (at === null) return { promise: null, end() {} };
  let timer;
  const alarm = {
    promise: new Promise((resolve) => {
      timer = busyTimer(() => resolve(HEDGE), at - now);
    }),
    end() {
      clearTimeout(timer);
      alarm.promise = null;
    },
  };
  return alarm;
}

/** A promise that rejects when the caller's signal is aborted. */
function abortion(signal) {
  if (!signal) return { promise: null, end() {} };
  let listener;
  const promise = new Promise((_, reject) => {
    listener = () => reject(signal.reason);
    if (signal.aborted) listener();
    else signal.addEventListener("abort", listener, { once: true });
  });
  promise.catch(() => {}); // nobody may be waiting at that moment
  return { promise, end: () => signal.removeEventListener("abort", listener) };
}

async function pause(seconds, aborted) {
  if (seconds <= 0) return;
  let timer;
  const over = new Promise((resolve) => {
    timer = busyTimer(resolve, seconds);
  });
  try {
    await firstOf([over, aborted.promise]);
  } finally {
    clearTimeout(timer);
  }
}
