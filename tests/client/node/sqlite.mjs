// A database of SQLite with what node:sqlite and better-sqlite3 have in common. Node before 22.5 has none of its own:
// there it is Python's, in a process of its own that answers one line with another.

import { spawn, execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, writeSync } from "node:fs";

const SERVE = `
import base64, json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
def read(value): return base64.b64decode(value["bytes"]) if isinstance(value, dict) else value
def shown(value): return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
with open(sys.argv[2]) as asked, open(sys.argv[3], "w", buffering=1) as answered:
    for line in asked:
        statement, values, script = json.loads(line)
        try:
            if script:
                for one in statement.split(";"):
                    database.execute(one)
                found = {}
            else:
                cursor = database.execute(statement, [read(value) for value in values])
                row = cursor.fetchone() if cursor.description else None
                names = [column[0] for column in cursor.description or ()]
                found = {"changes": cursor.rowcount, "row": row and dict(zip(names, map(shown, row)))}
        except Exception as error:
            found = {"error": str(error)}
        print(json.dumps({**found, "open": database.in_transaction}), file=answered)
`;

/** A database in this file. */
export async function openDatabase(path) {
  try {
    const { DatabaseSync } = await import("node:sqlite");
    return new DatabaseSync(path);
  } catch {
    return new PythonDatabase(path);
  }
}

class PythonDatabase {
  #asked;
  #answered;
  inTransaction = false;
  open = true;

  constructor(path) {
    const ways = [`${path}.asked-${process.hrtime.bigint()}`, `${path}.answered-${process.hrtime.bigint()}`];
    execFileSync("mkfifo", ways);
    spawn(process.env.PYTHON ?? "python3", ["-c", SERVE, path, ...ways], { stdio: ["ignore", "inherit", "inherit"] });
    this.#asked = openSync(ways[0], "w");
    this.#answered = openSync(ways[1], "r");
  }

  exec(script) {
    this.#ask(script.trim().replace(/;$/, ""), [], true);
  }

  prepare(statement) {
    return {
      run: (...values) => ({ changes: this.#ask(statement, values, false).changes }),
      get: (...values) => this.#ask(statement, values, false).row ?? undefined,
    };
  }

  close() {
    this.open = false;
    closeSync(this.#asked);
    closeSync(this.#answered);
  }

  #ask(statement, values, script) {
    if (!this.open) throw new TypeError("The database connection is not open");
    const given = values.map((value) =>
      ArrayBuffer.isView(value) ? { bytes: Buffer.from(value).toString("base64") } : value,
    );
    writeSync(this.#asked, `${JSON.stringify([statement, given, script])}\n`);
    const pieces = [];
    const piece = Buffer.alloc(65536);
    do pieces.push(Buffer.from(piece.subarray(0, readSync(this.#answered, piece))));
    while (pieces.at(-1).at(-1) !== 10);
    const { error, row, changes, open } = JSON.parse(Buffer.concat(pieces).toString());
    this.inTransaction = open;
    if (error !== undefined) throw new Error(error);
    for (const [name, value] of Object.entries(row ?? {})) {
      if (typeof value?.bytes === "string") row[name] = Buffer.from(value.bytes, "base64");
    }
    return { row, changes };
  }
}
