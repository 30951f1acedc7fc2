"""A service in Python that registers with the sidecar beside it, finds the others of its kind, and greets them.

    gossipreg join --http unix:/run/gossipreg/http.sock
    REGISTRY=/run/gossipreg/http.sock python service.py hello

Nothing but the standard library. It answers `GET /` with its id, and prints the ids of those that it reaches whenever
that changes. The sidecar takes it out when its check fails, or when it says goodbye on SIGTERM.
"""

import http.client
import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from typing import Any

NAME = sys.argv[1] if len(sys.argv) > 1 else "hello"
ID = f"{NAME}-python-{os.getpid()}"


class Registry(http.client.HTTPConnection):
    """A connection to the sidecar's unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.environ["REGISTRY"])


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The index to wait beyond, and the answer."""
    connection = Registry("localhost", timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise OSError(f"{method} {path}: {response.status} {data.decode()}")
        return int(response.headers.get("X-Consul-Index", 0)), json.loads(data) if data else None
    finally:
        connection.close()


def greet(address: str, port: int) -> str | None:
    connection = http.client.HTTPConnection(address, port, timeout=1)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except OSError:
        return None
    finally:
        connection.close()


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that the library calls
        self.send_response(200)
        self.send_header("Content-Length", str(len(ID)))
        self.end_headers()
        self.wfile.write(ID.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    service = {"Name": NAME, "ID": ID, "Address": "127.0.0.1", "Port": port, "Meta": {"language": "python"}}
    check = {"HTTP": f"http://127.0.0.1:{port}/", "Interval": "250ms", "Timeout": "200ms", "Status": "passing"}
    ask("PUT", "/v1/agent/service/register", {**service, "Check": check})
    signal.signal(signal.SIGTERM, lambda *_: goodbye())
    index, before = 0, ""
    while True:
        try:
            index, found = ask("GET", f"/v1/health/service/{NAME}?passing&index={index}&wait=30s")
        except OSError as error:  # the sidecar is being restarted: ask again soon, and anew
            print(error, file=sys.stderr)
            index = 0
            time.sleep(0.5)
            continue
        greeted = [greet(one["Service"]["Address"], one["Service"]["Port"]) for one in found]
        line = " ".join(sorted(one for one in greeted if one is not None))
        if line != before:
            print(f"{ID} sees {line}", flush=True)
        before = line


def goodbye() -> None:
    ask("PUT", f"/v1/agent/service/deregister/{ID}")
    os._exit(0)


if __name__ == "__main__":
    main()
