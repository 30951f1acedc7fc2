"""One service, as the watcher and all threads of the program share it.

The watcher's thread alone changes what is known and swaps `snapshot`. All other threads read that attribute.
"""

from collections.abc import Callable

from gossipreg.client.log import log_exception, log_warning
from gossipreg.client.snapshot import Snapshot
from gossipreg.client.watching.known import KnownService
from gossipreg.client.watching.waiters import Waiters
from gossipreg.errors import RequestError


class ServiceFeed:
    def __init__(self, name: str) -> None:
        self.name = name
        """In lower case."""
        self.known = KnownService(name)
        self.snapshot: Snapshot | None = None
        """None: nothing is known yet."""
        self.refused: RequestError | None = None
        """What the sidecar answered instead of watching this name."""
        self.waiters = Waiters()
        self.published = 0
        self._callbacks: dict[object, Callable[[Snapshot], object]] = {}
        self._given: dict[object, Snapshot] = {}
        """The snapshot that each callback got last."""

    def renew(self) -> None:
        """Swap the snapshot, and tell nobody."""
        self.snapshot = self.known.snapshot()

    def publish(self) -> None:
        """Swap the snapshot, and tell those who wait for a change."""
        self.renew()
        self.published += 1
        self.waiters.wake()
        for token in list(self._callbacks):
            self.call_back(token)

    def refuse(self, error: RequestError) -> None:
        again, self.refused = self.refused is not None and self.refused.code == error.code, error
        self.waiters.wake()
        if self._callbacks and not again:
            log_warning(f"no callback is called for changes of {self.name}: the sidecar refuses to watch it: {error}")

    def forget_waiters(self) -> None:
        """In a forked child: the threads that waited are the parent's."""
        self.waiters = Waiters()

    def add_callback(self, callback: Callable[[Snapshot], object]) -> object:
        """Have this called with each new snapshot, on the watcher's thread; return what `remove_callback` takes."""
        token = object()
        self._callbacks[token] = callback
        return token

    def remove_callback(self, token: object) -> None:
        self._callbacks.pop(token, None)
        self._given.pop(token, None)

    def call_back(self, token: object) -> None:
        """Call this callback with what is known, unless that is nothing, or what it got last."""
        callback, snapshot = self._callbacks.get(token), self.snapshot
        if callback is None or snapshot is None or self._given.get(token) is snapshot:
            return
        self._given[token] = snapshot
        try:
            callback(snapshot)
        except Exception:
            log_exception(f"the callback for changes of {self.name} failed; it is called again at the next change")
