// The watch stream of one registry, opened again for as long as the registry lives.
//
// Owns: the stream, the waits between attempts, and what went wrong last. A stream is opened with all names that are
// used by then, and asked for further ones while it goes on. Where all have to be listed anew, another stream is opened
// and takes the place of the first once it answers. A registry at rest has one socket and no timer, and neither keeps
// the process alive.

import { bootClock, idleTimer } from "../clock.mjs";
import { RequestError } from "../errors.mjs";
import { foldName } from "../names.mjs";
import { callSidecar, openStream } from "../sidecar.mjs";
import { findSocket } from "../socket-path.mjs";
import { Conversation } from "./conversation.mjs";
import { ServiceFeed } from "./feed.mjs";
import { ALL, NOTHING, SidecarTrust } from "./state.mjs";

/** The waits between attempts to connect. Each is drawn between its half and the whole, so that the programs of a host
 * do not all come at the same moment. */
const FIRST_WAIT_S = 0.02;
const LONGEST_WAIT_S = 2;
const ASK_TIMEOUT_S = 5;
/** A sidecar answers in a millisecond, under load in some tens. One that is silent for so long stands still. */
const ANSWER_S = 2;
/** Programs whose requests fail ask the sidecar no more often. */
const CHECK_S = 5;
/** Programs get the list of a sidecar that knows nobody else before what they have is too old. */
const LAPSE_EARLIER_S = 1;
/** The waits until a name is asked for again that the sidecar had no room to watch. */
const FIRST_BUSY_S = 0.5;
const LONGEST_BUSY_S = 30;
/** What a sidecar answers about a name that it does not take. */
const OF_NAMES = new Set(["bad_params", "too_large", "refused", "not_found"]);

export class SidecarLink {
  #named;
  #ref;
  #feeds = new Map();
  /** The services that programs have used. */
  #wanted = new Set();
  /** {stream, conversation, feeds}: the one in use, and the one that is being opened. */
  #current = null;
  #next = null;
  #finding = false;
  #isLate = false; // all have to be listed anew, after the next stream was asked for
  #waitS = 0;
  /** The last wait for each service that the sidecar had no room to watch. */
  #busyS = new Map();
  #tryTimer = null;
  #dueTimer = null;
  #warned = "";
  /** Of the sidecar that was tried last. */
  path;
  /** Why there is no connection; empty if there is one, or if none was tried. */
  fault = "";
  isClosed = false;
  connects = 0;
  losses = 0;
  #changesBefore = 0;
  #checkAt = -Infinity;

  /** path: the socket's; null: it is looked for at each attempt. ref: whether the stream keeps the process alive. */
  constructor({ path, maxStaleS, ref }) {
    this.#named = path;
    this.#ref = ref;
    this.path = path;
    const earlierS = maxStaleS === null ? null : Math.max(maxStaleS / 2, maxStaleS - LAPSE_EARLIER_S);
    this.trust = new SidecarTrust(earlierS);
  }

  /** The service of this name: the same object for the same name. */
  feed(name) {
    const folded = foldName(name);
    let feed = this.#feeds.get(folded);
    if (feed === undefined) this.#feeds.set(folded, (feed = new ServiceFeed(folded)));
    return feed;
  }

