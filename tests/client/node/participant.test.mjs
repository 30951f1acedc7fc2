// A participant keeps its three rules, over a real SQLite.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { client } from "./client.mjs";
import { openDatabase } from "./sqlite.mjs";

const { Participant, ParticipantAnswer } = await client("index.mjs");
const { cases } = JSON.parse(readFileSync(new URL("../sagas/participant-cases.json", import.meta.url)));
const KEY = `${"ab".repeat(16)}.s1/reserve`;
const folder = mkdtempSync(join(tmpdir(), "gr-"));
const path = join(folder, "stock.db");
const database = await openDatabase(path);
const other = await openDatabase(path);
for (const one of [database, other]) one.exec("PRAGMA synchronous = OFF"); // a test needs no disk
after(() => {
  database.close();
  other.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  database.exec('DROP TABLE IF EXISTS done; DROP TABLE IF EXISTS "gossipreg_participant"');
  database.exec("CREATE TABLE done (what TEXT)");
  new Participant(database).createTable();
  new Participant(database).createTable();
});

const count = (table, where = "1 = 1") => Number(query(`SELECT count(*) AS n FROM ${table} WHERE ${where}`).n);
const query = (statement, ...values) => database.prepare(statement).get(...values);
const participants = [new Participant(database), new Participant(other)];

for (const { name, acts, holds } of cases) {
  test(`${name}, whatever instance gets it`, () => {
    let turn = 0;
    for (const [what, status, expected, runs] of acts) {
      const on = [database, other][++turn % 2];
      let ran = false;
      const work = () => {
        ran = true;
        on.prepare("INSERT INTO done VALUES (?)").run(what);
        if (status === null) throw new Error("it raises");
        return new ParticipantAnswer(status);
      };
      const act = () => participants[turn % 2][what](KEY, work);
      if (expected === null) assert.throws(act, /it raises/);
      else assert.equal(act().status, expected);
      assert.equal(ran, runs);
    }
    assert.equal(count("done"), holds.length);
    for (const what of holds) assert.equal(count("done", `what = '${what}'`), 1);
  });
}

for (const ends of ["COMMIT", "ROLLBACK"]) {
  test(`work that ends its transaction by ${ends} is no done step`, () => {
    const undone = [];
    const work = () => {
      database.exec("INSERT INTO done VALUES ('do')");
      database.exec(ends);
    };
    const participant = new Participant(database);
    assert.throws(() => participant.do(KEY, work), { name: "Refused", message: /must neither commit nor roll back/ });
    const again = participant.do(KEY, () => void undone.push("do"));
    const [status, ran] = ends === "COMMIT" ? [500, ["undo"]] : [204, ["do", "undo"]];
    assert.equal(again.status, status);
    assert.equal(participant.undo(KEY, () => void undone.push("undo")).status, 204);
    assert.equal(participant.do(KEY, () => void undone.push("never")).status, 410);
    assert.deepEqual(undone, ran);
  });
}

for (const ends of ["COMMIT", "ROLLBACK"]) {
  test(`an undo that ends its transaction by ${ends} is no undo`, () => {
    const participant = new Participant(database);
    participant.do(KEY, () => {});
    const work = () => {
      database.exec("INSERT INTO done VALUES ('undo')");
      database.exec(ends);
    };
    const refused = { name: "Refused", message: /must neither commit nor roll back, .* the undo is sent again/ };
    assert.throws(() => participant.undo(KEY, work), refused);
    assert.equal(participant.do(KEY, () => assert.fail("it runs again")).isRepeat, true);
    assert.equal(participant.undo(KEY, () => "undone").body.toString(), "undone");
  });
}

test("work that closes its database says so", async () => {
  const own = await openDatabase(path);
  const refused = { name: "Refused", message: /has closed its database.* open another/ };
  assert.throws(() => new Participant(own).do(KEY, () => own.close()), refused);
  assert.equal(count("gossipreg_participant"), 0);
});

