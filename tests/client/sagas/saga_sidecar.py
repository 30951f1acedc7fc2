"""A sidecar that is only its local socket, for histories of sagas: a test says what it answers, loses, forgets."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gossipreg.errors import RequestError
from gossipreg.wire import rpc
from tests.client.events.event_sidecar import EventSidecar, Shape

JOURNAL = "ab" * 16
CLOSE = "close"
"""An answer: the connection ends without one."""


def failure(code: str, text: str = "as asked") -> RequestError:
    error = RequestError(text)
    error.code = code
    return error


def step_answer(**changed: Any) -> Shape:
    return {
        "state": "done", "status": 200, "content_type": "application/json", "body": b'{"n":7}', "cut": False,
        "attempts": 1, "text": "",
    } | changed  # fmt: skip


def story(saga: str = f"{JOURNAL}.s1", **changed: Any) -> Shape:
    return {
        "saga": saga, "name": "create-order", "kind": "by_code", "state": "running", "decision": None, "reason": "",
        "steps": [],
    } | changed  # fmt: skip


class SagaSidecar(EventSidecar):
    """`script[method]` has the next answers: a result, an error, CLOSE, or a function of the parameters that gives one
    of these. After them, and without any, all goes well."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.script: dict[str, list[Any]] = {}
        self.usual: dict[str, Callable[[Shape], Any]] = {
            "saga-begin": begun, "saga-step": lambda _: step_answer(), "saga-after": lambda _: {},
            "saga-commit": lambda _: {"state": "committed"}, "saga-abort": lambda _: {"state": "aborted"},
            "saga-show": lambda params: story(params["saga"]),
            "saga-wait": lambda params: story(params["saga"], state="committed", decision="commit"),
        }  # fmt: skip

    @property
    def methods(self) -> list[str]:
        """Without the words of the thread that looks after sagas: they may come whenever a connection was lost."""
        return [method.removeprefix("saga-") for method, params in self.seen if "program" not in params]

    @property
    def ended(self) -> bool:
        """Whether all connections have ended."""
        return all(sock.fileno() < 0 for sock in self._sockets)

    def _answer(self, sock: socket.socket, id: int, method: str, params: Shape) -> bool:
        with self._news:
            self.seen.append((method, params))
            script = None if "program" in params else self.script.get(method)
            answer = script.pop(0) if script else self.usual[method]
            self._news.notify_all()
        try:
            while callable(answer):
                answer = answer(params)
        except RequestError as error:
            answer = error
        if isinstance(answer, RequestError):
            sock.sendall(rpc.encode_error(id, answer.code, str(answer)))
        elif answer != CLOSE:
            sock.sendall(rpc.encode_reply(id, answer))
        return bool(answer != CLOSE)


def begun(params: Shape) -> Shape:
    saga = f"{JOURNAL}.{params['id']}"
    return {"saga": saga, "id": params["id"], "state": "running", "copies": 3, "takeover": True}
