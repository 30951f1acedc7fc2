// Participant: what takes part in sagas does each key once, undoes what it did, and refuses what comes too late. The
// rules and the table are those of `gossipreg/client/sagas/participant_rules.py`, so programs of both may share it.
//
//     new Participant(database).do(request.get("Idempotency-Key"), () => reserve(request.body)).send(response);
//
// `database` is a connection of node:sqlite or better-sqlite3: what they have in common is used. Both do all work
// before they return, so that no other request comes between. Work that is async could not be part of a transaction.

import { BadParams, Refused } from "../errors.mjs";
import { requireFunction, shown } from "../given.mjs";
import { refuseUnknown } from "../unknown-options.mjs";
import { GONE, NO_CONTENT, ParticipantAnswer, UNDONE_TOO } from "./participant-answer.mjs";

const TABLE = "gossipreg_participant";
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,47}$/;
const DAY_S = 86_400;
const KEEP_DAYS = 90;
/** A saga may run for 30 days, and until it is decided its undo may come. */
const LEAST_KEEP_DAYS = 31;
/** Rows that are too old and go with each new key. */
const FORGET_ROWS = 4;
const MAX_KEY = 512;
const MUST_NOT = "the work has ended the transaction that it is part of: it must neither commit nor roll back, and ";
const WORK_ENDED = `${MUST_NOT}what it has committed stays until the step is undone`;
const UNDO_ENDED = `${MUST_NOT}what it has committed stays, and the undo is sent again`;
/** Of a row whose work is not over: nobody sees it, but where the work has committed it. */
const UNFINISHED = new ParticipantAnswer(500, { error: { code: "unfinished", message: WORK_ENDED } });
/** NUL, and half of a surrogate pair: each such half would be the same letter in the database. */
const NOT_KEPT = /[\0\p{Surrogate}]/u;
const UNDO_KEY = /^([0-9a-f]+\.[^/]+\/[^/]+)\/undo$/;

/** Inside: this is the answer, and nothing of it may stay. */
class AnswerNotKept extends Error {
  constructor(answer) {
    super(`status ${answer.status}`);
    this.answer = answer;
  }
}

export class Participant {
  #database;
  #table;
  #keepS;

  /** See sagas.d.ts. Throws BadParams. */
  constructor(database, options = {}) {
    refuseUnknown("Participant", options, ["table", "keepDays"]);
    const { table = TABLE, keepDays = KEEP_DAYS } = options;
    if (typeof database?.prepare !== "function" || typeof database.exec !== "function") {
      throw new BadParams(`database is ${shown(database)}: give one of node:sqlite or better-sqlite3`);
    }
    if (typeof table !== "string" || !NAME.test(table)) {
      throw new BadParams(`table is ${shown(table)}: choose 1 to 48 letters, digits and _`);
    }
    if (!(typeof keepDays === "number" && keepDays >= LEAST_KEEP_DAYS)) {
      throw new BadParams(`keepDays is ${shown(keepDays)}: give days, at least ${LEAST_KEEP_DAYS}`);
    }
    this.#database = database;
    this.#table = `"${table}"`;
    this.#keepS = keepDays * DAY_S;
    this.sql =
      `CREATE TABLE IF NOT EXISTS ${this.#table} (key TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, ` +
      `status INTEGER NOT NULL, content_type TEXT NOT NULL, body BLOB NOT NULL, noted_at REAL NOT NULL);\n` +
      `CREATE INDEX IF NOT EXISTS "${table}_noted" ON ${this.#table} (noted_at);\n`;
  }

  createTable() {
    this.#database.exec(this.sql);
  }

  do(key, work, options = {}) {
    const checked = checkedKey(key, "Idempotency-Key");
    if (UNDO_KEY.test(checked)) {
      throw new BadParams(`key ${shown(checked)} is that of an undo: call undo with the header Gossipreg-Undoes`);
    }
    return this.#inTransaction(work, options, () => this.#do(checked, work));
  }

  undo(key, work, options = {}) {
    const checked = checkedKey(key, "Gossipreg-Undoes");
    const undone = UNDO_KEY.exec(checked)?.[1] ?? checked;
    return this.#inTransaction(work, options, () => this.#undo(undone, work));
  }

