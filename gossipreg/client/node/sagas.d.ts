/** The types of sagas: taking their steps, and taking part in them. Times are in milliseconds. */

export interface SagaOptions {
  /** Names it in the journal of this sidecar, and there alone. Drawn where left out. */
  id?: string;
  /** What JSON can hold, for `{input.a}` in steps. */
  input?: unknown;
  /** From its beginning until its decision (60,000): then it is aborted. */
  timeoutMs?: number;
  /** Whether steps are undone one after the other (false). */
  strict?: boolean;
  traceparent?: string;
  /** Goes with `traceparent`, up to 512 bytes. */
  tracestate?: string;
}

export interface RunSagaOptions {
  /** What JSON can hold, for the templates of the definition. */
  input?: unknown;
  /** As of `SagaOptions`. */
  id?: string;
  traceparent?: string;
  /** Goes with `traceparent`, up to 512 bytes. */
  tracestate?: string;
  /** Where it begins, as `sagaJournal` answered before; left out: in the journal of this sidecar. */
  journal?: string;
  /** Until it is durable, for all attempts (10,000). */
  timeoutMs?: number;
}

/** A saga that was begun by `runSaga`, now or before. */
export interface BegunSaga {
  /** Its full name, JOURNAL.ID. */
  readonly saga: string;
  readonly id: string;
  readonly state: "running" | "committed" | "aborted" | "ended";
  /** The disks that hold it. */
  readonly copies: number;
  /** Whether it is finished even if the disk of this host is lost. */
  readonly takeover: boolean;
  /** Whether it was begun before. */
  readonly exists: boolean;
  readonly decision: "commit" | "abort" | null;
}

/** `path`, `json`, `body` and `headers` may have `{key}`, `{saga}`, `{step}`, `{input.a.b}`, `{result.STEP.a.b}`. */
interface CommandContent {
  json?: unknown;
  /** A text, or bytes as they are. */
  body?: string | NodeJS.ArrayBufferView;
  headers?: Readonly<Record<string, string>>;
}

/** A text, or what JSON can hold, whose braces are no templates: for what comes from outside. A text of a customer may
 * have {input.card} in it. Names in JSON are no templates. */
export function literal<Value>(value: Value): Value;

export interface AfterOptions extends CommandContent {
  /** Of one attempt (5,000). */
  attemptTimeoutMs?: number;
  /** Names of steps that come before. */
  needs?: readonly string[];
}

export interface UndoCommand extends CommandContent {
  method: string;
  path: string;
  /** Where left out, that of the step. */
  service?: string;
}

export interface StepOptions extends AfterOptions {
  /** What an abort sends; null: nothing undoes it, so it is the last step. Left out only where it is `harmless`. */
  undo?: readonly [method: string, path: string, json?: unknown] | UndoCommand | null;
  /** It changes nothing. */
  harmless?: boolean;
  /** The saga may commit where it was refused. */
  optional?: boolean;
  /** Until it is unknown (30,000). */
  timeoutMs?: number;
  /** What an abort does with it then: undo it, or first repeat it until it answers. */
  unknown?: "undo" | "repeat";
}

/** One of `Saga.steps`. */
export interface SagaStep extends StepOptions {
  name: string;
  service: string;
  method: string;
  path: string;
}

export class Saga {
  private constructor();
  readonly name: string;
  readonly id: string;
  /** Its full name, JOURNAL.ID. */
  readonly saga: string;
  /** The disks that hold it when it begins. 0: nothing is written before its first step. */
  readonly copies: number;
  /** Whether it is finished even if the disk of this host is lost. */
  readonly takeover: boolean;
  /** Whether it takes steps. */
  readonly isOpen: boolean;
  /** Have the sidecar send a command to a service; resolves once it is done. Rejects with StepRefused, StepUnknown,
   * SagaAborted; each ends the saga where it is thrown on. Several may run at once: `Promise.all`. */
  step(name: string, service: string, method: string, path: string, options?: StepOptions): Promise<StepAnswer>;
  /** Take these steps at the same time, 16 at once; resolves with their answers in the same order. If some fail, it
   * rejects with the failure of the first of them, once all have ended. */
  steps(steps: Iterable<SagaStep>): Promise<StepAnswer[]>;
  /** Have this command sent once the saga is committed, again and again until it is done. It is never undone. */
  after(name: string, service: string, method: string, path: string, options?: AfterOptions): Promise<void>;
  /** Undo it: rejects with SagaAborted, which leaves the function. */
  abort(reason: string): Promise<never>;
}

