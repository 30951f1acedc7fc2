#!/usr/bin/env bash
# httpx 0.28.1 with httpcore 1.0.9 (PyPI)
#
# A connection that is refused, and one to a host that does not resolve, both raise httpx.ConnectError. The OSError that
# says which of the two it was is in no `__cause__` and in no attribute: httpcore raises its own error again `from None`.
# So a program that looks for errno ECONNREFUSED, which says that nothing was sent, along the causes of the exception
# finds nothing; only the text tells the two apart. With the standard library's http.client the OSError itself arrives.
#
# Seen:
#
#   httpx, refused: ConnectError, OSError along __cause__: none
#   httpx, unknown host: ConnectError, OSError along __cause__: none
#   http.client, refused: ConnectionRefusedError
#
# Exits with 0 while this is so. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet httpx==0.28.1 httpcore==1.0.9 2>/dev/null

cat >"$folder/run.py" <<'PY'
import http.client
import socket

import httpx


def os_error(error: BaseException | None) -> str:
    while error is not None:
        if isinstance(error, OSError):
            return type(error).__name__
        error = error.__cause__
    return "none"


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port, and connections are refused
    port = free.getsockname()[1]
    for what, host in (("refused", f"127.0.0.1:{port}"), ("unknown host", f"nowhere.invalid:{port}")):
        try:
            httpx.get(f"http://{host}/", trust_env=False)
        except httpx.HTTPError as error:
            print(f"httpx, {what}: {type(error).__name__}, OSError along __cause__: {os_error(error)}")
    try:
        http.client.HTTPConnection("127.0.0.1", port).request("GET", "/")
    except OSError as error:
        print(f"http.client, refused: {type(error).__name__}")
PY

seen=$(timeout 60 "$folder/v/bin/python" "$folder/run.py")
echo "$seen"
[[ $seen == "httpx, refused: ConnectError, OSError along __cause__: none
httpx, unknown host: ConnectError, OSError along __cause__: none
http.client, refused: ConnectionRefusedError" ]] || { echo "this behaviour has changed"; exit 1; }
