#!/usr/bin/env bash
# psycopg 3.3.9, psycopg2-binary 2.9.13, asyncpg 0.32.0 (PyPI) and PostgreSQL 15 (Debian 12, 15.20-0+deb12u1)
#
# Once a statement has failed, PostgreSQL refuses the rest of the transaction, and answers the COMMIT of it with
# ROLLBACK: no error, only another command tag. None of the three libraries looks at the tag. So where a program catches
# the error of one statement in a block and goes on, the block ends as if it had committed, and nothing of it is stored,
# also not what was written before the error. That holds for psycopg's `transaction()`, for `commit()`, for `with
# connect(...)`, for psycopg2's `commit()`, and for asyncpg's `transaction()`. SQLite keeps what was written before, as
# one would expect of a caught error. An inbox or outbox that commits with the work of others has to look at the state
# of the transaction first; a block of one's own needs a savepoint around what may fail (psycopg: a `transaction()`
# inside).
#
# Seen:
#
#   psycopg transaction(): no error, 0 rows
#   psycopg commit(): no error, 0 rows
#   psycopg with connect(): no error, 0 rows
#   psycopg transaction() with another one around the statement that fails: no error, 1 row
#   psycopg2 commit(): no error, 0 rows
#   asyncpg transaction(): no error, 0 rows
#
# Exits with 0 while this is so, after about 20 s. Needs apt-get of Debian 12 (it unpacks the packages; nothing is
# installed), python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
(cd "$folder/debs" && apt-get download -qq postgresql-15=15.20-0+deb12u1 libllvm14 libpq5 >/dev/null 2>&1)
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet "psycopg[binary]==3.3.9" psycopg2-binary==2.9.13 asyncpg==0.32.0 2>/dev/null

cat >"$folder/run.py" <<'PY'
import asyncio
import glob
import os
import subprocess
import sys
import time

import asyncpg
import psycopg
import psycopg2

folder = sys.argv[1]
[programs] = glob.glob(f"{folder}/unpacked/usr/lib/postgresql/*/bin")
libraries = ":".join(glob.glob(f"{folder}/unpacked/usr/lib/*-linux-gnu*"))
environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
os.chmod(folder, 0o755)
os.mkdir(f"{folder}/db")
os.chmod(f"{folder}/db", 0o700)
if nobody:
    os.chown(f"{folder}/db", 65534, 65534)
WHERE = f"host={folder}/db user=me dbname=postgres"
GOOD, BAD = "insert into notes values (1)", "insert into notes values ('x')"


def end_with_rows(how: str) -> None:
    with psycopg.connect(WHERE) as other:
        [count] = other.execute("select count(*) from notes").fetchone()
        other.execute("delete from notes")
    print(f"{how}: no error, {count} {'row' if count == 1 else 'rows'}")


def write(connection) -> None:
    connection.execute(GOOD)
    try:
        connection.execute(BAD)
    except psycopg.errors.InvalidTextRepresentation:
        pass


async def with_asyncpg() -> None:
    connection = await asyncpg.connect(host=f"{folder}/db", user="me", database="postgres")
    async with connection.transaction():
        await connection.execute(GOOD)
        try:
            await connection.execute(BAD)
        except asyncpg.InvalidTextRepresentationError:
            pass
    await connection.close()


subprocess.run(
    [f"{programs}/initdb", "-D", f"{folder}/db/d", "-U", "me", "-A", "trust", "-E", "UTF8", "--no-locale",
     "-L", glob.glob(f"{folder}/unpacked/usr/share/postgresql/*")[0]],
    env=environment, check=True, stdout=subprocess.DEVNULL, **nobody,
)
server = subprocess.Popen(
    [f"{programs}/postgres", "-D", f"{folder}/db/d", "-k", f"{folder}/db", "-c", "listen_addresses="],
    env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **nobody,
)
try:
    end = time.monotonic() + 60
    while True:
        try:
            connection = psycopg.connect(WHERE)
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end and server.poll() is None
            time.sleep(0.1)
    connection.execute("create table notes (n int)")
    connection.commit()
    with connection.transaction():
        write(connection)
    end_with_rows("psycopg transaction()")
    write(connection)
    connection.commit()
    end_with_rows("psycopg commit()")
    with psycopg.connect(WHERE) as another:
        write(another)
    end_with_rows("psycopg with connect()")
    with connection.transaction():
        connection.execute(GOOD)
        try:
            with connection.transaction():
                connection.execute(BAD)
        except psycopg.errors.InvalidTextRepresentation:
            pass
    end_with_rows("psycopg transaction() with another one around the statement that fails")
    connection.close()
    older = psycopg2.connect(WHERE)
    cursor = older.cursor()
    cursor.execute(GOOD)
    try:
        cursor.execute(BAD)
    except psycopg2.errors.InvalidTextRepresentation:
        pass
    older.commit()
    end_with_rows("psycopg2 commit()")
    older.close()
    asyncio.run(with_asyncpg())
    end_with_rows("asyncpg transaction()")
finally:
    server.kill()
    server.wait()
PY

seen=$(timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder")
echo "$seen"
[[ $seen == "psycopg transaction(): no error, 0 rows
psycopg commit(): no error, 0 rows
psycopg with connect(): no error, 0 rows
psycopg transaction() with another one around the statement that fails: no error, 1 row
psycopg2 commit(): no error, 0 rows
asyncpg transaction(): no error, 0 rows" ]] || { echo "this behaviour has changed"; exit 1; }
