"""A synchronous client of the local socket: calls, watches, and registrations that live with the program.

Owns: the objects that a program holds. Never knows: what the methods mean. Results are plain lists and maps, as the
documentation of the local socket gives them.

How it works: each call borrows a stream of its own (`pool.py`), so threads can share a client, and a client can be made
before a fork. A watch or an attached registration has a stream of its own for as long as it lives. So a call never gets
a notification, nothing has to be queued here, and a program that reads slowly slows only itself.

    with Client() as client:
        for instance in client.call("lookup", name="billing"):
            print(instance["address"], instance["port"])
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Self

from gossipreg.client.checks import check_number, checked_path
from gossipreg.client.event_stream import EventStream
from gossipreg.client.followed import Followed
from gossipreg.client.pool import StreamPool
from gossipreg.client.stream import SidecarStream, answered_error, probe
from gossipreg.errors import Forked, Unreachable
from gossipreg.socket_path import find_socket

TIMEOUT_S = 10.0
"""A sidecar answers in well under a millisecond, and `leave` in a few seconds."""
PAGE = 1000
"""The services or members in one answer of `call_paged`: a few hundred kilobytes."""


class Client:
    """A client of the sidecar whose socket is `path`. Without `path`: $GOSSIPREG_SOCKET, or else the socket of the only
    sidecar that runs on this host.

    It is safe for threads and forks: any thread may call at any time, and so may a child that was forked after the
    client was made or used. Every method raises Unreachable if no answer comes, ChooseSocket if there are several
    sidecars, and the RequestError that the sidecar answered with.
    """

    choice = "Client(PATH)"
    """How the user of this client chooses a socket, for the texts of errors."""

    def __init__(self, path: str | None = None, *, timeout_s: float | None = TIMEOUT_S) -> None:
        """Make a client. It opens nothing yet: if there is no sidecar, the first call raises Unreachable.

        `timeout_s` bounds each call; None waits for ever.
        """
        if timeout_s is not None:
            check_number("timeout_s", timeout_s, "the seconds that a call may take, or None for no limit")
        self.timeout_s = timeout_s
        self._named = checked_path(path)
        self._found: str | None = None
        self._pool = StreamPool(self._open)
        self._attached: list[Attachment] = []

    @property
    def path(self) -> str:
        """The path of the socket: the one given to the client, else the one that the last call used. Before the first
        call it is looked for."""
        return self._named or self._found or find_socket(None, probe, self.choice)

    def call(self, method: str, /, **params: Any) -> Any:
        """Make one request and return its result. If it raises Unreachable, the sidecar may or may not have carried out
        the request.

        A service registered by `call("register", ..., attach=True)` stays until the client is closed; see `attach`.
        """
        if method == "register" and params.get("attach"):
            return self._attach_for_life(params)
        deadline = self._deadline()
        loan = self._pool.lend(deadline)
        try:
            return loan.stream.call(method, params, deadline, self.timeout_s)
        finally:
            loan.end()

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
        """Watch the instances of service `name`, or of all services. First `{"kind": "current", "instances": [..]}`
        comes, then each change. If the sidecar is not synced yet, `current` comes as soon as some instance is known,
        with `"partial": True`; once the sidecar is synced, a new `current` replaces it."""
        deadline = self._deadline()
        with _closed_on_error(self._open(deadline)) as stream:
            params = {} if name is None else {"name": name}
            reply = stream.call("watch", params, deadline, self.timeout_s)
            return Watch(stream, reply["watch"], reply.get("not_synced_because", ""))

    def subscribe(self, **params: Any) -> EventStream:
        """Subscribe to events (parameters of the method `subscribe`) for as long as the stream is open. Events that
        were not settled then are delivered to others of the group."""
        deadline = self._deadline()
        with _closed_on_error(self._open(deadline)) as stream:
            return EventStream(stream, deadline, self.timeout_s, params)

    def follow(self, method: str, /, **params: Any) -> Followed:
        """Call a method whose answer is followed by notifications of its name, on a connection of its own: `history`
        with `follow=True`."""
        deadline = self._deadline()
        with _closed_on_error(self._open(deadline)) as stream:
            return Followed(stream, method, stream.call(method, params, deadline, self.timeout_s))

    def attach(self, **params: Any) -> "Attachment":
        """Register a service (parameters of `register`) for as long as the attachment is open. The sidecar takes the
        service out when this process ends, however it ends. A forked child does not keep it registered."""
        deadline = self._deadline()
        with _closed_on_error(self._open(deadline)) as stream:
            result = stream.call("register", {**params, "attach": True}, deadline, self.timeout_s)
            return Attachment(stream, result)

    def _attach_for_life(self, params: dict[str, Any]) -> Any:
        attachment = self.attach(**params)
        self._attached = [one for one in self._attached if one.open] + [attachment]
        return attachment.result

    def _open(self, deadline: float | None) -> SidecarStream:
        path = find_socket(self._named, probe, self.choice)
        stream = SidecarStream(path, deadline, self.choice)
        self._found = path
        return stream

    def _deadline(self) -> float | None:
        return None if self.timeout_s is None else monotonic() + self.timeout_s

    def close(self) -> None:
        """Close the connections of calls, and the registrations attached by `call`. A later call opens a connection
        again. Watches and attachments have to be closed separately."""
        self._pool.close()
        attached, self._attached = self._attached, []
        for attachment in attached:
            attachment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class Watch:
    """An endless iterator of changes; see `Client.watch`. Raises Unreachable when the sidecar ends.

    Threads take turns: each change goes to one of them. In a forked child it raises Forked. The iteration ends when
    another thread closes the watch. An exception from outside while it waits (KeyboardInterrupt) closes it.
    """

    def __init__(self, stream: SidecarStream, number: int, not_synced_because: str = "") -> None:
        """Made by `Client.watch`."""
        self.not_synced_because = not_synced_because
        """Why the first `current` does not come at once; empty if it does."""
        self._stream = stream
        self._number = number
        self._turn = threading.RLock()  # a signal handler may close the watch that its own thread waits on
        self._ended = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        change = self.next_within(None)
        if change is None:  # without a timeout only `close` ends the wait
            raise StopIteration
        return change

    def next_within(self, timeout_s: float | None) -> dict[str, Any] | None:
        """The next change. None if none came within `timeout_s` (the watch goes on), or if the watch was closed."""
        deadline = None if timeout_s is None else monotonic() + timeout_s
        self._stream.refuse_in_child("this watch")
        if not self._turn.acquire(timeout=-1 if timeout_s is None else timeout_s):
            return None
        try:
            return None if self._ended else self._next(deadline)
        except Unreachable:
            if self._ended:
                return None
            raise
        finally:
            self._turn.release()

    def _next(self, deadline: float | None) -> dict[str, Any] | None:
        while (message := self._stream.receive(deadline)) is not None:
            match message:
                case ("notification", "watch", {"watch": self._number, "change": {"kind": _} as change}):
                    return dict(change)
                case ("reply", None, (code, text), _):
                    raise answered_error(code, text)
                case _:
                    continue  # another notification: a newer sidecar may have more to say
        return None

    def fileno(self) -> int:
        """The descriptor, for `select`: it is readable when a change may have come. Call `next_within(0)` until it
        returns None before you wait again."""
        return self._stream.fileno()

    def close(self) -> None:
        """End the watch. A thread that waits for the next change stops waiting. In a forked child this does not end the
        watch of the parent."""
        try:
            self._stream.refuse_in_child("this watch")
        except Forked:
            self._stream.close()
            return
        self._ended = True
        self._stream.end()
        with self._turn:  # close the descriptor only when no thread waits on it any more
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


class Attachment:
    """A registration that lives with this process; see `Client.attach`. For one thread at a time."""

    def __init__(self, stream: SidecarStream, result: dict[str, Any]) -> None:
        """Made by `Client.attach`."""
        self._stream = stream
        self.result = result
        """What `register` answered."""

    @property
    def open(self) -> bool:
        """Whether the sidecar still holds the connection."""
        return not self._stream.ended

    def notified(self) -> tuple[str, dict[str, Any]] | None:
        """The next notification of the sidecar about this registration; None if none has come. It does not wait. Raises
        Unreachable if the sidecar has ended, Forked in a forked child."""
        self._stream.refuse_in_child("this registration")
        match self._stream.receive(monotonic()):
            case ("notification", str(method), dict(params)):
                return method, params
            case ("reply", None, (code, text), _):
                raise answered_error(code, text)
        return None

    def fileno(self) -> int:
        """The descriptor, for `select`: it is readable when a notification or the end of the sidecar has come."""
        return self._stream.fileno()

    def take_out(self, bound_s: float) -> None:
        """Close it, and wait, at most `bound_s`, until the sidecar has taken the service out."""
        self._stream.refuse_in_child("this registration")
        self._stream.finish(monotonic() + bound_s)

    def close(self) -> None:
        """Close it. The sidecar takes the service out soon after."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


@contextmanager
def _closed_on_error(stream: SidecarStream) -> Iterator[SidecarStream]:
    try:
        yield stream
    except BaseException:
        stream.close()
        raise
