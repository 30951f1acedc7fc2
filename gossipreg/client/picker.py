"""The picking core of one `Service`, as all threads of the process share it: with a clock, a lock, and forks.

Owns: the lock, and which snapshot the core has. Never knows: what a request is.

The lock is an RLock: a signal handler may pick while the thread that it interrupts does. It is held for some
microseconds, and never while anything waits.
"""

import os
import weakref
from collections import Counter
from collections.abc import Callable
from random import Random
from threading import RLock
from time import monotonic
from typing import Protocol

from gossipreg.client.picking.attempts import AfterAttempt, Attempt, LogicalCall
from gossipreg.client.picking.balancer import Pick
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.picking.outcomes import IS_FAILURE, Outcome
from gossipreg.client.picking.resilience import Resilience
from gossipreg.client.snapshot import Snapshot


class SnapshotFeed(Protocol):
    @property
    def snapshot(self) -> Snapshot | None:
        """The newest one: cheap to compare."""


class SnapshotSource(Protocol):
    """What a picker needs of its service."""

    name: str

    @property
    def feed(self) -> SnapshotFeed:
        """Of the name, before tags and zone are applied."""

    @property
    def known(self) -> Snapshot | None:
        """The newest snapshot."""

    def ready(self, wait_s: float) -> None:
        """Wait for the first snapshot, at most so long; raise if there is none, or if it is too stale."""

    def check(self) -> None:
        """A request has failed: see, without waiting, whether the sidecar is still there."""


class Picker:
    def __init__(
        self, source: SnapshotSource, options: Callable[[], PickOptions], callers: Callable[[], Snapshot | None] | None
    ) -> None:
        """`options()` is asked at the first pick: the zone is known then. `callers()`: the service that this program
        belongs to, if it has said so."""
        self._source = source
        self._feed = source.feed
        self._options = options
        self._callers = callers
        self._lock = RLock()
        self._latest: Snapshot | None = None
        self._latest_callers: Snapshot | None = None
        self._core = Resilience(source.name, PickOptions(), Random())
        _PICKERS.add(self)

    # -- single picks --------------------------------------------------------------------------------------------------

    def pick(self, key: str | None, deadline_s: float) -> Pick:
        """Raises what a lookup raises, BreakerOpen, NoInstance."""
        latest = self._feed.snapshot
        if latest is None or latest.stale_since is not None:
            self._source.ready(deadline_s)
        with self._lock:
            now = monotonic()
            if self._feed.snapshot is not self._latest or self._callers is not None:
                self._follow(now)
            return self._core.pick(now, key, deadline_s)

    def answered(self, pick: Pick) -> None:
        with self._lock:
            self._core.balancer.answered(pick, monotonic())

    def ended(self, pick: Pick, outcome: Outcome, load: int | None) -> None:
        with self._lock:
            self._core.pick_ended(pick, outcome, monotonic(), load)
        if outcome.kind is IS_FAILURE:
            self._source.check()

    def abandon(self, pick: Pick) -> None:
        """For finalizers: takes no lock."""
        self._core.balancer.abandon(pick)

    # -- calls ---------------------------------------------------------------------------------------------------------

    def begin(self, options: CallOptions, key: str | None) -> LogicalCall:
        """Raises what a lookup raises, BreakerOpen. The wait for the first snapshot is part of the call's time."""
        until = monotonic() + options.deadline_s
        latest = self._feed.snapshot
        if latest is None or latest.stale_since is not None:
            self._source.ready(options.deadline_s)
        if latest is None:
            options = options.ending_at(until, monotonic())
        with self._lock:
            now = monotonic()
            self._follow(now)
            return self._core.begin(options, now, key)

    def next_attempt(self, call: LogicalCall) -> Attempt:
        with self._lock:
            now = monotonic()
            self._follow(now)
            return call.next_attempt(now)

    def hedge_at(self, call: LogicalCall, attempt: Attempt) -> float | None:
        with self._lock:
            return call.hedge_at(attempt, monotonic())

    def hedge(self, call: LogicalCall) -> Attempt | None:
        with self._lock:
            return call.hedge(monotonic())

    def attempt_ended(self, call: LogicalCall, attempt: Attempt, outcome: Outcome, load: int | None) -> AfterAttempt:
        with self._lock:
            after = call.ended(attempt, outcome, monotonic(), load)
        if outcome.kind is IS_FAILURE:
            self._source.check()
        return after

    def call_answered(self, call: LogicalCall, attempt: Attempt) -> None:
        """The headers of a good answer came. `body_ended` has to follow."""
        with self._lock:
            call.answered(attempt, monotonic())

    def body_ended(self, pick: Pick, outcome: Outcome, load: int | None) -> None:
        """The body of an answer ended, after `call_answered`. The breaker has had the outcome of the call."""
        with self._lock:
            self._core.balancer.ended(pick, outcome, monotonic(), load)

    def close(self, call: LogicalCall) -> None:
        with self._lock:
            call.close(monotonic())

    def may_fall_back(self, call: LogicalCall | None) -> bool:
        """Whether a call that failed may go to its fallback. None: the breaker refused it."""
        with self._lock:
            if call is not None:
                return call.may_fall_back(monotonic())
            self._core.balancer.counters["fallbacks"] += 1
            return True

    # ------------------------------------------------------------------------------------------------------------------

    def stats(self) -> dict[str, int | str]:
        with self._lock:
            return self._core.stats()

    def forked(self) -> None:
        """In a forked child. If a thread that is not here holds the lock, it was in the middle of a change: then what
        the core knew is set aside."""
        whole = self._lock.acquire(blocking=False)
        self._lock = RLock()
        if whole:
            self._core.forked(Random())
        else:
            self._core = Resilience(self._source.name, PickOptions(), Random())
            self._latest = self._latest_callers = None

    def _follow(self, now: float) -> None:
        """Bring the core up to date with the snapshots."""
        latest = self._feed.snapshot
        if latest is not self._latest:
            if self._latest is None:
                counted = self._core.balancer.counters
                self._core = Resilience(self._source.name, self._options(), Random())
                self._core.balancer.counters.update(counted)  # metrics only grow
            self._latest, known = latest, self._source.known
            self._core.balancer.update(() if known is None else known.all, now)
        if self._callers is not None and (callers := self._callers()) is not self._latest_callers:
            self._latest_callers = callers
            self._core.balancer.set_callers({} if callers is None else members_by_zone(callers))


def members_by_zone(snapshot: Snapshot) -> dict[str, float]:
    """In each zone, the members that have this service."""
    members = {(one.node, one.zone) for one in snapshot.all}
    return dict(Counter(zone for _, zone in members))


_PICKERS: "weakref.WeakSet[Picker]" = weakref.WeakSet()


def _forked() -> None:
    for picker in list(_PICKERS):
        picker.forked()


os.register_at_fork(after_in_child=_forked)
