#!/usr/bin/env bash
# requests 2.34.2 with urllib3 2.8.0 (PyPI), over http.client of Python 3.11
#
# A server may send interim responses before its answer: 103 Early Hints (RFC 8297). requests hands the program the 103
# as the answer, with an empty body: http.client skips 100 alone, and urllib3 takes what it gives. So a program that
# looks for an error status takes an empty page for a success, and the answer itself is never read. httpx and aiohttp
# skip the interim response.
#
# Seen:
#
#   requests: 103 ''
#   httpx: 200 'hi'
#   aiohttp: 200 'hi'
#
# Exits with 0 while this is so. Needs python3 with venv.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install --quiet requests==2.34.2 urllib3==2.8.0 httpx==0.28.1 httpcore==1.0.9 aiohttp==3.14.5 2>/dev/null

cat >"$folder/run.py" <<'PY'
import asyncio
import socket
import threading

import aiohttp
import httpx
import requests

ANSWER = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
)


def serve(listener: socket.socket) -> None:
    while True:
        try:
            stream, _ = listener.accept()
        except OSError:
            return
        with stream:
            stream.recv(65536)
            stream.sendall(ANSWER)


async def with_aiohttp(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return f"{response.status} {await response.text()!r}"


with socket.create_server(("127.0.0.1", 0)) as listener:
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    session = requests.Session()
    session.trust_env = False
    response = session.get(url)
    print(f"requests: {response.status_code} {response.text!r}")
    answer = httpx.get(url, trust_env=False)
    print(f"httpx: {answer.status_code} {answer.text!r}")
    print(f"aiohttp: {asyncio.run(with_aiohttp(url))}")
PY

seen=$(timeout 60 "$folder/v/bin/python" "$folder/run.py")
echo "$seen"
[[ $seen == "requests: 103 ''
httpx: 200 'hi'
aiohttp: 200 'hi'" ]] || { echo "this behaviour has changed"; exit 1; }
