"""Instances that tests call: real HTTP servers whose answer to each path a test knows.

/port        200, its port, and the headers that it got
/STATUS      this status; with `retry_after`, that header
/cookie      sets the cookie `seen`
/to/PATH     302 to PATH on the host of the request
/away        302 to http://other.service/port
/reset       ends the connection without an answer
/hang        answers when the server closes
/body        a body that goes on until the server is told to `finish`
/cut         half of a body, and then the end of the connection
"""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

BOUND_S = 60.0


class HttpInstance:
    """A server on a port of its own. `answers` maps a path to the status that it answers instead."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, int] = {}
        self.extra_headers: dict[str, str] = {}
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        """(method, path, headers, body) of each request."""
        self.connections = 0
        self.finish = threading.Event()
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on. Those that are open are served further."""
        self.closing.set()
        self.finish.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(BOUND_S)
            self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in these tests."""


def _handler(instance: HttpInstance) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = BOUND_S

        def setup(self) -> None:
            super().setup()
            instance.connections += 1

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            instance.seen.append((self.command, self.path, dict(self.headers.items()), body))
            status = instance.answers.get(self.path)
            self.close_connection = status is None and self.path in ("/reset", "/cut", "/body", "/hang")
            match self.path.split("/")[1:]:
                case _ if status is not None:
                    self._send(status)
                case ["port"]:
                    self._send(200, body=json.dumps({"port": instance.port, **dict(self.headers.items())}).encode())
                case ["cookie"]:
                    self._send(200, {"Set-Cookie": "seen=yes; Path=/"})
                case ["to", path]:
                    self._send(302, {"Location": f"http://{self.headers['Host']}/{path}"})
                case ["away"]:
                    self._send(302, {"Location": "http://other.service/port"})
                case ["reset"]:
                    pass
                case ["hang"]:
                    instance.closing.wait(BOUND_S)
                case ["cut"]:
                    self._begin(200, {"Content-Length": "100"})
                    self.wfile.write(b"half")
                case ["body"]:
                    self._begin(200, {"Content-Length": "8"})
                    self.wfile.write(b"half")
                    self.wfile.flush()
                    instance.finish.wait(BOUND_S)
                    self.wfile.write(b"rest")
                case [number]:
                    self._send(int(number))

        do_POST = do_PUT = do_GET  # noqa: N815 - the names are those of http.server

        def _send(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"ok") -> None:
            self._begin(status, {**(headers or {}), "Content-Length": str(len(body))})
            self.wfile.write(body)

        def _begin(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, **instance.extra_headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    return Handler
