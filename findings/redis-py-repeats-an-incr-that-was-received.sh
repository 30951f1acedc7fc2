#!/usr/bin/env bash
# redis-py 8.1.0 (PyPI), with its defaults, and Redis 7.0.15 (Debian 12, redis-server 5:7.0.15-1~deb12u10)
#
# By default redis-py waits 5 s for an answer (`socket_timeout`) and then sends the command again over a new connection,
# up to 10 times, whatever the command: its parameter `retry_on_timeout` is False by default and changes nothing. The
# server still executes what it had received. So one INCR counts twice where the server is paused for 6 s. A command
# that takes longer than 5 s by its own argument can never succeed: WAIT for 6 s, without a replica, should answer 0;
# instead it is sent 11 times, with all that is in the same pipeline, and the program gets a TimeoutError after a minute
# and has 11 entries in its stream instead of one. `socket_timeout=None, retry=Retry(NoBackoff(), 0)` is the way out.
#
# Seen:
#
#   one INCR, with the server paused for 6 s: 2
#   one XADD with WAIT 1 6000 behind it: TimeoutError, 11 entries
#   the same without socket_timeout and retry: 0 replicas, 1 entry
#
# Exits with 0 while this is so, after about 75 s. Needs apt-get of Debian 12 (it unpacks the packages; nothing is
# installed), python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/debs/partial" "$folder/unpacked"
apt-get install -qq -y --download-only --no-install-recommends -o Debug::NoLocking=1 \
    -o Dir::Cache::archives="$folder/debs" redis-server=5:7.0.15-1~deb12u10 >/dev/null 2>&1
for package in "$folder"/debs/*.deb; do dpkg-deb -x "$package" "$folder/unpacked"; done
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet redis==8.1.0 2>/dev/null

cat >"$folder/run.py" <<'PY'
import glob
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

folder = sys.argv[1]
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
libraries = ":".join(glob.glob(f"{folder}/unpacked/usr/lib/*-linux-gnu*"))
server = subprocess.Popen(
    [f"{folder}/unpacked/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
    cwd=folder, env={**os.environ, "LD_LIBRARY_PATH": libraries}, stdout=subprocess.DEVNULL,
)


def added_with_wait(client: redis.Redis, stream: str) -> str:
    both = client.pipeline(transaction=False)
    both.xadd(stream, {"event": "1"})
    both.wait(1, 6000)
    try:
        return f"{both.execute()[1]} replicas"
    except redis.TimeoutError as error:
        return type(error).__name__


try:
    end = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)):
                break
        except OSError:
            assert time.monotonic() < end and server.poll() is None
            time.sleep(0.05)
    defaults, patient = redis.Redis(port=port), redis.Redis(port=port, socket_timeout=None, retry=Retry(NoBackoff(), 0))
    defaults.ping()
    server.send_signal(signal.SIGSTOP)
    threading.Timer(6, server.send_signal, [signal.SIGCONT]).start()
    defaults.incr("counter")
    print(f"one INCR, with the server paused for 6 s: {patient.get('counter').decode()}")
    outcome = added_with_wait(defaults, "first")
    print(f"one XADD with WAIT 1 6000 behind it: {outcome}, {patient.xlen('first')} entries")
    outcome = added_with_wait(patient, "second")
    print(f"the same without socket_timeout and retry: {outcome}, {patient.xlen('second')} entry")
finally:
    server.kill()
    server.wait()
PY

seen=$(timeout 150 "$folder/v/bin/python" "$folder/run.py" "$folder")
echo "$seen"
[[ $seen == "one INCR, with the server paused for 6 s: 2
one XADD with WAIT 1 6000 behind it: TimeoutError, 11 entries
the same without socket_timeout and retry: 0 replicas, 1 entry" ]] || { echo "this behaviour has changed"; exit 1; }
