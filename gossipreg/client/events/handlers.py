"""The threads of one subscription: each runs its handler with one event after the other.

Owns: the threads, which start when there is something to do. Never knows: connections. They are daemons, so a handler
that hangs does not keep the program; `running.py` gives them time at its end.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from queue import Empty, SimpleQueue

from gossipreg.client.checks import refuse_coroutine
from gossipreg.client.events.event import HandledEvent, Reject, RetryLater
from gossipreg.client.log import log_exception

Handler = Callable[[HandledEvent], object]


def what_follows(event: HandledEvent) -> str:
    """For the log, after its handler has failed."""
    if event.is_settled:
        return "it had settled the event before, and that counts"
    return "it comes again, or is a dead letter after its last attempt"


class HandlerThreads:
    def __init__(self, handler: Handler, most: int, name: str) -> None:
        """`name` of the subscription, for the log."""
        self._handler = handler
        self._most = most
        self._name = name
        self._queue: SimpleQueue[HandledEvent | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        """Threads that wait, less the events that were queued for them."""
        self._threads: list[threading.Thread] = []

    def hand(self, event: HandledEvent) -> None:
        self._queue.put(event)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            self._start()
        if not self._threads and event.begin():
            event.retry(None, "the program has no room for a thread")

    def is_gone(self) -> bool:
        return False

    def over(self) -> None:
        for _ in self._threads:
            self._queue.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="gossipreg handler", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no room for a thread, or the interpreter ends
            log_exception(f"no thread can be started for the events of {self._name}")
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while True:
            event = self._next()
            if event is None:
                return
            if event.begin():
                Context().run(self._handle, event)

    def _next(self) -> HandledEvent | None:
        with suppress(Empty):
            return self._queue.get_nowait()
        self._idle.release()
        return self._queue.get()

    def _handle(self, event: HandledEvent) -> None:
        with suppress(BaseException), event:
            try:
                refuse_coroutine("handler", self._handler, self._handler(event))
            except (Reject, RetryLater):
                raise
            except BaseException:
                log_exception(f"the handler of {self._name} failed at {event!r}: {what_follows(event)}")
                raise