  #do(key, work) {
    const row = this.#claim(key, "done", UNFINISHED);
    if (row !== null) {
      if (row.state !== "undone") return ParticipantAnswer.kept(row);
      const error = { code: "undone", message: "this key was undone, so it is done no more" };
      return new ParticipantAnswer(GONE, { error }, { isRepeat: true });
    }
    this.#database.exec("SAVEPOINT gossipreg_work");
    const answer = worked(work);
    if (answer.isRefusal) this.#endWork("ROLLBACK TO SAVEPOINT gossipreg_work", WORK_ENDED);
    else if (!answer.isDone) throw new AnswerNotKept(answer);
    this.#endWork("RELEASE SAVEPOINT gossipreg_work", WORK_ENDED);
    this.#keep(key, answer.isDone ? "done" : "refused", answer);
    this.#forget();
    return answer;
  }

  #undo(key, work) {
    const row = this.#claim(key, "undone", new ParticipantAnswer(NO_CONTENT));
    if (row === null) {
      this.#forget();
      return new ParticipantAnswer(NO_CONTENT);
    }
    if (row.state === "undone") return ParticipantAnswer.kept(row);
    let answer = new ParticipantAnswer(NO_CONTENT);
    if (row.state === "done") {
      this.#database.exec("SAVEPOINT gossipreg_work");
      answer = worked(work);
      if (!answer.isDone && !UNDONE_TOO.has(answer.status)) throw new AnswerNotKept(answer);
      this.#endWork("RELEASE SAVEPOINT gossipreg_work", UNDO_ENDED);
    }
    this.#keep(key, "undone", answer);
    return answer;
  }

  /** The savepoint around the work is gone where the work has ended the transaction. */
  #endWork(statement, ended) {
    try {
      this.#database.exec(statement);
    } catch (error) {
      const { open, isOpen } = this.#database; // of node:sqlite `open` is a function
      const isClosed = (typeof open === "boolean" ? open : isOpen) === false;
      const closed = "the work has closed its database, so nothing of it is kept: open another for the next attempt";
      throw new Refused(isClosed ? closed : `${ended} (${error.message})`, { cause: error });
    }
  }

  /** Write the row of this key, with this answer, and return null; or return what it had. SQLite has one writer at a
   * time. */
  #claim(key, state, { status, contentType, body }) {
    const columns = "key, state, status, content_type, body, noted_at";
    const insert = `INSERT INTO ${this.#table} (${columns}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`;
    const { changes } = this.#run(insert, key, state, status, contentType, body, nowS());
    if (Number(changes) === 1) return null;
    const select = `SELECT state, status, content_type, body FROM ${this.#table} WHERE key = ?`;
    return this.#database.prepare(select).get(key);
  }

  #keep(key, state, { status, contentType, body }) {
    const update = `UPDATE ${this.#table} SET state = ?, status = ?, content_type = ?, body = ?, noted_at = ?`;
    this.#run(`${update} WHERE key = ?`, state, status, contentType, body, nowS(), key);
  }

  #forget() {
    const old = `SELECT rowid FROM ${this.#table} WHERE noted_at < ? LIMIT ${FORGET_ROWS}`;
    this.#run(`DELETE FROM ${this.#table} WHERE rowid IN (${old})`, nowS() - this.#keepS);
  }

  #run(statement, ...values) {
    return this.#database.prepare(statement).run(...values);
  }

  #inTransaction(work, options, act) {
    requireFunction("work", work);
    refuseUnknown("do and undo", options, ["commit"]);
    const { commit = true } = options;
    const isOpen = this.#database.inTransaction ?? this.#database.isTransaction ?? !commit;
    if (commit && isOpen) {
      throw new Refused("a transaction is open on this connection: commit it before, or give commit: false");
    }
    if (!commit && !isOpen) throw new Refused("no transaction is open on this connection: begin one before");
    const [begin, end, back] = commit
      ? ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]
      : ["SAVEPOINT gossipreg_part", "RELEASE gossipreg_part", "ROLLBACK TO gossipreg_part; RELEASE gossipreg_part"];
    this.#database.exec(begin);
    let answer;
    try {
      answer = act();
      this.#database.exec(end);
    } catch (error) {
      try {
        this.#database.exec(back);
      } catch {
        // the work has ended the transaction, or the database is broken
      }
      if (!(error instanceof AnswerNotKept)) throw error;
      answer = error.answer;
    }
    return answer;
  }
}

function worked(work) {
  const result = work();
  if (typeof result?.then === "function") {
    result.then(undefined, () => {}); // it is refused here, whatever becomes of it
    const why = "work is async, so it cannot be part of a transaction";
    throw new BadParams(`${why}: give a function that is done when it returns`);
  }
  return ParticipantAnswer.of(result);
}

function checkedKey(key, header) {
  if (typeof key !== "string" || !key || key.length > MAX_KEY || NOT_KEPT.test(key)) {
    const what = `give what the request has in its header ${header}, 1 to ${MAX_KEY} letters`;
    throw new BadParams(`key is ${shown(key)}: ${what}`);
  }
  return key;
}

function nowS() {
  return Date.now() / 1000;
}
