"""JSON over `http.server`: what the services of the shop share. Any web framework would do instead."""

import json
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JsonRequest(BaseHTTPRequestHandler):
    """One request. A service extends it by `do_POST` and the like."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet

    def handle_one_request(self) -> None:
        """An exception is answered 500, so that a saga sends its step again. The library answers nothing, and closes
        the connection."""
        try:
            super().handle_one_request()
        except ConnectionError:
            raise
        except Exception:
            traceback.print_exc()
            self.close_connection = True
            self.reply(500, {"error": "it failed: stderr of the service says why"})

    def do_GET(self) -> None:
        """What the health check asks: a service that answers is well."""
        self.reply(200, {"well": True})

    def json_body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def reply(self, status: int, content: Mapping[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet: each request would be a line."""


class ShopServer(ThreadingHTTPServer):
    request_queue_size = 128  # the library's 5 are too few: a connection that is dropped is tried again after 1 s
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has hung up is no fault; anything else is printed as usual."""
        import sys

        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as the library calls it


def serve(port: int, requests: type[JsonRequest]) -> None:
    """Answer on this port until the process ends."""
    ShopServer(("127.0.0.1", port), requests).serve_forever()