  get wanted() {
    return [...this.#wanted];
  }

  get isConnected() {
    return this.#current !== null;
  }

  /** Whether a sidecar is connected and believed in all that it says. */
  get isSynced() {
    return this.isConnected && this.trust.level === ALL && !this.isSilent;
  }

  /** Whether a sidecar is followed now that is believed in what it lists. */
  get isConfirmed() {
    return this.isConnected && this.trust.level !== NOTHING && !this.isSilent;
  }

  /** Whether the sidecar is connected, and has not answered a `check`. */
  get isSilent() {
    return this.#current?.conversation.silent ?? false;
  }

  /** Changes of instances that came so far. */
  get changes() {
    return this.#changesBefore + (this.#current?.conversation.changes ?? 0);
  }

  /** Why there may be no fresh snapshot, in words. */
  get whyNotSynced() {
    if (this.isSilent) return `it has answered nothing for ${ANSWER_S} s: it stands still, or has no time`;
    return this.fault || this.trust.whyNot || "it has not answered yet";
  }

  /** Follow this service from now on. */
  want(feed) {
    if (this.isClosed || this.#wanted.has(feed)) return;
    this.#wanted.add(feed);
    if (this.#next !== null || this.#finding) return; // that stream is for all names
    if (this.#current !== null) this.#current.conversation.watch(feed);
    else if (this.#tryTimer === null) this.#open();
  }

  /** A request to an instance has failed, perhaps since the sidecar stands still and does not say that it is gone: ask
   * it for a sign of life. It waits for nothing. */
  check() {
    const now = bootClock();
    if (this.#current === null || now < this.#checkAt) return;
    this.#checkAt = now + CHECK_S;
    void this.#listen(this.#current);
  }

  async #listen(opened) {
    const lives = await callSidecar(opened.path, "unmet", { nodes: [] }, ANSWER_S).then(
      () => true,
      (error) => error instanceof RequestError,
    );
    if (opened !== this.#current) return;
    this.#apply(opened, () => opened.conversation.hear(lives));
    if (!lives) idleTimer(() => opened === this.#current && this.isSilent && void this.#listen(opened), ANSWER_S);
  }

  /** Call a method of the sidecar. */
  async call(method, params, timeoutS = ASK_TIMEOUT_S) {
    const path = this.#current?.path ?? (await findSocket(this.#named));
    return callSidecar(path, method, params, timeoutS);
  }

  /** End the stream. Lookups that wait end now, and later ones fail. */
  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#drop(bootClock());
    this.#next?.stream.close();
    this.#next = null;
    clearTimeout(this.#tryTimer);
    for (const feed of this.#feeds.values()) {
      feed.publish();
      feed.tell();
    }
    this.#wanted.clear();
  }

  // -- streams --------------------------------------------------------------------------------------------------------

  async #open() {
    this.#finding = true;
    try {
      const path = (this.path = this.#current?.path ?? (await findSocket(this.#named)));
      await Promise.resolve(); // names that are used in this turn come along
      this.#finding = this.#isLate = false;
      if (!this.isClosed) this.#openAt(path);
    } catch (error) {
      this.#finding = false;
      if (!this.isClosed) this.#later(error.message);
    }
  }

  #openAt(path) {
    const feeds = [...this.#wanted].filter((feed) => !isRefused(feed));
    if (!feeds.length) return;
    const opened = { path, feeds };
    opened.conversation = new Conversation({
      path,
      trust: this.trust,
      feeds,
      ask: (method, params) => callSidecar(path, method, params, ASK_TIMEOUT_S),
      add: (params) => opened.stream.send(params),
      refused: (feed, error) => this.#refused(opened, feed, error),
      apply: (change) => this.#apply(opened, change),
      renew: () => this.#renew(),
    });
    let now = null; // of the lines that came together
    opened.stream = openStream(
      path,
      "watch",
      { names: feeds.map(({ name }) => name), state: true },
      {
        ref: this.#ref,
        further: true,
        onLine: (line) => {
          if (opened === this.#next && line.result !== undefined) this.#adopt(opened);
          opened.conversation.takeUntrusted(line, (now ??= bootClock()));
        },
        onPause: () => {
          now = null;
          this.#apply(opened, () => {});
        },
        onEnd: (error) => this.#ended(opened, error),
      },
    );
    this.#next = opened;
  }

  /** The sidecar has answered: use this stream from now on. */
  #adopt(opened) {
    this.#next = null;
    const former = this.#current;
    this.#current = opened;
    this.fault = "";
    clearTimeout(this.#tryTimer);
    this.#tryTimer = null;
    if (former === null) {
      this.connects++;
    } else {
      opened.conversation.takeOver(former.conversation);
      former.stream.close();
    }
    if (this.#isLate) this.#renew();
    const { conversation } = opened;
    for (const feed of this.#wanted) if (!conversation.follows(feed) && !isRefused(feed)) conversation.watch(feed);
  }

  /** The sidecar does not watch a further name. If it has no room for it, ask again later. */
  #refused(opened, feed, error) {
    feed.refuse(error);
    if (isRefused(feed)) return;
    const waitS = Math.min(LONGEST_BUSY_S, (this.#busyS.get(feed) ?? FIRST_BUSY_S / 2) * 2);
    this.#busyS.set(feed, waitS);
    idleTimer(() => {
      if (opened === this.#current && !opened.conversation.follows(feed)) opened.conversation.watch(feed);
    }, waitS);
  }

  #renew() {
    if (this.#next === null && !this.#finding) this.#open();
    else this.#isLate = true;
  }

  #apply(opened, change) {
    if (opened !== this.#current) return;
    const now = bootClock();
    change(now);
    if (opened.conversation.saidState) {
      this.#waitS = 0;
      this.#warnOfDoubt();
    }
    opened.conversation.flush(now);
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#dueTimer);
    const due = this.#current?.conversation.due ?? Infinity;
    if (due === Infinity) return;
    this.#dueTimer = idleTimer(() => {
      const opened = this.#current;
      if (opened !== null) this.#apply(opened, (now) => opened.conversation.passTime(now));
    }, due - bootClock());
  }

  // -- ends -----------------------------------------------------------------------------------------------------------

  #ended(opened, error) {
    if (opened === this.#next) {
      this.#next = null;
      if (error instanceof RequestError && OF_NAMES.has(error.code)) void this.#findRefused(opened, error);
      else this.#later(error.message);
    } else if (opened === this.#current) {
      this.losses++;
      this.#drop(bootClock());
      if (this.#next === null && !this.#finding) this.#later(error.message);
      for (const feed of this.#wanted) feed.publish();
    }
  }

  #drop(now) {
    clearTimeout(this.#dueTimer);
    const former = this.#current;
    if (former === null) return;
    this.#current = null;
    this.#changesBefore += former.conversation.changes;
    former.conversation.end();
    former.stream.close();
    this.trust.gone(now);
    for (const feed of this.#wanted) feed.known.disconnected(now);
  }

  /** The sidecar did not take one of these names: find out which, by one question each. */
  async #findRefused(opened, error) {
    const fresh = opened.feeds.filter((feed) => !this.#current?.conversation.follows(feed));
    let found = false;
    for (const feed of fresh) {
      const refusal = fresh.length === 1 ? error : await this.#refusalOf(opened.path, feed);
      if (refusal === null) continue;
      found = true;
      feed.refuse(refusal);
    }
    if (found) this.#renew();
    else this.#later(error.message);
  }

  async #refusalOf(path, feed) {
    try {
      await callSidecar(path, "lookup", { name: feed.name, limit: 1 }, ASK_TIMEOUT_S);
    } catch (error) {
      if (error instanceof RequestError && OF_NAMES.has(error.code)) return error;
    }
    return null;
  }

  /** Open a stream after a wait that grows. */
  #later(fault) {
    if (this.#current === null) this.fault = fault;
    this.#waitS = this.#waitS ? Math.min(LONGEST_WAIT_S, this.#waitS * 2) : FIRST_WAIT_S;
    clearTimeout(this.#tryTimer);
    this.#tryTimer = idleTimer(
      () => {
        this.#tryTimer = null;
        if (!this.isClosed && this.#next === null && !this.#finding) this.#open();
      },
      this.#waitS * (0.5 + 0.5 * Math.random()),
    );
  }

  /** Warn that the sidecar is another one than before, once for each such sidecar. */
  #warnOfDoubt() {
    const { state, isOfAnotherCluster, isStranger, whyNot } = this.trust;
    if (state === null || !(isOfAnotherCluster || isStranger) || state.run === this.#warned) return;
    this.#warned = state.run;
    process.emitWarning(`the sidecar on ${this.path} is not believed yet: ${whyNot}`, "GossipregWarning");
  }
}

/** Whether the sidecar does not take this name, now or later. */
function isRefused({ refused }) {
  return refused !== null && OF_NAMES.has(refused.code);
}
