"""A sidecar that is only its local socket: a thread that gives the answers that a test sets. For clients' tests."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gossipreg.errors import NotFound, RequestError, UnknownMethod
from gossipreg.wire import rpc

Answer = Callable[[dict[str, Any]], Any]


def instance(port: int = 8080, **changed: Any) -> dict[str, Any]:
    """Return an instance with the JSON fields of the documentation."""
    return {
        "service": "web", "id": f"web-{port}", "node": "00" * 16, "node_name": "web-1", "address": "10.0.0.1",
        "port": port, "tags": [], "meta": {}, "weight": 1, "health": "passing", "stale": False, "zone": "",
        "version": ["112233445566778899", 3],
    } | changed  # fmt: skip


class FakeSidecar:
    """Answers each method with `answers[method](params)`. A RequestError becomes an error reply. Bytes are sent
    unchanged; a function returns the bytes for the request's id.

    Every watch gets the list `changes`, one by one; then the connection stays open, or closes if the list ends in None.
    If `watches` is set, later watches are refused as not found. `seen` has each (method, params).
    """

    def __init__(self, path: Path, answers: dict[str, Answer] | None = None) -> None:
        self.path = path
        self.answers: dict[str, Answer] = answers or {}
        self.changes: list[dict[str, Any] | bytes | None] = []
        self.watches: int | None = None
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            self.open.append(connection)
            threads.append(threading.Thread(target=self._serve, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        decoder = rpc.Decoder()
        with connection:
            try:
                while data := connection.recv(65536):
                    for _, id, method, params in decoder.feed_untrusted(data):
                        self.seen.append((method, params))
                        if not self._answer(connection, id, method, params):
                            return
            except OSError:
                return

    def _answer(self, connection: socket.socket, id: int, method: str, params: dict[str, Any]) -> bool:
        """Answer one request; return False to close the connection."""
        if method == "watch":
            if self.watches is not None:
                self.watches -= 1
                if self.watches < 0:
                    connection.sendall(rpc.encode_error(id, "not_found", "enough watches for this test"))
                    return True
            connection.sendall(rpc.encode_reply(id, {"watch": 7}))
            for change in list(self.changes):
                if change is None:
                    return False
                if isinstance(change, bytes):  # as it is
                    connection.sendall(change)
                    continue
                connection.sendall(rpc.encode_notification("watch", {"watch": 7, "change": change}))
            return True
        try:
            if method not in self.answers:
                raise UnknownMethod(f"no method {method}")
            result = self.answers[method](params)
        except RequestError as error:
            connection.sendall(rpc.encode_error(id, error.code, str(error)))
            return True
        if callable(result):
            result = result(id)
        if isinstance(result, bytes):  # unchanged: not a valid answer
            connection.sendall(result)
            return result != b""
        connection.sendall(rpc.encode_reply(id, result))
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for connection in (self._listener, *self.open):
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)


def echo(sidecar: FakeSidecar) -> None:
    """Have `lookup` answer with the requested name; names that begin with "no-" are not found."""

    def lookup(params: dict[str, Any]) -> list[dict[str, Any]]:
        if params["name"].startswith("no-"):
            raise NotFound(params["name"])
        return [instance(service=params["name"])]

    sidecar.answers["lookup"] = lookup
