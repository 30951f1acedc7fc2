"""A service that takes part in sagas, by its three rules, and does what a test says: a real HTTP server in threads."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripts.tools.sidecars import Sidecar


class ParticipantLedger:
    """What one service has done, by key: each once, whatever is repeated, and nothing after its undo."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: dict[str, int] = {}
        """How often each key was asked for and done: the first time has the effect."""
        self.undone: list[str] = []
        self.holds: set[str] = set()
        """What has an effect now."""
        self.after: list[str] = []

    def do(self, key: str) -> int:
        with self._lock:
            if key in self.undone:
                return 410
            self.done[key] = self.done.get(key, 0) + 1
            self.holds.add(key)
            return 200

    def undo(self, key: str) -> int:
        with self._lock:
            if key not in self.undone:
                self.undone.append(key)
            self.holds.discard(key)
            return 200


class Participant:
    def __init__(self) -> None:
        self.ledger = ParticipantLedger()
        self.refuses = False
        """Answer 422 to what is to be done."""
        self.broken = False
        """Answer 503 to everything."""
        self.authorizations: list[str] = []
        self.slow = threading.Event()
        """While it is not set, what is to be done is done, and its answer waits."""
        self.slow.set()
        self.asked = threading.Event()
        """It was asked to do something."""
        participant = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status = participant._answer(self.command, self.headers)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "12")
                self.end_headers()
                self.wfile.write(b'{"room": 17}')

            do_PUT = do_POST = do_DELETE = answer  # noqa: N815  names of http.server

            def log_message(self, *_said: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def _answer(self, method: str, headers: Any) -> int:
        if authorization := headers.get("authorization"):
            self.authorizations.append(authorization)
        if self.broken:
            return 503
        if undoes := headers.get("gossipreg-undoes"):
            return self.ledger.undo(undoes)
        if self.refuses:
            return 422
        status = self.ledger.do(headers["idempotency-key"])
        self.asked.set()
        self.slow.wait()
        return status if method != "POST" else self._confirmed(headers["idempotency-key"])

    def _confirmed(self, key: str) -> int:
        self.ledger.after.append(key)
        return 200

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.slow.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def register(self, sidecar: Sidecar, name: str) -> None:
        sidecar.call("register", name=name, address="127.0.0.1", port=self.port)
