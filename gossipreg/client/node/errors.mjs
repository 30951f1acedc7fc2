// The errors of this client: the classes of the Python client, by the same names and with the same codes.
//
// Each has one line for a person in `message` (what is wrong, with which value, what to do) and a `code` for programs.

export class GossipregError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = this.constructor.name;
    this.code = this.constructor.code;
  }

  static code = "error";
}

/** A request that cannot be done: the caller is at fault, and nothing changed. */
export class RequestError extends GossipregError {
  static code = "refused";
}

/** A parameter is missing, unknown, of the wrong type or out of range. */
export class BadParams extends RequestError {
  static code = "bad_params";
}

/** Several sidecars fit, or the socket cannot have this path: the user has to name a socket. */
export class ChooseSocket extends BadParams {}

export class UnknownMethod extends RequestError {
  static code = "unknown_method";
}

export class NotFound extends RequestError {
  static code = "not_found";
}

/** Understood, and not allowed here. */
export class Refused extends RequestError {
  static code = "refused";
}

/** This sidecar is leaving, so its successor has to do it. */
export class Leaving extends Refused {
  static code = "leaving";
}

/** The data directory cannot be written. Nothing changed; the same request succeeds once the disk takes it. */
export class CannotKeep extends Refused {
  static code = "cannot_keep";
}

/** Beyond a documented limit. */
export class TooLarge extends RequestError {
  static code = "too_large";
}

/** A bound of this sidecar is reached: the same request may succeed later. */
export class Busy extends RequestError {
  static code = "busy";
}

/** Nothing is known of the service yet. The same lookup succeeds once the sidecar is synced. */
export class NotSynced extends RequestError {
  static code = "not_synced";
}

/** Nobody has confirmed what is known for longer than `maxStaleMs`. */
export class TooStale extends NotSynced {
  static code = "too_stale";
}

/** Nobody leads this sidecar's journal now, or no majority of its disks answers. Nothing changed. */
export class Unavailable extends RequestError {
  static code = "unavailable";
}

/** No answer came in time: the event may be published or not, the saga committed or not. The same event, with the same
 * id, counts once; a saga is asked by its name. */
export class OutcomeUnknown extends RequestError {
  static code = "outcome_unknown";

  constructor(message, { saga = "", ...options } = {}) {
    super(message, options);
    /** JOURNAL.ID; empty: it is about no saga. */
    this.saga = saga;
  }
}

/** Another event has this id and source, another saga or step this name. Nothing changed. */
export class Conflict extends RequestError {
  static code = "conflict";
}

/** A saga of this id with another name or input exists. Nothing changed. */
export class SagaConflict extends Conflict {}

/** A saga of this id, name and input exists already: it is not run again. Nothing changed. */
export class SagaExists extends RequestError {
  static code = "exists";

  constructor(message, { saga = "", state = "", decision = null } = {}) {
    super(message);
    this.saga = saga;
    this.state = state;
    this.decision = decision;
  }
}

/** The saga is aborted: what its steps did is undone, or is being undone. */
export class SagaAborted extends RequestError {
  static code = "aborted";

  constructor(reason, { saga = "" } = {}) {
    super(reason);
    this.reason = reason;
    this.saga = saga;
  }
}

/** A step of a saga was refused by its service, so it had no effect. */
export class StepRefused extends GossipregError {
  static code = "step_refused";

  constructor(message, { answer = null, ...options } = {}) {
    super(message, options);
    this.answer = answer;
  }
}

/** A step of a saga got no answer in its time: it may be done or not. */
export class StepUnknown extends GossipregError {
  static code = "step_unknown";

  constructor(message, { answer = null, ...options } = {}) {
    super(message, options);
    this.answer = answer;
  }
}

/** The journal has no room until a group, which the message names, acknowledges events or is forgotten. */
export class JournalFull extends RequestError {
  static code = "journal_full";
}

/** This sidecar has no disk to publish to: start it with --data-dir. */
export class NoDataDirectory extends RequestError {
  static code = "no_data_directory";
}

/** Fewer disks hold the journal than --min-copies asks for. Nothing changed. */
export class TooFewCopies extends RequestError {
  static code = "too_few_copies";
}

/** The local sidecar does not answer: not running, or another socket is meant. */
export class Unreachable extends GossipregError {
  static code = "unreachable";
}

/** No instance of the service can be picked. Nothing was sent. */
export class NoInstance extends GossipregError {
  static code = "no_instance";
}

/** The circuit breaker of the service is open: most calls of the last seconds failed. Nothing was sent. */
export class BreakerOpen extends GossipregError {
  static code = "breaker_open";
}

/** The deadline of a call passed. What was sent may or may not have been carried out. */
export class DeadlineExceeded extends GossipregError {
  static code = "deadline_exceeded";
}

const OF_THE_SOCKET = [
  ...[BadParams, UnknownMethod, NotFound, Refused, TooLarge, Busy, NotSynced, Leaving, CannotKeep],
  ...[Unavailable, OutcomeUnknown, Conflict, JournalFull, NoDataDirectory, TooFewCopies, SagaExists, SagaAborted],
];
const BY_CODE = new Map(OF_THE_SOCKET.map((kind) => [kind.code, kind]));

/** The error that the sidecar answered, as `{code, message}`. */
export function answeredError({ code, message }) {
  const error = new (BY_CODE.get(code) ?? RequestError)(String(message));
  error.code = String(code);
  return error;
}
