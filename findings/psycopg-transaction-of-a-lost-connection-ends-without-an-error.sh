#!/usr/bin/env bash
# psycopg 3.3.9 (PyPI) and PostgreSQL 15 (Debian 12, 15.20-0+deb12u1)
#
# If the connection is lost inside `with connection.transaction():`, and the program has caught the error of the
# statement that showed it, or has closed the connection itself, the block ends as if it had committed: no error, and
# nothing is stored. `Transaction.__exit__` looks at the connection first and returns where it is broken. psycopg's
# `commit()` raises there, as one would expect. An inbox that acknowledges an event at the end of such a block has lost
# the event; one statement more at the end of the block (RELEASE of a savepoint) shows it.
#
# Seen:
#
#   transaction(), the connection is closed inside: no error, 0 rows
#   transaction(), the server ends the session, the error is caught: no error, 0 rows
#   commit(), the server ends the session, the error is caught: OperationalError, 0 rows
#
# Exits with 0 while this is so, after about 15 s. Needs apt-get of Debian 12 (it unpacks the packages; nothing is
# installed), python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
(cd "$folder/debs" && apt-get download -qq postgresql-15=15.20-0+deb12u1 libllvm14 libpq5 >/dev/null 2>&1)
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet "psycopg[binary]==3.3.9" 2>/dev/null

cat >"$folder/run.py" <<'PY'
import glob
import os
import subprocess
import sys
import time
from contextlib import suppress

import psycopg

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


def connected():
    return psycopg.connect(WHERE)


def rows() -> str:
    with connected() as other:
        [count] = other.execute("select count(*) from notes").fetchone()
        other.execute("delete from notes")
    return f"{count} rows"


def end_session(connection) -> None:
    with connected() as other:
        other.execute("select pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
    with suppress(psycopg.Error):
        connection.execute("select 1")


def close_inside(connection) -> None:
    with connection.transaction():
        connection.execute("insert into notes values (1)")
        connection.close()


def lose_inside(connection) -> None:
    with connection.transaction():
        connection.execute("insert into notes values (1)")
        end_session(connection)


def lose_before_commit(connection) -> None:
    connection.execute("insert into notes values (1)")
    end_session(connection)
    connection.commit()


def told(act) -> str:
    try:
        act(connected())
        found = "no error"
    except Exception as error:
        known = (kind for kind in type(error).__mro__ if kind.__module__ in ("psycopg", "builtins"))
        found = next(known).__name__
    return f"{found}, {rows()}"


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
            connection = connected()
            break
        except psycopg.OperationalError:
            assert time.monotonic() < end and server.poll() is None
            time.sleep(0.1)
    connection.execute("create table notes (n int)")
    connection.commit()
    connection.close()
    print("transaction(), the connection is closed inside:", told(close_inside))
    print("transaction(), the server ends the session, the error is caught:", told(lose_inside))
    print("commit(), the server ends the session, the error is caught:", told(lose_before_commit))
finally:
    server.kill()
    server.wait()
PY

seen=$(timeout 120 "$folder/v/bin/python" "$folder/run.py" "$folder" 2>/dev/null)
echo "$seen"
[[ $seen == "transaction(), the connection is closed inside: no error, 0 rows
transaction(), the server ends the session, the error is caught: no error, 0 rows
commit(), the server ends the session, the error is caught: OperationalError, 0 rows" ]] ||
  { echo "this behaviour has changed"; exit 1; }
