// What the sidecar answers about sagas, as programs get it.

import { Unreachable } from "../errors.mjs";
import { shown } from "../given.mjs";

/** What came of a step; see `StepAnswer` in sagas.d.ts. */
export class StepAnswer {
  constructor(step, answer) {
    this.step = step;
    this.state = answer.state;
    this.status = answer.status ?? 0;
    this.contentType = answer.content_type ?? "";
    this.body = bytesOf(answer.body);
    this.cut = answer.cut === true;
    this.attempts = answer.attempts ?? 0;
    this.reason = answer.text ?? "";
    Object.freeze(this);
  }

  get ok() {
    return this.state === "done";
  }

  get text() {
    return this.body.toString();
  }

  json() {
    if (this.cut) {
      throw new SyntaxError(
        `the answer of step ${this.step} is no JSON: it was longer than ${this.body.length} bytes and is kept cut; ` +
          "have its service answer less",
      );
    }
    return this.body.length ? JSON.parse(this.text) : null;
  }
}

/** Throws Unreachable for what is no answer of a sidecar. */
export function stepAnswerUntrusted(step, answer) {
  if (typeof answer?.state !== "string") throw noSidecar("saga-step", answer);
  return new StepAnswer(step, answer);
}

/** {saga, id, state, copies, takeover, exists, decision}. Throws Unreachable. */
export function begunUntrusted(method, answer) {
  if (typeof answer?.saga !== "string") throw noSidecar(method, answer);
  const { saga, state = "running", copies = 1, takeover = false, decision = null } = answer;
  const id = answer.id ?? saga.slice(saga.indexOf(".") + 1);
  return { saga, id, state, copies, takeover, decision, exists: answer.exists === true };
}

/** Throws Unreachable. */
export function journalUntrusted(answer) {
  if (typeof answer?.journal !== "string" || !answer.journal) throw noSidecar("saga-journal", answer);
  return answer.journal;
}

/** How a saga stands; see `SagaStory` in sagas.d.ts. Throws Unreachable. */
export function storyUntrusted(answer) {
  if (typeof answer?.saga !== "string" || typeof answer.state !== "string") throw noSidecar("saga-show", answer);
  const { saga, name = "", state, reason = "" } = answer;
  const decision = answer.decision ?? null;
  const steps = Array.isArray(answer.steps) ? answer.steps : [];
  return Object.freeze({
    ...{ saga, name, state, decision, reason, steps, raw: answer },
    isDecided: decision !== null,
    isCommitted: decision === "commit",
    isEnded: state === "ended",
    stuck: steps.filter((step) => step.stuck).map((step) => step.name),
  });
}

function bytesOf(body) {
  if (typeof body === "string") return Buffer.from(body);
  return typeof body?.base64 === "string" ? Buffer.from(body.base64, "base64") : Buffer.alloc(0);
}

function noSidecar(method, answer) {
  return new Unreachable(`the program on the socket is no sidecar: it answered ${method} with ${shown(answer)}`);
}
