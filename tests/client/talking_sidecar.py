"""A sidecar as a registry meets it: a thread that answers `state`, `watch`, `unwatch` and `unmet` as a test has set.

It keeps instances by name, and sends every change to those who watch. It can be ended and started again on the same
path as another run, another member, or another cluster.
"""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gossipreg.wire import rpc
from tests.client.fake_sidecar import instance

OWN = "aa" * 16
"""The id of the sidecar itself."""
Shape = dict[str, Any]


def state(**changed: Any) -> Shape:
    """The state of a synced sidecar with other members."""
    return {
        "cluster": "prod", "node": OWN, "name": "web-1", "zone": "eu", "run": "01", "knowledge": "synced",
        "not_synced_because": "", "others": True,
    } | changed  # fmt: skip


class TalkingSidecar:
    def __init__(self, path: Path, **changed: Any) -> None:
        """`changed` are fields of its state."""
        self.path = path
        self.state = state(**changed)
        self.services: dict[str, list[Shape]] = {}
        self.met: set[str] | None = None
        """The members that it has met; None: all."""
        self.partial = False
        self.silent = False
        """True: it reads, and answers nothing."""
        self.greeting = b""
        """Sent to each new client, before anything else."""
        self.busy = False
        """True: each client is told that there is no room."""
        self.adds_when_asked = False
        """True: each watch of another name adds an instance to `web`."""
        self.refuses: dict[str, tuple[str, str]] = {}
        """By name: the error for who watches it."""
        self.seen: list[tuple[str, Shape]] = []
        self.connections: list[_TalkingConnection] = []
        self.accepted = 0
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, args=(self._listener,))
        self._thread.start()
        return self

    def end(self) -> None:
        """End every connection, and leave no socket."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self.path.unlink(missing_ok=True)
        assert self._thread is not None
        self._thread.join(30)
        self.drop()

    def drop(self) -> None:
        """End every connection, and go on listening."""
        with self._lock:
            gone, self.connections = self.connections, []
        for connection in gone:
            connection.end()

    def restart(self, **changed: Any) -> None:
        """Come back as another run, with these fields of the state."""
        self.end()
        self.state |= {"run": f"{int(self.state['run'], 16) + 1:02x}"} | changed
        self.start()

    def say(self, **changed: Any) -> None:
        """Change the state, and tell every connection."""
        with self._lock:
            self.state |= changed
            for connection in self.connections:
                connection.send(rpc.encode_notification("state", self.state))

    def change(self, kind: str, shape: Shape, name: str = "web") -> None:
        """Change the instances of a name, and tell those who watch it."""
        with self._lock:
            kept = [one for one in self.services.get(name, []) if one["id"] != shape["id"]]
            self.services[name] = [*kept, shape] if kind != "removed" else kept
            self.tell(name, {"kind": kind, "instance": shape})

    def tell(self, name: str, change: Shape) -> None:
        """Send this change to those who watch the name."""
        with self._lock:
            for connection in self.connections:
                for number, watched in connection.watches.items():
                    if watched == name:
                        connection.send(rpc.encode_notification("watch", {"watch": number, "change": change}))

    def alive(self) -> list["_TalkingConnection"]:
        """The connections that clients hold open."""
        with self._lock:
            return [one for one in self.connections if one.is_alive]

    def current(self, name: str) -> Shape:
        shape = {"kind": "current", "instances": self.services.get(name, [])}
        return {**shape, "partial": True} if self.partial else shape

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = _TalkingConnection(self, sock)
            with self._lock:
                self.accepted += 1
                self.connections.append(connection)
                if self.greeting:
                    connection.send(self.greeting)
                if self.busy:
                    connection.send(rpc.encode_error(None, "busy", "too many clients"))
                    sock.shutdown(socket.SHUT_WR)
            connection.start()

    def answer(self, connection: "_TalkingConnection", id: int, method: str, params: Shape) -> None:
        with self._lock:
            self.seen.append((method, params))
            if self.silent:
                return
            match method:
                case "state":
                    connection.send(rpc.encode_reply(id, self.state))
                case "unmet":
                    met = self.met
                    unmet = [] if met is None else [node for node in params["nodes"] if node not in met]
                    connection.send(rpc.encode_reply(id, unmet))
                case "unwatch":
                    del connection.watches[params["watch"]]
                    connection.send(rpc.encode_reply(id, {}))
                case "watch" if params["name"] in self.refuses:
                    connection.send(rpc.encode_error(id, *self.refuses[params["name"]]))
                case "watch":
                    connection.last += 1
                    connection.watches[connection.last] = params["name"]
                    connection.send(rpc.encode_reply(id, {"watch": connection.last}))
                    if not self.partial or self.services.get(params["name"]):
                        change = {"watch": connection.last, "change": self.current(params["name"])}
                        connection.send(rpc.encode_notification("watch", change))
                    if self.adds_when_asked and params["name"] != "web":
                        self.change("added", at(100 + len(self.services["web"])))
                case _:
                    connection.send(rpc.encode_error(id, "unknown_method", f"no method {method}"))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.end()


class _TalkingConnection:
    def __init__(self, sidecar: TalkingSidecar, sock: socket.socket) -> None:
        self.watches: dict[int, str] = {}
        self.last = 0
        self._sidecar = sidecar
        self._sock = sock
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def send(self, data: bytes) -> None:
        with suppress(OSError):
            self._sock.sendall(data)

    def end(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(30)

    def _serve(self) -> None:
        decoder = rpc.Decoder()
        with self._sock:
            while True:
                try:
                    data = self._sock.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                for _, id, method, params in decoder.feed_untrusted(data):
                    self._sidecar.answer(self, id, method, params)


def at(port: int, node: str = OWN, **changed: Any) -> Shape:
    """An instance of `web` on this port, of this member."""
    return instance(port, node=node, **changed)
