"""A way to the sidecar's xDS port that is cut wherever a case wants: after a number of pieces from the sidecar."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CutWay:
    """Forwards each connection. `cut_after` is how many pieces of data from the server the next connection may
    carry, and that one alone; None: all."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.cut_after: int | None = None
        self.cuts = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut what is open now."""
        for one in list(self._open):
            _end(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._to))
        except OSError:
            client.close()
            return
        left, self.cut_after = self.cut_after, None
        self._open |= {client, server}
        threading.Thread(target=_copy, args=(client, server), daemon=True).start()
        with suppress(OSError):
            while data := server.recv(65536):
                if left is not None:
                    left -= 1
                    if left < 0:
                        self.cuts += 1
                        break
                client.sendall(data)
        for one in (client, server):
            _end(one)
            self._open.discard(one)


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
    _end(to)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def cut_way(port: int) -> Iterator[CutWay]:
    way = CutWay(port)
    try:
        yield way
    finally:
        way.close()
