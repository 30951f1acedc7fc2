/** The client of gossipreg for Node.js. Its manual: `gossipreg docs client-node`. Times are in milliseconds. */

export interface ConnectOptions {
  /** The sidecar's socket; left out: $GOSSIPREG_SOCKET, or else the only sidecar of this host, as the commands find it.
   * */
  path?: string | null;
  /** For how long the first lookup of a name, a `wait` and a `register` (at least 1,000) wait for the sidecar (5,000).
   * */
  timeoutMs?: number;
  /** For how long lookups answer from memory while the sidecar is away or not synced (900,000); null: without a limit.
   * */
  maxStaleMs?: number | null;
  /** Where this program runs, if that is another zone than the sidecar's. */
  zone?: string | null;
  /** The service that this program belongs to: its requests stay in its zone as far as the instances there carry its
   * part of the callers. */
  service?: string | null;
  /** Whether watches and registrations keep the process alive (false). */
  ref?: boolean;
  /** Options of https.Agent for services that speak https. */
  tls?: import("node:https").AgentOptions;
}

import type { Event, EventIterator, Published, PublishOptions, SubscribeOptions, Subscription } from "./events.js";
import type { BegunSaga, RunSagaOptions, Saga, SagaHandle, SagaOptions, StepAnswer } from "./sagas.js";
export * from "./events.js";
export * from "./sagas.js";

/** A registry of the services that the sidecar next to this program knows. It opens nothing yet. */
export function connect(options?: ConnectOptions): Promise<Registry>;

export class Registry {
  private constructor();
  /** The service of this name; names are compared in lower case. It asks nothing yet; the first lookup does. */
  service(name: string, options?: ServiceOptions): Service;
  /** Those that `service` has given out. */
  services(): Service[];
  readonly isClosed: boolean;
  /**
   * Call `callback` with the passing instances now, if they are known, and after each change; also when the snapshot
   * becomes stale, or confirmed again. Returns what ends it.
   */
  watch(
    name: string,
    callback: (instances: readonly Instance[], snapshot: Snapshot) => unknown,
    options?: ServiceOptions,
  ): () => void;
  /** Register a service that lives as long as this process, or until `close` of the result. After a restart of the
   * sidecar it is registered again. Rejects with Unreachable if the sidecar does not answer within the `timeoutMs` of
   * `connect`, at least 1,000. */
  register(options: RegisterOptions): Promise<Attachment>;
  /** As fetch. `http://NAME.service/path` is the service of that name; other hosts go to the fetch of Node untouched.
   * */
  fetch(input: string | URL | Request, init?: RequestInit, options?: FetchOptions): Promise<Response>;
  /** Publish an event; resolves when it is durable. `data`: bytes as they are, text as text/plain, everything else as
   * JSON; left out: the event has none. A publish whose connection broke is sent again as the same event; rejects with
   * OutcomeUnknown if no answer came within `timeoutMs`. In a handler, the event names the one that is handled as its
   * cause. */
  publish(type: string, data?: unknown, options?: PublishOptions): Promise<Published>;
  /** Call `work` with a saga that has begun: its steps are either all done, or those that may have happened are undone.
   * Once `work` is done it is committed, and its result given; what it throws aborts, and is thrown on. If this program
   * ends, or is not heard for 10 s, it is aborted. Rejects with SagaExists or SagaConflict if the id is known,
   * SagaAborted if it was aborted meanwhile, and OutcomeUnknown if it cannot be learned whether it is committed. */
  saga<Result>(name: string, options: SagaOptions, work: (saga: Saga) => Result | Promise<Result>): Promise<Result>;
  /** Begin a declared saga; resolves once it is durable: this program is not needed any more. `definition`: an object,
   * or TOML or JSON as text. The same id, name and input again is the same saga, which is not begun again: `exists`.
   * An id is unique in its journal: to begin it again at another sidecar, give the `journal` of the first time. Rejects
   * with SagaConflict if another saga has the id, and OutcomeUnknown if it may be begun or not. */
  runSaga(definition: Readonly<Record<string, any>> | string, options?: RunSagaOptions): Promise<BegunSaga>;
  /** The journal in which this sidecar begins sagas, opened if there is none: for `runSaga` at another one. */
  sagaJournal(): Promise<string>;
  /** A saga that somebody has begun, by its full name, JOURNAL.ID, or its id. */
  sagaOf(saga: string): SagaHandle;
  /** Have the events of these patterns handled, until `close` of the result, which keeps the process alive until then.
   * What the handler returns is waited for: then the event is acknowledged. It throws Reject, or Retry; all else that
   * it throws is warned of, and is tried again. Rejects if the sidecar refuses the subscription; a sidecar that is away
   * is tried again. */
  subscribe<Data = any>(
    pattern: string | readonly string[],
    options: SubscribeOptions,
    handler: (event: Event<Data>) => unknown,
  ): Promise<Subscription>;
  /** The events of these patterns, for `for await`. Each has to be settled: `event.ack()`. */
  events<Data = any>(pattern: string | readonly string[], options: SubscribeOptions): EventIterator<Data>;
  /** Call a method of the local socket: see `gossipreg docs local-socket`. */
  call(method: string, params?: Record<string, unknown>): Promise<any>;
  readonly zone: string;
  readonly path: string | null;
  stats(): RegistryStats;
  /** End the stream, and take out what was registered here. Later lookups throw Refused. Subscriptions end too:
   * handlers that run get 5 s. */
  close(): void;
}

