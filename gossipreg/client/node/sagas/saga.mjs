// A saga in a program: a function that takes its steps. As `gossipreg/client/sagas/program_saga.py` decides.
//
// Owns: whether it is open and decided, and the errors that a program gets. Never knows: how a call reaches the
// sidecar.

import { monotonic, idleTimer } from "../clock.mjs";
import { givenTrace } from "../events/handled.mjs";
import {
  BadParams,
  Conflict,
  GossipregError,
  NotFound,
  OutcomeUnknown,
  Refused,
  SagaAborted,
  SagaConflict,
  SagaExists,
  StepRefused,
  StepUnknown,
} from "../errors.mjs";
import { requireBoolean, requireText, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { ANSWER_S, CALL_S, LOST_S, ProgramCall } from "./program-call.mjs";
import { begunUntrusted, stepAnswerUntrusted } from "./saga-answers.mjs";
import { isConnected } from "./saga-caller.mjs";
import { STEP_MS, afterTemplate, jsonText, newSagaId, stepTemplate, stepTemplates, wholeMs } from "./saga-step.mjs";

const SAGA_MS = 60_000;
/** How long the end of a saga waits for the answer that it is aborted. */
const ABORT_S = 5;
/** Steps of `steps` that are taken at once; more wait for these. */
const STEPS_AT_ONCE = 16;
/** A sidecar that loses its memory more often than that is mended first. */
const MAX_BEGINS = 4;
const MAX_REASON_BYTES = 512;
/** How often it is looked whether a connection is left, while the program is busy with something else. */
const LOOK_S = 1;
const OPTIONS = ["id", "input", "timeoutMs", "strict", "traceparent", "tracestate"];

export class Saga {
  #caller;
  #agent;
  #params;
  #isDrawn;
  #lostS;
  #begins = 0;
  #hasAnswers = false;
  #isDecided = false;
  #looking = null;
  #isOpen = false;
  /** Calls about steps that are not answered. */
  #openCalls = new Set();
  /** Its full name, JOURNAL.ID; empty until it is begun. */
  saga = "";
  /** The disks that hold it when it begins. 0: nothing is written before its first step. */
  copies = 0;
  /** Whether it is finished even if the disk of this host is lost. */
  takeover = false;

  constructor(caller, name, options, lostS = LOST_S) {
    requireText("the name of a saga:", name);
    refuseUnknown("saga", options, OPTIONS);
    const { id, input, timeoutMs = SAGA_MS, strict = false, traceparent, tracestate } = options;
    requireBoolean("strict", strict);
    this.#caller = caller;
    this.#lostS = lostS;
    this.#isDrawn = id === undefined;
    this.name = name;
    this.id = newSagaId(id);
    this.#params = { name, id: this.id, timeout_ms: wholeMs("timeoutMs", timeoutMs) };
    if (input !== undefined) this.#params.input = jsonText("input", input);
    if (strict) this.#params.strict = true;
    Object.assign(this.#params, givenTrace(traceparent, tracestate));
  }

  get isOpen() {
    return this.#isOpen;
  }

  /** Begin it, call `work` with it, and commit; abort if that throws. Returns what `work` does. */
  async run(work) {
    this.#agent = await this.#caller.lend();
    try {
      await this.#begin();
      this.#lookLater();
      let result;
      try {
        result = await this.#worked(work);
      } catch (error) {
        if (this.#isOpen) await this.#abort(reasonOf(error));
        throw error;
      }
      if (!this.#isOpen) throw this.#aborted(`saga ${this.saga} was aborted before its end`);
      await this.#commit();
      return result;
    } finally {
      clearTimeout(this.#looking);
      this.#isOpen = false;
      this.#caller.giveBack(this.#agent, { isDecided: this.#isDecided });
    }
  }

  /** See sagas.d.ts. */
  step(name, ...command) {
    return this.#opened(name, this.#step(name, ...command));
  }

  async #step(name, service, method, path, options = {}) {
    this.#refuseOver();
    return this.#take(stepTemplate(name, service, method, path, options));
  }

  /** See sagas.d.ts. */
  steps(steps) {
    return this.#opened("of saga.steps", this.#steps(steps));
  }

  async #steps(steps) {
    this.#refuseOver();
    const templates = stepTemplates(steps);
    const answers = new Array(templates.length);
    const errors = new Array(templates.length);
    const waiting = templates.entries(); // all that work on it share it
    const work = async () => {
      for (const [index, template] of waiting) {
        try {
          answers[index] = await this.#take(template);
        } catch (error) {
          errors[index] = error;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(templates.length, STEPS_AT_ONCE) }, work));
    for (const error of errors) if (error !== undefined) throw error;
    return answers;
  }

  async #take(template) {
    this.#refuseOver();
    const { name, service } = template;
    const timeoutS = (template.timeout_ms ?? STEP_MS) / 1000 + CALL_S + ANSWER_S;
    const answer = stepAnswerUntrusted(name, await this.#say("saga-step", template, timeoutS));
    if (answer.ok || (answer.state === "refused" && template.optional)) return answer;
    const why = answer.reason || (answer.status ? `status ${answer.status}` : "no answer");
    if (answer.state === "refused") {
      const refused = answer.status ? `was refused by ${service}` : `was not sent to ${service}`;
      throw new StepRefused(`step ${name} of ${this.saga} ${refused}: ${why}`, { answer });
    }
    throw new StepUnknown(`step ${name} of ${this.saga} may be done or not: ${why}`, { answer });
  }

  /** See sagas.d.ts. */
  after(name, ...command) {
    return this.#opened(name, this.#after(name, ...command));
  }

  /** What the program gets of a call about a step; it is open until that is settled. */
  #opened(name, work) {
    const call = { name };
    this.#openCalls.add(call);
    call.promise = work.finally(() => this.#openCalls.delete(call));
    return call.promise;
  }

  /** What the program's function gives. Once it has ended nobody awaits what is open: its saga says what came of it. */
  async #worked(work) {
    let result;
    try {
      result = await work(this);
    } finally {
      for (const call of this.#openCalls) call.promise.catch(() => {});
    }
    const [first] = this.#openCalls;
    if (first && this.#isOpen) throw this.#aborted(`step ${first.name} is still open: await it before the end`);
    return result;
  }

  async #after(name, service, method, path, options = {}) {
    this.#refuseOver();
    await this.#say("saga-after", afterTemplate(name, service, method, path, options), CALL_S);
  }

  /** See sagas.d.ts. */
  async abort(reason) {
    this.#refuseOver();
    requireText("reason", reason);
    await this.#abort(shownReason(reason));
    throw this.#aborted(shownReason(reason));
  }

  async #begin() {
    this.#begins++;
    const call = new ProgramCall("saga-begin", this.#params, monotonic(), CALL_S, this.#lostS);
    let found;
    try {
      found = begunUntrusted("saga-begin", await this.#caller.call(this.#agent, call));
    } catch (error) {
      if (!(error instanceof Conflict)) throw error;
      throw new SagaConflict(`another saga has the id ${this.id}: ${error.message}`, { cause: error });
    }
    // Nobody else draws its id, or has begun it before as this program has.
    const isOwn = found.state === "running" && (this.saga !== "" || (call.isLost && this.#isDrawn));
    if (found.exists && !isOwn) throw existsError(found, call);
    const isFirst = this.saga === "";
    this.saga = found.saga;
    this.copies = found.copies;
    this.takeover = found.takeover;
    if (isFirst) this.#isOpen = true;
  }

  /** The result of a call about a step. A saga whose leader was lost before it had written anything of it begins
   * again: that is so until the first answer to a step. */
  async #say(method, template, timeoutS) {
    for (;;) {
      const call = new ProgramCall(method, { saga: this.saga, step: template }, monotonic(), timeoutS, this.#lostS);
      try {
        const result = await this.#caller.call(this.#agent, call);
        this.#hasAnswers = true;
        return result;
      } catch (error) {
        if (!(error instanceof NotFound) || this.#hasAnswers || this.#begins >= MAX_BEGINS) {
          throw this.#notAnswered(template.name, call, error);
        }
      }
      this.#refuseOver();
      await this.#begin();
      this.#refuseOver();
    }
  }

  #notAnswered(name, call, error) {
    if (error.code === "decided") {
      this.#decided();
      return this.#abortedBy(error);
    }
    if (call.isUnclear(error)) {
      return new StepUnknown(`step ${name} of ${this.saga} may be done or not: ${error.message}`, { cause: error });
    }
    return error;
  }

  async #commit() {
    this.#isOpen = false;
    const call = new ProgramCall("saga-commit", { saga: this.saga }, monotonic(), CALL_S, this.#lostS);
    try {
      await this.#caller.call(this.#agent, call);
    } catch (error) {
      if (error.code === "not_done") {
        await this.#abort(shownReason(error.message));
        throw this.#abortedBy(error);
      }
      if (error.code !== "aborted") throw this.#unclear(error);
      this.#decided();
      throw this.#abortedBy(error);
    }
    this.#decided();
  }

  #unclear(error) {
    const how = `ask registry.sagaOf("${this.saga}").wait()`;
    const text = `saga ${this.saga} may be committed or not (${error.message}): ${how}`;
    return new OutcomeUnknown(text, { cause: error, saga: this.saga });
  }

  /** Say that it is aborted. If nobody hears it, the sidecar misses the program, and aborts it then. */
  async #abort(reason) {
    this.#isOpen = false;
    const params = { saga: this.saga, reason };
    try {
      await this.#caller.call(this.#agent, new ProgramCall("saga-abort", params, monotonic(), ABORT_S, this.#lostS));
      this.#decided();
    } catch (error) {
      if (!(error instanceof GossipregError)) throw error;
      const then = `its sidecar aborts it once it has missed this program for ${LOST_S} s`;
      const warning = `saga ${this.saga} is not known to be aborted yet (${error.message}): ${then}`;
      process.emitWarning(warning, "GossipregWarning");
    }
  }

  #decided() {
    this.#isOpen = false;
    this.#isDecided = true;
  }

  #abortedBy(error) {
    const found = /^the saga (?:is|was) aborted: (.+?)(?:: it takes no more steps)?$/.exec(error.message);
    return this.#aborted(found?.[1] ?? error.message);
  }

  #aborted(reason) {
    return new SagaAborted(reason, { saga: this.saga });
  }

  #refuseOver() {
    if (!this.#isOpen) throw new Refused(`saga ${this.saga} is over: take its steps before its function ends`);
  }

  /** A sidecar that restarts undoes the sagas of programs that it does not hear: say now and then that this one is
   * there, if no connection is left that shows it. */
  #lookLater() {
    this.#looking = idleTimer(async () => {
      if (this.#isOpen && !isConnected(this.#agent)) {
        const call = new ProgramCall("saga-show", { saga: this.saga, program: true }, monotonic(), LOOK_S, this.#lostS);
        await this.#caller.attempt(this.#agent, call).catch(() => {}); // the next look, or step, tries again
      }
      if (this.#isOpen) this.#lookLater();
    }, LOOK_S);
  }
}

function existsError(found, call) {
  const how = { commit: "committed", abort: "aborted" }[found.decision] ?? found.state;
  let text = `saga ${found.saga} exists, and its function is not called again: it is ${how}`;
  if (call.isLost && found.state === "running") {
    text += `; it may be the one that this program began just now, which is aborted within ${LOST_S} s`;
  }
  return new SagaExists(text, found);
}

function reasonOf(error) {
  if (error instanceof SagaAborted) return shownReason(error.reason);
  if (error instanceof StepRefused || error instanceof StepUnknown) return shownReason(error.message);
  return shownReason(`its program threw ${error instanceof Error ? `${error.name}: ${error.message}` : shown(error)}`);
}

/** On one line, and short enough for a journal. */
function shownReason(text) {
  const line = text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  const bytes = Buffer.from(line);
  return bytes.length <= MAX_REASON_BYTES ? line : new TextDecoder().decode(bytes.subarray(0, MAX_REASON_BYTES - 3));
}

/** Throws BadParams. */
export function requireSaga(saga) {
  if (typeof saga !== "string" || !saga) {
    throw new BadParams(`saga is ${shown(saga)}: give the name of a saga, JOURNAL.ID, or its id`);
  }
}
