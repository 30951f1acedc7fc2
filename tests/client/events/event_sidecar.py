"""A sidecar that is only its local socket, for histories of events: a test says what is published, delivered, lost."""

import itertools
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gossipreg.errors import RequestError
from gossipreg.wire import rpc

Shape = dict[str, Any]
BOUND_S = 60.0


def event_shape(id: str, **changed: Any) -> Shape:
    """An event as a sidecar gives it over MessagePack."""
    return {
        "id": id, "source": "shop", "type": "order.created", "subject": "", "time": "2026-05-31T12:00:00Z",
        "datacontenttype": "application/json", "data": b'{"n": 7}', "extensions": {},
    } | changed  # fmt: skip


class EventSidecar:
    """Answers publish with `answers`, one after the other (the last for ever): a result, an error, or a way to go:
    "close" without an answer, "refuse" the connection at once. `seen` has each (method, params)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: list[Any] = [published()]
        self.refuses: list[RequestError] = []
        """Of the next subscribes."""
        self.seen: list[tuple[str, Shape]] = []
        self.on_unsubscribe: Callable[[], object] = lambda: None
        """Called before `unsubscribe` is answered."""
        self.silent = False
        """It answers nothing more."""
        self.accepted = 0
        self._news = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._subscribers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None

    def start(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._start(self._accept, self._listener)
        return self

    def end(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self.path.unlink()
        self.drop()

    def drop(self) -> None:
        """End every connection."""
        with self._news:
            gone, self._sockets, self._subscribers = self._sockets, [], []
        for sock in gone:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        for thread in self._threads:
            thread.join(BOUND_S)

    # -- events --------------------------------------------------------------------------------------------------------

    def deliver(self, id: str, *, index: int = 1, attempt: int = 1, delivery: int | None = None, **changed: Any) -> int:
        """Deliver an event to the latest subscriber; returns the number of the delivery."""
        number = next(self._numbers) if delivery is None else delivery
        self._notify("event", {
            "subscription": 1, "delivery": number, "group": "stock" if number else "", "attempt": attempt,
            "journal": "aa", "index": index, "event": event_shape(id, **changed),
        })  # fmt: skip
        return number

    def dropped(self, delivery: int) -> None:
        self._notify("dropped", {"subscription": 1, "delivery": delivery})

    def _notify(self, method: str, params: Shape) -> None:
        with self._news:
            assert self._news.wait_for(lambda: self._subscribers, BOUND_S), "nobody has subscribed"
            sock = self._subscribers[-1]
        sock.sendall(rpc.encode_notification(method, params))

    # -- what came -----------------------------------------------------------------------------------------------------

    def wait_for(self, method: str, count: int = 1) -> list[Shape]:
        """The parameters of all requests of this method, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.params(method)) >= count, BOUND_S), self.seen
            return self.params(method)

    def params(self, method: str) -> list[Shape]:
        return [params for name, params in self.seen if name == method]

    def settled(self, count: int) -> list[tuple[str, int]]:
        """(method, delivery) of all that was settled, once it is so many."""

        def found() -> list[tuple[str, int]]:
            listed = []
            for method, params in self.seen:
                if method in ("ack", "reject", "retry", "give_back"):
                    numbers = params["delivery"] if method in ("ack", "give_back") else [params["delivery"]]
                    listed += [(method, number) for number in numbers]
            return listed

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= count, BOUND_S), self.seen
            return found()

    # -- the socket ----------------------------------------------------------------------------------------------------

    def _start(self, run: Any, *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=run, args=arguments))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._news:
                self.accepted += 1
                self._sockets.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        decoder = rpc.Decoder()
        with sock, suppress(OSError):
            while data := sock.recv(65536):
                for _, id, method, params in decoder.feed_untrusted(data):
                    if not self._answer(sock, id, method, params):
                        return

    def _answer(self, sock: socket.socket, id: int, method: str, params: Shape) -> bool:
        answer: Any = {"known": 1}
        with self._news:
            self.seen.append((method, params))
            if method == "publish":
                answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
            elif method == "subscribe":
                answer = self.refuses.pop(0) if self.refuses else {"subscription": 1}
        if method == "unsubscribe":
            self.on_unsubscribe()
        if self.silent:
            return True
        answer = answer(params) if callable(answer) else answer
        with self._news:
            if isinstance(answer, RequestError):
                sock.sendall(rpc.encode_error(id, answer.code, str(answer)))
            elif answer != "close":
                sock.sendall(rpc.encode_reply(id, answer))
            if method == "subscribe" and not isinstance(answer, RequestError):
                self._subscribers.append(sock)
            self._news.notify_all()
        return bool(answer != "close")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()


def published(**changed: Any) -> Shape:
    return {
        "id": "e1", "source": "shop", "copies": 3, "takeover": True, "duplicate": False, "groups": 1, "journal": "aa",
        "index": 1,
    } | changed  # fmt: skip