export class StepAnswer {
  private constructor();
  readonly step: string;
  readonly state: "done" | "refused" | "unknown";
  /** Of the last answer; 0: there was none. */
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  /** The body was longer than 64 KiB: this is its beginning. */
  readonly cut: boolean;
  readonly attempts: number;
  /** Why it is not done; empty if it is. */
  readonly reason: string;
  readonly ok: boolean;
  readonly text: string;
  /** null where the body is empty. Throws SyntaxError for what is no JSON, and where the body is cut. */
  json(): any;
}

export class SagaHandle {
  private constructor();
  readonly saga: string;
  /** How it stands now. */
  show(): Promise<SagaStory>;
  /** Wait until it is decided, or until nothing of it is open any more. Rejects with DeadlineExceeded after `timeoutMs`
   * (60,000). */
  wait(options?: { timeoutMs?: number; until?: "decided" | "ended" }): Promise<SagaStory>;
}

export interface SagaStory {
  readonly saga: string;
  readonly name: string;
  readonly state: "running" | "committed" | "aborted" | "ended";
  readonly decision: "commit" | "abort" | null;
  /** Why it was aborted. */
  readonly reason: string;
  readonly steps: readonly Readonly<Record<string, any>>[];
  readonly isDecided: boolean;
  readonly isCommitted: boolean;
  /** Whether all is undone, or all that comes after the commit is done. */
  readonly isEnded: boolean;
  /** The steps that a person should look at. */
  readonly stuck: readonly string[];
  /** All that the sidecar said. */
  readonly raw: Readonly<Record<string, any>>;
}

/** What node:sqlite and better-sqlite3 have in common. */
export interface SqliteDatabase {
  exec(script: string): unknown;
  prepare(statement: string): { run(...values: any[]): { changes: number | bigint }; get(...values: any[]): any };
}

export interface ParticipantOptions {
  /** `gossipreg_participant` where left out. */
  table?: string;
  /** How long a key is known (90, at least 31). */
  keepDays?: number;
}

/** Does each key once, undoes what it did, and refuses what comes too late, in the transaction of its own data. */
export class Participant {
  constructor(database: SqliteDatabase, options?: ParticipantOptions);
  /** The statements of `createTable`. */
  readonly sql: string;
  createTable(): void;
  /** Do `work` once for this key (header Idempotency-Key); a repeat gets the first answer. After an undo: 410. What
   * `work` returns is the answer: undefined is 204, anything else 200 with it as JSON. A refusal (422) is kept, without
   * the changes of the work; after a 5xx, 404, 409, or what it throws, nothing is. `commit: false`: it is part of the
   * program's transaction. */
  do(key: string | undefined, work: () => unknown, options?: { commit?: boolean }): ParticipantAnswer;
  /** Undo what was done for this key (header Gossipreg-Undoes), once. Where nothing was done: 204 without `work`.
   * 404 and 410 of it are kept with its changes, as 2xx; after any other answer it is tried again. */
  undo(key: string | undefined, work: () => unknown, options?: { commit?: boolean }): ParticipantAnswer;
}

export class ParticipantAnswer {
  /** `data`: bytes as they are, a text as text/plain, everything else as JSON; left out: no body. */
  constructor(status?: number, data?: unknown, options?: { contentType?: string });
  readonly status: number;
  readonly body: Buffer;
  readonly contentType: string;
  /** Whether it was given before, so that nothing was done now. */
  readonly isRepeat: boolean;
  /** Answer a request with it. */
  send(response: import("node:http").ServerResponse): void;
}