export interface ServiceOptions {
  /** Only instances that have all of them. */
  tags?: readonly string[];
  /** Only instances in it. */
  zone?: string | null;
}

export interface RegisterOptions {
  name: string;
  port?: number;
  /** NAME-PORT where left out. */
  id?: string;
  /** The sidecar's own host where left out. */
  address?: string;
  tags?: readonly string[];
  meta?: Readonly<Record<string, string>>;
  weight?: number;
  /** As `--check` of the commands: `http://127.0.0.1:8080/health`, `tcp://...`, `ttl:30s`. */
  check?: string;
  checks?: readonly string[];
  /** Called if somebody else takes the service out, or registers it anew. Left out: it is a warning of the process. */
  onTakenOut?: (why: string) => unknown;
}

export interface Attachment {
  readonly id: string | null;
  readonly result: { readonly id: string; readonly version: readonly [string, number] } | null;
  /** Whether the sidecar holds the registration now. */
  readonly isOpen: boolean;
  /** Take the service out. */
  close(): void;
}

export class Service {
  private constructor();
  readonly name: string;
  readonly tags: readonly string[];
  readonly zone: string | null;
  /** The passing instances, from memory. Throws NotSynced if nothing is known yet, TooStale, Refused. */
  readonly instances: readonly Instance[];
  /** The instances with what is known of them. Throws as `instances`. */
  readonly snapshot: Snapshot;
  /** The snapshot, however old; null: there is none. */
  readonly known: Snapshot | null;
  /** The passing instances. Only the first lookup of a name waits. */
  lookup(): Promise<readonly Instance[]>;
  /** Wait until anything is known. */
  ready(): Promise<void>;
  /** Wait until at least `count` (1) instances pass. Rejects with NotSynced if there are fewer after `timeoutMs`; left
   * out: that of `connect` (5,000). */
  wait(count?: number, options?: { timeoutMs?: number }): Promise<readonly Instance[]>;
  /** A request has failed: ask the sidecar for a sign of life. Requests of this client do it by themselves. */
  check(): void;
  /** Set how instances are picked. What was learnt under other settings is set aside. */
  configure(choice: ServiceChoice): this;
  /** Choose the instance of one request, which has to end by `end` or `cancel`. Throws NoInstance, BreakerOpen, and as
   * `instances`. */
  pick(options?: { key?: string | null; deadlineMs?: number }): Pick;
  /** Call `send`, again at another instance where that is allowed, and return its result. */
  call<Result>(
    send: (instance: Instance, attempt: Attempt) => Result | PromiseLike<Result>,
    options?: CallOptions<Result>,
  ): Promise<Result>;
  stats(): ServiceStats;
}

export interface ServiceChoice {
  policy?: "adaptive" | "least_request" | "round_robin" | "random" | "ring_hash";
  /** `all`: if no instance passes, pick those that are warning or critical. */
  panic?: "passing" | "all";
  /** The service that this program belongs to: requests stay in its zone as far as the instances there carry its part
   * of the callers. Left out: the `service` of `connect`. */
  caller?: string | null;
}

export interface AttemptOptions {
  /** For the first lookup of the name, all attempts and the fallback together (10,000). */
  deadlineMs?: number;
  /** Whether the request may be sent again after it was sent. `fetch` knows it by the method. */
  idempotent?: boolean;
  /** At most so many attempts (3). */
  attemptsMax?: number;
  /** Send a second attempt while a slow first one still runs. Only for what is idempotent. */
  hedge?: boolean;
  /** Requests with the same key go to the same instance. */
  key?: string | null;
  /** The `Gossipreg-Attempt` of the request that is served here; `loadMiddleware` sets it by itself. */
  depth?: number;
}

export interface FetchOptions extends AttemptOptions {
  /** The name of a service that gets the request when all attempts failed. */
  fallback?: string;
}

