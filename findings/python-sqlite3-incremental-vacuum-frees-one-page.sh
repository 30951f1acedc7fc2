#!/usr/bin/env bash
# CPython 3.11.7, module sqlite3 (SQLite 3.40.1), in its default configuration
#
# `PRAGMA incremental_vacuum` frees all free pages of a database, and frees one alone if it is run by `execute`, with
# `fetchall()` too, and whatever number is given to it. SQLite frees a page in each step of the statement, and the
# module ends a statement without columns after its first step. No error, warning or result says so; `executescript`
# runs the statement to its end. So a program that gives room back to the disk by `execute` gives 4 KiB back.
#
# Seen, for 1,000 rows of 4,000 bytes that were deleted:
#
#   free pages before: N
#   after execute("PRAGMA incremental_vacuum").fetchall(): N - 1
#   after execute("PRAGMA incremental_vacuum(100000)").fetchall(): N - 2
#   after executescript("PRAGMA incremental_vacuum"): 0
#
# Exits with 0 while this is so. Needs python3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/run.py" <<'PY'
import sqlite3
import sys

database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA auto_vacuum = INCREMENTAL")
database.execute("CREATE TABLE t (a)")
database.execute("BEGIN")
database.executemany("INSERT INTO t VALUES (?)", [("x" * 4000,)] * 1000)
database.execute("DELETE FROM t")
database.execute("COMMIT")


def free() -> int:
    return int(database.execute("PRAGMA freelist_count").fetchone()[0])


before = free()
database.execute("PRAGMA incremental_vacuum").fetchall()
first = free()
database.execute("PRAGMA incremental_vacuum(100000)").fetchall()
second = free()
database.executescript("PRAGMA incremental_vacuum")
print(f"python {sys.version.split()[0]}, sqlite {sqlite3.sqlite_version}")
print(f"free pages before: {before}")
print(f'after execute("PRAGMA incremental_vacuum").fetchall(): {first}')
print(f'after execute("PRAGMA incremental_vacuum(100000)").fetchall(): {second}')
print(f'after executescript("PRAGMA incremental_vacuum"): {free()}')
sys.exit(0 if before > 900 and (first, second, free()) == (before - 1, before - 2, 0) else 1)
PY
python3 "$folder/run.py" "$folder/a.db"
