"""The events of `gossipreg events subscribe` while its output does not take a line: `| less`, or a pipe that is full.

Owns: the events that came meanwhile, and the renewal of all that were given. Never knows: the output. The sidecar
counts the time of an event from when it was given. Without the renewals a reader of the output that pauses would have
the events fail, again and again, until they are dead letters.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self

from gossipreg.errors import GossipregError

if TYPE_CHECKING:
    from gossipreg.client.event_stream import EventStream


class UnwrittenEvents:
    """Reads the stream in its place. For one reader."""

    def __init__(self, stream: "EventStream", renew_s: float) -> None:
        self._stream = stream
        self._renew_s = renew_s
        self._lock = Lock()
        """Held by the one who uses the stream."""
        self._came: deque[tuple[str, dict[str, Any]]] = deque()
        self._written = 0
        """The delivery that is being written; 0 if none is."""
        self._error: GossipregError | None = None
        self._over = Event()
        self._renewing: Thread | None = None

    def next(self, timeout_s: float | None) -> tuple[str, dict[str, Any]] | None:
        """As `EventStream.next`."""
        with self._lock:
            if self._error is not None:
                raise self._error  # what came goes to another subscriber, or comes again
            return self._came.popleft() if self._came else self._stream.next(timeout_s)

    @contextmanager
    def written(self, delivery: int) -> Iterator[None]:
        """The event with this delivery is written in here, however long that takes, and then acknowledged."""
        self._written = delivery
        if self._renewing is None:
            self._renewing = Thread(target=self._renew, name="renewing events", daemon=True)
            self._renewing.start()
        try:
            yield
        finally:
            with self._lock:
                self._written = 0
        with self._lock:
            self._stream.tell("ack", delivery=delivery)

    def _renew(self) -> None:
        while not self._over.wait(self._renew_s):
            with self._lock:
                if not self._written or self._error is not None or self._over.is_set():
                    continue
                try:
                    self._read_on()
                    given = [params["delivery"] for what, params in self._came if what == "event"]
                    self._stream.tell("renew", delivery=[self._written, *given])
                except GossipregError as error:
                    self._error = error

    def _read_on(self) -> None:
        """Take what has come: no more than the window of the subscription, as nothing is acknowledged meanwhile."""
        while (found := self._stream.next(0)) is not None:
            self._came.append(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
