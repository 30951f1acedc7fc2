"""One connection to the sidecar: a request goes out and its answer comes in, by a deadline.

Owns: a socket, the decoder of its bytes, the ids of its requests. Never knows: how calls share it (`pool.py`), or what
the methods mean.

Two rules keep an answer from a caller that did not ask for it. First, a stream has one user at a time, and it is used
again only if the answer to its last request was read to the end and nothing follows it (`usable`). Second, a stream
belongs to the process that opened it. A forked child closes its copies of the descriptors before anything else and
sends no byte on them, so the streams of the parent are not disturbed.
"""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any
from weakref import WeakSet

from gossipreg.errors import REQUEST_ERRORS, Forked, RequestError, Unreachable
from gossipreg.retry import Retry
from gossipreg.socket_path import Probe, no_permission, path_fault
from gossipreg.wire import rpc

RECEIVE_BYTES = 64 * 1024
RETRY = Retry(0.002, 0.05)
"""The waits between attempts to connect to a sidecar whose queue of new connections is full."""

_streams: "WeakSet[SidecarStream]" = WeakSet()
"""Every stream of this process, also those that other threads use."""


class SidecarStream:
    def __init__(self, path: str, deadline: float | None, choice: str) -> None:
        """Connect by `deadline` (of `monotonic`; None waits for ever). Raises Unreachable. `choice`: how the user
        chooses another socket, for the error's text."""
        if fault := path_fault(path):
            raise Unreachable(fault)
        self.path = path
        self.at_rest = True
        """False while an answer may still come, or bytes of one were lost: then the stream can only be closed."""
        self._pid = os.getpid()
        self._last_id = int.from_bytes(os.urandom(4), "big")
        """Ids begin at a random number, so that an answer for another stream does not match by chance."""
        self._decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
        self._messages: Iterator[rpc.Message] = iter(())
        self._socket = socket.socket(socket.AF_UNIX)
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        _streams.add(self)
        try:
            self._bound(deadline)
            self._connect(path, deadline)
        except OSError as error:
            self.close()
            raise Unreachable(why_not(path, error, choice)) from None
        except BaseException:
            self.close()
            raise

    def _connect(self, path: str, deadline: float | None) -> None:
        """Connect; while the sidecar's queue of connections is full (EAGAIN at once), try again until the deadline."""
        wait_s = RETRY.first_s
        while True:
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                if deadline is not None and monotonic() + wait_s > deadline:
                    raise
                sleep(wait_s)
                wait_s = RETRY.after(wait_s)

    @property
    def usable(self) -> bool:
        """Whether another request may go out here: the stream is open, of this process, at rest, and there is nothing
        to read (an unexpected answer, or the end). Close a stream that is not usable: this check may have lost
        bytes."""
        if not self.at_rest or self.closed or self._pid != os.getpid():
            return False
        try:
            if next(self._messages, None) is not None or not self._decoder.empty:
                return False
        except RequestError:
            return False
        return not self._readable.poll(0)

    @property
    def ended(self) -> bool:
        """Whether it is closed on this side or on the other."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self._socket, 0)
        return bool(poll.poll(0))

    @property
    def closed(self) -> bool:
        return self._socket.fileno() < 0

    def call(self, method: str, params: rpc.Params, deadline: float | None, timeout_s: float | None) -> Any:
        """The result of one request. `timeout_s` is only for the text of the error. Raises Unreachable, CannotSend, and
        the RequestError that the sidecar answered with."""
        self.refuse_in_child("this connection")
        self._last_id += 1
        id = self._last_id
        request = rpc.encode_request(id, method, params)
        self.at_rest = False
        self._send(request, deadline)
        while (message := self.receive(deadline)) is not None:
            if self.is_answer(id, message):
                return message[3]
        raise Unreachable(f"the sidecar on {self.path} did not answer {method} within {timeout_s:g} s")

    def is_answer(self, id: int, message: rpc.Message) -> bool:
        """Whether this is the answer to the only request that was sent and not answered; the stream is at rest then.
        Raises the error that the sidecar answered with, and Unreachable for the answer to another request."""
        match message:
            case ("reply", answered, (code, text), _) if answered in (id, None):
                self.at_rest = answered == id
                raise answered_error(code, text)
            case ("reply", answered, None, _) if answered == id:
                self.at_rest = True
                return True
            case ("reply", *_):
                raise Unreachable(
                    f"the program on {self.path} is not a sidecar: it answered a request that was not sent"
                )
        return False

    def begin(self, method: str, params: rpc.Params) -> tuple[int, memoryview]:
        """The id of a request, and its bytes, which are to go out by `send_some`. Raises CannotSend, Forked."""
        self.refuse_in_child("this connection")
        self._last_id += 1
        request = rpc.encode_request(self._last_id, method, params)
        self.at_rest = False
        return self._last_id, memoryview(request)

    def send_some(self, data: memoryview) -> int:
        """Send of these bytes what there is room for now; returns how many went out. Raises Unreachable."""
        try:
            self._bound(0.0)
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Unreachable(f"the sidecar on {self.path} is gone ({error.strerror})") from None

    def tell(self, method: str, params: rpc.Params, deadline: float | None) -> int:
        """Send a request whose answer comes among what is received; returns its id. The stream is not at rest after
        that, so no call can use it. Raises Unreachable, CannotSend."""
        self.refuse_in_child("this connection")
        self._last_id += 1
        self.at_rest = False
        self._send(rpc.encode_request(self._last_id, method, params), deadline)
        return self._last_id

    def receive(self, deadline: float | None) -> rpc.Message | None:
        """The next message; None if none has come by `deadline` (of `monotonic`).

        An exception from outside (KeyboardInterrupt) closes the stream, since bytes may be lost.
        """
        try:
            return self._receive_untrusted(deadline)
        except Unreachable:
            raise
        except BaseException:
            self.close()
            raise

    def _receive_untrusted(self, deadline: float | None) -> rpc.Message | None:
        while True:
            try:
                if (message := next(self._messages, None)) is not None:
                    return message
            except RequestError as error:
                raise Unreachable(f"the program on {self.path} is not a sidecar: {error}") from None
            try:
                self._bound(deadline)
                data = self._socket.recv(RECEIVE_BYTES)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise Unreachable(f"the sidecar on {self.path} broke the connection: {error.strerror}") from None
            if not data:
                raise Unreachable(f"the sidecar on {self.path} closed the connection")
            self._messages = self._decoder.feed_untrusted(data)

    def _send(self, data: bytes, deadline: float | None) -> None:
        try:
            self._bound(deadline)
            self._socket.sendall(data)
        except OSError as error:
            if isinstance(error, BrokenPipeError | ConnectionResetError):
                self._raise_last_word()
            why = "takes no request" if isinstance(error, TimeoutError) else f"is gone ({error.strerror})"
            raise Unreachable(f"the sidecar on {self.path} {why}") from None

    def _raise_last_word(self) -> None:
        """Raise the error that a sidecar sends before it closes the connection of a client that it turns away."""
        messages: list[rpc.Message] = []
        with suppress(OSError, RequestError):
            messages += self._decoder.feed_untrusted(self._socket.recv(RECEIVE_BYTES))
        for message in messages:
            match message:
                case ("reply", None, (code, text), _):
                    raise answered_error(code, text)

    def _bound(self, deadline: float | None) -> None:
        self._socket.settimeout(None if deadline is None else max(0.0, deadline - monotonic()))

    def refuse_in_child(self, what: str) -> None:
        """Raise Forked in a process other than the one that opened the stream."""
        if self._pid != os.getpid():
            raise Forked(f"{what} was opened by process {self._pid}: open another one in this process ({os.getpid()})")

    def fileno(self) -> int:
        """The descriptor, for `select`. Raises ValueError once it is closed."""
        if self.closed:
            raise ValueError("this connection is closed: open another one")
        return self._socket.fileno()

    def end(self) -> None:
        """End the connection, so that another thread that waits on it sees the end. Call `close` after that."""
        if self._pid == os.getpid():  # a forked child would end the parent's connection too
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def finish(self, deadline: float) -> None:
        """Send no more, wait until the sidecar ends the connection or until `deadline`, then close it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while (rest_s := deadline - monotonic()) > 0:
                self._socket.settimeout(rest_s)
                if not self._socket.recv(RECEIVE_BYTES):
                    break
        self.close()

    def abandon(self) -> None:
        """The program has closed the descriptor behind our back: its number may be another file's now, so forget it."""
        self.at_rest = False
        self._socket.detach()

    def close(self) -> None:
        """Close the descriptor of this process; nothing is sent."""
        self.at_rest = False
        self._socket.close()


def probe(path: str) -> Probe:
    """What a connection to this socket finds. A sidecar that is only too busy to take one counts as living."""
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.setblocking(False)
        try:
            attempt.connect(path)
        except PermissionError:
            return "forbidden"
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return "dead"
        except OSError:
            return "living"
    return "living"


def answered_error(code: str, text: str) -> RequestError:
    """The exception for an error of the sidecar. It keeps a code that only a newer sidecar knows."""
    error = REQUEST_ERRORS.get(code, RequestError)(text)
    error.code = code
    return error


def why_not(path: str, error: OSError, choice: str) -> str:
    """Why this socket takes no connection, in one line for a person."""
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            return f"no sidecar answers on {path}: start one with `gossipreg join`, or choose another with {choice}"
        case PermissionError():
            return no_permission(path)
        case TimeoutError() | BlockingIOError():
            return f"the sidecar on {path} does not accept connections: it is too busy, or suspended"
        case _:
            return f"cannot connect to {path}: {error.strerror}"


def _close_inherited() -> None:
    for stream in list(_streams):
        stream.close()
    _streams.clear()


os.register_at_fork(after_in_child=_close_inherited)