test("what the work returns is the answer, and stays it", () => {
  const participant = new Participant(database);
  const answers = [["a", undefined], ["b", { n: 7 }], ["c", "hm"], ["d", Buffer.from([0, 255])]];
  for (const [key, result] of answers) participant.do(key, () => result);
  const found = answers.map(([key]) => participant.do(key, () => assert.fail("it runs again")));
  assert.deepEqual(
    found.map(({ status, body, contentType, isRepeat }) => [status, body.toString("latin1"), contentType, isRepeat]),
    [
      [204, "", "", true],
      [200, '{"n":7}', "application/json", true],
      [200, "hm", "text/plain; charset=utf-8", true],
      [200, "\0ÿ", "application/octet-stream", true],
    ],
  );
});

test("with commit: false it is part of the program's transaction", () => {
  const participant = new Participant(database);
  database.exec("BEGIN");
  assert.throws(() => participant.do(KEY, () => 1), { name: "Refused", message: /commit: false/ });
  assert.equal(participant.do(KEY, () => 1, { commit: false }).status, 200);
  assert.equal(participant.do("other", () => new ParticipantAnswer(503), { commit: false }).status, 503);
  database.exec("ROLLBACK");
  assert.equal(count("gossipreg_participant"), 0);
  assert.throws(() => participant.do(KEY, () => 1, { commit: false }), { name: "Refused", message: /begin one/ });
});

test("keys that are too old go with new ones", () => {
  const participant = new Participant(database);
  for (let number = 0; number < 10; number++) participant.do(`key-${number}`, () => {});
  database.exec("UPDATE gossipreg_participant SET noted_at = noted_at - 91 * 86400 WHERE key <> 'key-9'");
  const left = ["a", "b", "c"].map((key) => (participant.do(key, () => {}), count("gossipreg_participant")));
  assert.deepEqual(left, [7, 4, 4]);
});

test("the key of an undo stands for what it undoes", () => {
  const participant = new Participant(database);
  participant.do(KEY, () => {});
  assert.equal(participant.undo(`${KEY}/undo`, () => "undone").body.toString(), "undone");
  assert.throws(() => participant.do(`${KEY}/undo`, () => {}), { name: "BadParams", message: /Gossipreg-Undoes/ });
});

for (const [what, act, message] of [
  ["no key", (one) => one.do(undefined, () => {}), /Idempotency-Key/],
  ["no undo key", (one) => one.undo("", () => {}), /Gossipreg-Undoes/],
  ["half a surrogate pair", (one) => one.do("a\ud800", () => {}), /Idempotency-Key/],
  ["async work", (one) => one.do(KEY, async () => {}), /is async/],
  ["no work", (one) => one.do(KEY), /is no function/],
  ["no database", () => new Participant({}), /node:sqlite/],
  ["a short time", () => new Participant(database, { keepDays: 30 }), /at least 31/],
  ["a table", () => new Participant(database, { table: "a b" }), /letters/],
  ["a status", () => new ParticipantAnswer(100), /from 200 to 599/],
  ["a content type", () => new ParticipantAnswer(200, "x", { contentType: "a\r\nb: c" }), /printable ASCII/],
  ["an answer", (one) => one.do(KEY, () => 1n), /no form in JSON/],
]) {
  test(`wrong values are refused: ${what}`, () => {
    assert.throws(() => act(new Participant(database)), { name: "BadParams", message });
    assert.equal(count("gossipreg_participant"), 0);
  });
}

test("an answer is sent by a server", async () => {
  const answers = [new ParticipantAnswer(201, { id: 7 }), new ParticipantAnswer(204)];
  const server = http.createServer((request, response) => answers.shift().send(response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const [first, second] = [await fetch(url), await fetch(url)];
  const said = [first.status, first.headers.get("content-type"), await first.json()];
  assert.deepEqual(said, [201, "application/json", { id: 7 }]);
  assert.deepEqual([second.status, await second.text()], [204, ""]);
  server.closeAllConnections();
  server.close();
});
