// The client of gossipreg for Node.js: `gossipreg docs client-node` is its manual.
//
//     import { connect } from "gossipreg";
//     const registry = await connect();
//     const answer = await registry.fetch("http://billing.service/charge", { method: "POST", body });
//
// The map, from the lowest: errors, given, unknown-options, clock, names, sorted, instance, snapshot; socket-path and
// sidecar (the local socket); picking/ (who gets a request, pure); watching/ (snapshots that follow the sidecar);
// picker, service; calling/ (requests); attachment; events/ (publish and subscribe); sagas/; registry; otel (metrics,
// `gossipreg/otel`).

import { Registry } from "./registry.mjs";

export {
  BadParams,
  BreakerOpen,
  Busy,
  CannotKeep,
  ChooseSocket,
  Conflict,
  DeadlineExceeded,
  GossipregError,
  JournalFull,
  Leaving,
  NoDataDirectory,
  NoInstance,
  NotFound,
  NotSynced,
  OutcomeUnknown,
  Refused,
  RequestError,
  SagaAborted,
  SagaConflict,
  SagaExists,
  StepRefused,
  StepUnknown,
  TooFewCopies,
  TooLarge,
  TooStale,
  Unavailable,
  Unreachable,
  UnknownMethod,
} from "./errors.mjs";
export { Reject, Retry } from "./events/event.mjs";
export { EventIterator, Subscription } from "./events/subscription.mjs";
export { Instance } from "./instance.mjs";
export { Registry } from "./registry.mjs";
export { Participant } from "./sagas/participant.mjs";
export { ParticipantAnswer } from "./sagas/participant-answer.mjs";
export { Saga } from "./sagas/saga.mjs";
export { SagaHandle } from "./sagas/of-registry.mjs";
export { literal } from "./sagas/saga-step.mjs";
export { StepAnswer } from "./sagas/saga-answers.mjs";
export { Service } from "./service.mjs";
export { Snapshot } from "./snapshot.mjs";

/** A registry of the services that the sidecar next to this program knows. It opens nothing yet. See `ConnectOptions`
 * in index.d.ts. */
export async function connect(options = {}) {
  return new Registry(options);
}
