"""A synchronous client of the local socket: `Client.call` and `Client.watch`.

Owns: connections to one sidecar, and their time-outs. Never knows: what the methods mean; results are as the
documentation of the local socket gives them, in plain lists and maps.

How it works: one connection carries the calls, one at a time. Each watch has a connection of its own, so that a call
never meets a notification, nothing has to be queued here, and who reads slowly slows only himself. A connection that
failed in any way is closed, because what comes next on it is unknown; the next call opens a new one.

    with Client() as client:
        for instance in client.call("lookup", name="billing"):
            print(instance["address"], instance["port"])
"""

import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Self

from gossipreg.errors import REQUEST_ERRORS, RequestError, Unreachable
from gossipreg.socket_path import find_socket, path_fault
from gossipreg.wire import rpc

TIMEOUT_S = 10.0
"""A sidecar answers in well under a millisecond, and `leave` in a few seconds."""
RECEIVE_BYTES = 64 * 1024
FIRST_WAIT_S, LONGEST_WAIT_S = 0.002, 0.05
"""Between tries to get to a sidecar that has many before its door."""
PAGE = 1000
"""Services or members asked for at once: a few hundred kilobytes."""


class Client:
    """Speaks with the sidecar on `path`; without one, with $GOSSIPREG_SOCKET or the only sidecar of this user.

    Every method raises Unreachable where no answer comes, and the RequestError that the sidecar answered with. For
    one thread at a time.
    """

    def __init__(self, path: str | None = None, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Opens nothing yet. Raises Unreachable where there is no socket, BadParams where there are several.

        `timeout_s` bounds each call; None waits for ever.
        """
        self.path = find_socket(path, answers)
        self.timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._last_id = 0

    def call(self, method: str, **params: Any) -> Any:
        """One request, its result. After Unreachable it is not known whether the sidecar did it."""
        self._last_id += 1
        if self._connection is not None and self._connection.ended():
            self.close()  # it was idle, and others needed its place, or the sidecar is another one now
        if self._connection is None:
            self._connection = _Connection(self.path, self.timeout_s)
        try:
            return self._connection.call(self._last_id, method, params, self.timeout_s)
        finally:
            if not self._connection.in_step:
                self.close()

    def call_paged(self, method: str, key: str) -> list[dict[str, Any]]:
        """All of `services` (key "name") or `members` (key "id"), fetched page by page."""
        found: list[dict[str, Any]] = []
        after: dict[str, str] = {}
        while page := self.call(method, limit=PAGE, **after):
            found += page
            if after.get("after") == page[-1][key]:
                raise Unreachable(f"the sidecar on {self.path} answers {method} with the same page again")
            after = {"after": page[-1][key]}
        return found

    def watch(self, name: str | None = None) -> "Watch":
        """The instances of service `name`, or of all: first `{"kind": "current", "instances": [..]}`, then each
        change as it comes."""
        return Watch(self.path, name, self.timeout_s)

    def notified(self) -> tuple[str, dict[str, Any]] | None:
        """What the sidecar has said unasked on the connection of the calls, one at a time; None: nothing (more) yet.
        Raises Unreachable when it ended."""
        if self._connection is None:
            return None
        match self._connection.receive(monotonic()):
            case ("notification", str(method), dict(params)):
                return method, params
            case ("reply", None, (code, text), _):
                raise _answered_error(code, text)
        return None

    def fileno(self) -> int:
        """For `select`: of the connection of the calls. When no call is under way, it is readable once that ended."""
        if self._connection is None:
            raise ValueError("there is no connection: call something first")
        return self._connection.fileno()

    def close(self) -> None:
        """End the connection of the calls; a later call opens another. Watches are closed by themselves."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class Watch:
    """An iterator of changes that waits for ever; see `Client.watch`. Raises Unreachable when the sidecar ends."""

    def __init__(self, path: str, name: str | None, timeout_s: float | None) -> None:
        self._connection = _Connection(path, timeout_s)
        try:
            params = {} if name is None else {"name": name}
            self._number = self._connection.call(1, "watch", params, timeout_s)["watch"]
        except BaseException:
            self._connection.close()
            raise

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        change = self.next_within(None)
        assert change is not None  # without a bound there is no end but an exception
        return change

    def next_within(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next change, or None where none came in `timeout_s`. The watch goes on either way."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        while (message := self._connection.receive(deadline)) is not None:
            match message:
                case ("notification", "watch", {"watch": self._number, "change": {"kind": _} as change}):
                    return dict(change)
                case ("reply", None, (code, text), _):
                    raise _answered_error(code, text)
                case _:
                    continue  # another notification: a newer sidecar may have more to say
        return None

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def answers(path: str) -> bool:
    """Whether somebody listens on this socket. One that is merely too busy to take us does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


class _Connection:
    """One stream to the sidecar."""

    def __init__(self, path: str, timeout_s: float | None) -> None:
        if fault := path_fault(path):
            raise Unreachable(fault)
        self._path = path
        self._decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
        self._messages: Iterator[rpc.Message] = iter(())
        self.in_step = True
        """False once an answer may still come that nobody waits for: then only closing helps."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._connect(path, None if timeout_s is None else monotonic() + timeout_s)
        except OSError as error:
            self.close()
            raise Unreachable(_why_not(path, error)) from None

    def _connect(self, path: str, deadline: float | None) -> None:
        """A crowd before the door (EAGAIN, at once, where the socket has a timeout) is waited for like an answer."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                if deadline is not None and monotonic() + wait_s > deadline:
                    raise
                sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def ended(self) -> bool:
        """Whether the sidecar has closed it."""
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    def call(self, id: int, method: str, params: rpc.Params, timeout_s: float | None) -> Any:
        deadline = None if timeout_s is None else monotonic() + timeout_s
        request = rpc.encode_request(id, method, params)
        self.in_step = False
        self._send(request, deadline)
        while (message := self.receive(deadline)) is not None:
            match message:
                case ("reply", answered, (code, text), _) if answered in (id, None):
                    self.in_step = answered == id
                    raise _answered_error(code, text)
                case ("reply", answered, None, result) if answered == id:
                    self.in_step = True
                    return result
                case ("reply", *_):
                    raise Unreachable(f"what listens on {self._path} answers other requests than ours: no sidecar?")
        raise Unreachable(f"the sidecar on {self._path} did not answer {method} within {timeout_s:g} s")

    def receive(self, deadline: float | None) -> rpc.Message | None:
        """The next message; None where it is not here at `deadline` (of `monotonic`)."""
        while True:
            try:
                if (message := next(self._messages, None)) is not None:
                    return message
            except RequestError as error:
                raise Unreachable(f"what listens on {self._path} is no sidecar: {error}") from None
            try:
                self._bound(deadline)
                data = self._socket.recv(RECEIVE_BYTES)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise Unreachable(f"the sidecar on {self._path} broke the connection: {error.strerror}") from None
            if not data:
                raise Unreachable(f"the sidecar on {self._path} closed the connection")
            self._messages = self._decoder.feed_untrusted(data)

    def _send(self, data: bytes, deadline: float | None) -> None:
        try:
            self._bound(deadline)
            self._socket.sendall(data)
        except OSError as error:
            if isinstance(error, BrokenPipeError | ConnectionResetError):
                self._raise_last_word()
            why = "takes no request" if isinstance(error, TimeoutError) else f"is gone ({error.strerror})"
            raise Unreachable(f"the sidecar on {self._path} {why}") from None

    def _raise_last_word(self) -> None:
        """A sidecar that turns a client away says why before it closes."""
        messages: list[rpc.Message] = []
        with suppress(OSError, RequestError):
            messages += self._decoder.feed_untrusted(self._socket.recv(RECEIVE_BYTES))
        for message in messages:
            match message:
                case ("reply", None, (code, text), _):
                    raise _answered_error(code, text)

    def _bound(self, deadline: float | None) -> None:
        self._socket.settimeout(None if deadline is None else max(0.0, deadline - monotonic()))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def _answered_error(code: str, text: str) -> RequestError:
    return REQUEST_ERRORS.get(code, RequestError)(text)


def _why_not(path: str, error: OSError) -> str:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return f"no sidecar answers on {path}: start one with `gossipreg join`, or choose another with --socket"
        case PermissionError():
            return f"this user may not use the socket {path}: see `join --socket-group`"
        case TimeoutError() | BlockingIOError():
            return f"the sidecar on {path} takes no connection: it is too busy, or stopped"
        case _:
            return f"cannot connect to {path}: {error.strerror}"
