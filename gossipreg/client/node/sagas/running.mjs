// The call that begins a declared saga, and what its failure says. As `gossipreg/client/sagas/running.py` decides.

import { monotonic } from "../clock.mjs";
import { givenTrace } from "../events/handled.mjs";
import { BadParams, Conflict, OutcomeUnknown, SagaConflict } from "../errors.mjs";
import { shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { CALL_S, ProgramCall } from "./program-call.mjs";
import { jsonText, newSagaId, wholeMs } from "./saga-step.mjs";

const OPTIONS = ["input", "id", "traceparent", "tracestate", "journal", "timeoutMs"];

/** Throws BadParams. */
export function runCall(definition, options = {}) {
  refuseUnknown("runSaga", options, OPTIONS);
  const { input, id, traceparent, tracestate, journal, timeoutMs = CALL_S * 1000 } = options;
  const params = { definition: definitionText(definition), id: newSagaId(id) };
  if (input !== undefined) params.input = jsonText("input", input);
  if (journal !== undefined) params.journal = journalId(journal);
  Object.assign(params, givenTrace(traceparent, tracestate));
  return new ProgramCall("saga-run", params, monotonic(), wholeMs("timeoutMs", timeoutMs) / 1000);
}

export const journalCall = () => new ProgramCall("saga-journal", {}, monotonic());

function journalId(journal) {
  if (typeof journal === "string" && journal) return journal;
  throw new BadParams(`journal is ${shown(journal)}: give what sagaJournal() answered, or leave it out`);
}

/** An object goes as a text: the parameters of a call may not nest as deep as the JSON of a step. */
function definitionText(definition) {
  if (typeof definition === "string") return definition;
  if (definition === null || typeof definition !== "object" || Array.isArray(definition)) {
    throw new BadParams(`definition is ${shown(definition)}: give an object, or TOML or JSON as text`);
  }
  return jsonText("definition", definition);
}

/** The program's error for a run that was not answered well. */
export function runFailed(call, error) {
  const { id } = call.params;
  if (error instanceof Conflict) {
    return new SagaConflict(`another saga has the id ${id}: ${error.message}`, { cause: error });
  }
  if (call.isUnclear(error)) {
    const again = `begin it again with the id ${shown(id)} at the same sidecar, it counts once`;
    return new OutcomeUnknown(`the saga may be begun or not: ${again} (${error.message})`, { cause: error });
  }
  return error;
}