export interface CallOptions<Result> extends AttemptOptions {
  /** What is called when all attempts failed: another service, or a function. */
  fallback?: Service | ((limits: FallbackLimits) => Result | PromiseLike<Result>);
  signal?: AbortSignal | null;
}

/** What the function of a fallback has to obey. Requests that it makes by `fetch` and `call` obey it by themselves. */
export interface FallbackLimits {
  /** Aborted at the deadline of the call. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** For the server: how long this caller waits, and that this is a retry. */
  readonly headers: Readonly<Record<string, string>>;
}

/** One attempt of `Service.call`. */
export interface Attempt {
  /** Aborted when the attempt has taken too long, or is not needed any more. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** 1, 2, ... */
  readonly number: number;
  /** For the server: how long this caller waits, and whether this is a retry. */
  readonly headers: Readonly<Record<string, string>>;
  /** The request failed, although no error of the connection says so. */
  failed(): void;
  /** The request failed, and the instance got no byte of it: so it may be sent to another one even if it is not
   * idempotent. */
  neverSent(): void;
  /** The response has this HTTP status. */
  status(status: number, retryAfterS?: number | null): void;
  /** The server says that it has so many requests in flight. */
  serverLoad(inFlight: number): void;
}

/** One request to an instance that was picked. */
export interface Pick {
  readonly instance: Instance;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The headers came: what follows does not count as latency. */
  answered(): void;
  failed(): void;
  status(status: number, retryAfterS?: number | null): void;
  serverLoad(inFlight: number): void;
  /** The request is over; `error`: what it ended with. */
  end(error?: unknown): void;
  /** It is over in a way that says nothing about the instance. */
  cancel(): void;
}

export class Instance {
  private constructor();
  readonly id: string;
  readonly service: string;
  readonly node: string;
  readonly nodeName: string;
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly weight: number;
  readonly health: "passing" | "warning" | "critical" | "maintenance";
  readonly zone: string;
  /** What was known last: the sidecar is away or isolated, or has just restarted. */
  readonly stale: boolean;
  /** (generation, counter) of its last change. */
  readonly version: readonly [string, number];
  readonly reason: string;
  readonly key: string;
  readonly hostport: string;
}

export class Snapshot {
  private constructor();
  readonly name: string;
  /** Of any health, in the order of (node, id). */
  readonly all: readonly Instance[];
  readonly instances: readonly Instance[];
  /** For how long nobody has confirmed it; 0 if it is what the sidecar knows now. */
  readonly staleMs: number;
  readonly staleSince: number | null;
  readonly complete: boolean;
}

export interface RegistryStats {
  path: string | null;
  connected: boolean;
  synced: boolean;
  why_not: string;
  cluster: string | null;
  node: string | null;
  node_name: string | null;
  zone: string;
  services: number;
  unknown: number;
  stale: number;
  connects: number;
  losses: number;
  changes: number;
  snapshots: number;
}

/** The counters of all decisions, by the names of the Python client, and how it is now. */
export type ServiceStats = { breaker: "closed" | "open" | "half_open" } & { [counter: string]: number | string };

export class GossipregError extends Error {
  code: string;
}
export class RequestError extends GossipregError {}
export class BadParams extends RequestError {}
export class ChooseSocket extends BadParams {}
export class UnknownMethod extends RequestError {}
export class NotFound extends RequestError {}
export class Refused extends RequestError {}
export class Leaving extends Refused {}
export class CannotKeep extends Refused {}
export class TooLarge extends RequestError {}
export class Busy extends RequestError {}
export class NotSynced extends RequestError {}
export class TooStale extends NotSynced {}
export class Unavailable extends RequestError {}
export class OutcomeUnknown extends RequestError {
  /** Of a saga: JOURNAL.ID; empty: it is about none. */
  readonly saga: string;
}
export class Conflict extends RequestError {}
export class SagaConflict extends Conflict {}
export class SagaExists extends RequestError {
  /** JOURNAL.ID. */
  readonly saga: string;
  readonly state: "running" | "committed" | "aborted" | "ended";
  readonly decision: "commit" | "abort" | null;
}
export class SagaAborted extends RequestError {
  readonly reason: string;
  readonly saga: string;
}
export class StepRefused extends GossipregError {
  readonly answer: StepAnswer;
}
export class StepUnknown extends GossipregError {
  /** null: not even the sidecar has answered. */
  readonly answer: StepAnswer | null;
}
export class JournalFull extends RequestError {}
export class NoDataDirectory extends RequestError {}
export class TooFewCopies extends RequestError {}
export class Unreachable extends GossipregError {}
export class NoInstance extends GossipregError {}
export class BreakerOpen extends GossipregError {}
export class DeadlineExceeded extends GossipregError {}
