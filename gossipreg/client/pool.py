"""The streams that the calls of one client share. Each is lent to one call at a time, in one process.

Owns: which streams are idle, and how many may be open. Never knows: what goes over them.

Threads: idle streams are in a deque, whose `pop` and `append` are atomic. A stream that is not in it belongs to the
call that took it. Forks: everything is kept by process id, so a child finds nothing of its parent: no stream, and no
lock that another thread held at the fork.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic

from gossipreg.client.stream import SidecarStream
from gossipreg.errors import Unreachable

OPEN_MAX = 64
"""Calls of one client at the same time; more calls wait. A sidecar takes 128 connections of a process."""
IDLE_MAX = 8
"""Streams kept open for later calls. A lookup takes 0.1 ms, so 8 streams serve thousands of calls a second."""


class _Share:
    """The streams and places of one process."""

    __slots__ = ("closed", "idle", "idle_max", "open_max", "places")

    def __init__(self, open_max: int, idle_max: int) -> None:
        self.idle: deque[SidecarStream] = deque()
        self.idle_max = idle_max
        self.open_max = open_max
        self.places: SimpleQueue[None] = SimpleQueue()
        """One place for each stream that may still be opened. It is no semaphore: a signal handler may call while the
        thread that it interrupts holds the semaphore's lock, and would wait for itself."""
        for _ in range(open_max):
            self.places.put(None)
        self.closed = False

    def take_place(self, deadline: float | None) -> None:
        """Wait until one more stream may be open. Raises Unreachable if no call has ended by `deadline`."""
        with suppress(Empty):
            return self.places.get_nowait()
        try:
            self.places.get(timeout=None if deadline is None else max(0.0, deadline - monotonic()))
        except Empty:
            raise Unreachable(
                f"{self.open_max} calls of this client wait for the sidecar already, and none ended in time"
            ) from None

    def close_idle(self) -> None:
        while (stream := self.pop()) is not None:
            stream.close()

    def pop(self) -> SidecarStream | None:
        """The idle stream that was used last: the likeliest one to be alive. None if there is none."""
        try:
            return self.idle.pop()
        except IndexError:
            return None


class Loan:
    """A stream that is lent to a call. `end` gives it back, or closes it if its answer was not read to the end."""

    __slots__ = ("_share", "stream")

    def __init__(self, share: _Share, stream: SidecarStream) -> None:
        self._share = share
        self.stream = stream

    def end(self) -> None:
        share, stream = self._share, self.stream
        if stream.at_rest and len(share.idle) < share.idle_max:
            share.idle.append(stream)
            if share.closed:  # the client was closed meanwhile
                share.close_idle()
        else:
            stream.close()
        share.places.put(None)


class StreamPool:
    def __init__(
        self, open: Callable[[float | None], SidecarStream], *, open_max: int | None = None, idle_max: int = IDLE_MAX
    ) -> None:
        """`open(deadline)` makes a new stream. So many calls may be made at once (None: OPEN_MAX), and so many streams
        wait for later ones."""
        self._open = open
        self._open_max = open_max
        self._idle_max = idle_max
        self._shares: dict[int, _Share] = {}
        """By process id: of this process, and for a moment after a fork of its parent."""

    def lend(self, deadline: float | None) -> Loan:
        """A stream for one call, by `deadline` (of `monotonic`). Raises what `open` raises, and Unreachable if all
        streams are in use until then."""
        share = self._share()
        share.take_place(deadline)
        try:
            while (stream := share.pop()) is not None:
                if stream.usable:
                    return Loan(share, stream)
                stream.close()  # the sidecar ended, or it closed an idle connection to make room
            return Loan(share, self._open(deadline))
        except BaseException:
            share.places.put(None)
            raise

    def close(self) -> None:
        """Close idle streams now, and lent ones when they come back. A later call opens new ones."""
        share = self._shares.pop(os.getpid(), None)
        if share is not None:
            share.closed = True
            share.close_idle()

    def _share(self) -> _Share:
        pid = os.getpid()
        share = self._shares.get(pid)
        if share is None:
            new = _Share(self._open_max or OPEN_MAX, self._idle_max)
            share = self._shares.setdefault(pid, new)  # atomic: two threads get the same
            for other in list(self._shares):
                if other != pid and (inherited := self._shares.pop(other, None)) is not None:
                    inherited.close_idle()
        return share
