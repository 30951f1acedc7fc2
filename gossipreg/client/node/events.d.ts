/** The types of events: what is published, what handlers get, and what subscriptions are. */

export interface PublishOptions {
  /** With `source` it names the event: the same twice counts once. Drawn where left out. */
  id?: string;
  /** The `service` of `connect`, or the sidecar's name, where left out. */
  source?: string;
  /** Events of one key are handled in their order. */
  key?: string;
  subject?: string;
  datacontenttype?: string;
  /** RFC 3339; the sidecar's clock where left out. It is shown and never compared. */
  time?: string;
  extensions?: Readonly<Record<string, string>>;
  /** For all attempts (10,000). */
  timeoutMs?: number;
  /** For how long it is kept for groups that come later, though all have acknowledged it. */
  keepMs?: number;
}

export interface Published {
  readonly id: string;
  readonly source: string;
  /** The disks that hold it now. */
  readonly copies: number;
  /** Whether its groups get it even if the disk of this host is lost now. */
  readonly takeover: boolean;
  /** Whether it was published before, with the same id and content. It counts once. */
  readonly duplicate: boolean;
  /** How many groups get it. 0: no subscription is known that means it. */
  readonly groups: number;
}

interface SubscribeBase {
  /** How many events this program has at a time, handled at once (64). */
  window?: number;
  /** After how long an event that was not settled goes to somebody; a handler that runs is renewed (30,000). */
  ackTimeoutMs?: number;
}

export interface GroupOptions extends SubscribeBase {
  /** Each event goes to one subscriber of the group. */
  group: string;
  /** `hold`: events with the key of a dead letter wait until a person decides (`go_on`). */
  onDead?: "go_on" | "hold";
  /** Before it is a dead letter (10). */
  maxAttempts?: number;
  /** A group that is new begins with the events that are kept (`keepMs`), and not with those from now on (false). */
  past?: boolean;
  broadcast?: false;
}

export interface BroadcastOptions extends SubscribeBase {
  /** Every event from now on, to every subscriber, best effort; nothing is acknowledged. */
  broadcast: true;
  group?: undefined;
  past?: false;
}

export type SubscribeOptions = GroupOptions | BroadcastOptions;

/** An event, delivered to one group. Only the first of `ack`, `reject` and `retry` counts, and none of them waits. */
export interface Event<Data = any> {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Empty where the event has none; so are `time` and `datacontenttype`. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: string;
  /** By `datacontenttype`: the value of JSON, a text, or a Buffer; undefined: the event has none. Throws Reject if the
   * data is not what it says it is. */
  readonly data: Data;
  /** Its partition key; empty: none. */
  readonly key: string;
  readonly extensions: Readonly<Record<string, string>>;
  /** W3C Trace Context of the handling: the parent of a span of the handler. Empty: no trace is known. */
  readonly traceparent: string;
  readonly tracestate: string;
  /** What began it all: the id of the first event, unless its publisher said otherwise. Empty: this may be it. */
  readonly correlationid: string;
  /** The id of the event whose handler published this one. Empty: none did. */
  readonly causationid: string;
  /** Empty: broadcast. */
  readonly group: string;
  /** From 1 on. */
  readonly attempt: number;
  /** With `index` a fencing token: of the events of one key and journal, later ones have a higher index. */
  readonly journal: string;
  readonly index: number;
  readonly isSettled: boolean;
  /** It is handled. */
  ack(): void;
  /** Never again: it becomes a dead letter. */
  reject(reason?: string): void;
  /** Once more, after `afterMs`; left out: after the usual wait, which doubles. This was an attempt. */
  retry(options?: RetryOptions): void;
  /** Call `work`, and return its result: events that are published in it name this one as their cause, as in a
   * handler. */
  run<Result>(work: () => Result): Result;
}

export interface RetryOptions {
  afterMs?: number;
  reason?: string;
}

/** Thrown by a handler: this event is never to be tried again. */
export class Reject extends Error {
  constructor(reason?: string);
}

/** Thrown by a handler: try this event again. */
export class Retry extends Error {
  constructor(options?: RetryOptions);
  readonly afterMs: number | undefined;
}

export class Subscription {
  private constructor();
  /** Whether a sidecar delivers to it now. */
  readonly isOpen: boolean;
  /** End it. Handlers that run get `timeoutMs` (5,000) to end; what they miss is delivered again, which is an attempt,
   * and what none has begun goes to others. In a handler of its own it does not wait. */
  close(options?: { timeoutMs?: number }): Promise<void>;
  stats(): SubscriptionStats;
}

export class EventIterator<Data = any> implements AsyncIterableIterator<Event<Data>> {
  private constructor();
  /** Rejects with the error of the sidecar if it refuses the subscription. */
  next(): Promise<IteratorResult<Event<Data>, undefined>>;
  return(value?: any): Promise<IteratorResult<Event<Data>, any>>;
  [Symbol.asyncIterator](): this;
  /** End it. Events that it gave out and that were not settled are delivered again; others go to others. */
  close(): Promise<void>;
  stats(): SubscriptionStats;
}

export interface SubscriptionStats {
  connected: boolean;
  why_not: string;
  connects: number;
  losses: number;
  /** That came. */
  events: number;
  /** Handled now. */
  running: number;
  /** Of a broadcast, for want of room. */
  left_out: number;
}
