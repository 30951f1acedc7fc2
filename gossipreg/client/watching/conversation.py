"""One connection to the sidecar: what is asked on it, and what the answers change. Bytes in, bytes out.

Owns: the ids of requests, which watch belongs to which service. Never knows: sockets, threads, clocks.

First `state` is asked, then one `watch` for each name, without waiting for answers. A watch's `current` that is
believed in all settles its service. If it leaves out anything, the sidecar is asked first which members it has not met
since its start (`unmet`). What is not believed now (see `state.py`) is noted: when the sidecar is believed in all,
these names are watched anew, and the new `current` settles them.
"""

from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Any

from gossipreg.client.instance import instance_untrusted
from gossipreg.client.watching.feed import ServiceFeed
from gossipreg.client.watching.state import SidecarTrust, Trust, state_untrusted
from gossipreg.errors import REQUEST_ERRORS, Busy, RequestError, Unreachable
from gossipreg.retry import Retry
from gossipreg.wire import rpc

MET_ASKED = 1000
"""Members that a sidecar with another id is asked for: one that it has met shows that it is of our cluster."""

ANSWER_S = 2.0
"""A sidecar answers in a millisecond, under load in some tens. One that is silent for so long stands still."""

BUSY = Retry(0.5, 30.0)
"""The waits until a name is asked for again that the sidecar had no room to watch."""

Answered = Callable[[Any, RequestError | None, float], None]
"""Called with the result or the error of a request, and with `now`."""


class Conversation:
    def __init__(self, path: str, trust: SidecarTrust, feeds: Iterable[ServiceFeed]) -> None:
        """`path` is for the texts of errors. `feeds` are watched from the beginning."""
        self.outgoing = bytearray()
        """What has to be sent; the sender takes it out."""
        self.changes = 0
        """Changes of instances that have come."""
        self.said_state = False
        self.silent = False
        """Whether a `check` was not answered in time, and nothing has come since."""
        self._check_due = inf
        self._path = path
        self._trust = trust
        self._decoder = rpc.Decoder(rpc.MAX_REPLY_BYTES)
        self._last_id = 0
        self._asked: dict[int, Answered] = {}
        self._feeds: dict[ServiceFeed, int | None] = {}
        """The watch of each service; None: it has been asked for."""
        self._watches: dict[int, ServiceFeed] = {}
        self._withheld: dict[ServiceFeed, None] = {}
        """Services of which something was not believed on this connection."""
        self._holding: dict[ServiceFeed, None] = {}
        """Services with instances that are kept for some time."""
        self._busy: dict[ServiceFeed, tuple[float, float]] = {}
        """Services that the sidecar had no room to watch: when each is asked for again, and the wait before that."""
        self._dirty: dict[ServiceFeed, None] = {}
        self._before = Trust.NOTHING
        self._ask("state", {}, self._state_came)
        for feed in feeds:
            self.watch(feed)

    # -- requests ------------------------------------------------------------------------------------------------------

    def watch(self, feed: ServiceFeed) -> None:
        """Watch this service, or watch it anew."""
        number = self._feeds.get(feed)
        if feed in self._feeds and number is None:
            return  # what is asked for already gives the newest
        if number is not None:
            self._ask("unwatch", {"watch": number}, partial(self._unwatch_came, number))
        self._feeds[feed] = None
        self._ask("watch", {"name": feed.name}, partial(self._watch_came, feed))

    def check(self, now: float) -> None:
        """Ask for a sign of life, unless that has been asked for: without one in `ANSWER_S` all becomes stale."""
        if self._check_due == inf and not self.silent:
            self._check_due = now + ANSWER_S
            self._ask("state", {}, self._state_came)

    def _ask(self, method: str, params: rpc.Params, answered: Answered) -> None:
        self._last_id += 1
        self._asked[self._last_id] = answered
        self.outgoing += rpc.encode_request(self._last_id, method, params)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def receive_untrusted(self, data: bytes, now: float) -> None:
        """Take what the sidecar sent, and change the services, which `flush` publishes. Raises Unreachable if this is
        no sidecar, or if it ends the connection for a reason that it gives."""
        self._check_due = inf
        if self.silent:
            self.silent = False
            self.touch_all()
        try:
            for message in self._decoder.feed_untrusted(data):
                self._take_untrusted(message, now)
        except (RequestError, ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"the program on {self._path} is not a sidecar of this release: {error}") from None

    def _take_untrusted(self, message: rpc.Message, now: float) -> None:
        match message:
            case ("notification", "watch", {"watch": int(number), "change": {"kind": str(kind)} as change}):
                if (feed := self._watches.get(number)) is not None:
                    self._changed_untrusted(feed, kind, change, now)
            case ("notification", "state", state):
                self._state_came(state, None, now)
            case ("reply", int(id), error, result) if id in self._asked:
                self._asked.pop(id)(result, None if error is None else _error(*error), now)
            case ("reply", None, (_, text), _):
                raise Unreachable(f"the sidecar on {self._path} ended the connection: {text}")
            case ("reply", *_):
                raise Unreachable(f"the program on {self._path} is not a sidecar: it answered what was not asked")

    def _watch_came(self, feed: ServiceFeed, result: Any, error: RequestError | None, now: float) -> None:
        if error is not None:
            del self._feeds[feed]
            feed.refuse(error)
            if isinstance(error, Busy):
                wait_s = BUSY.after(self._busy[feed][1]) if feed in self._busy else BUSY.first_s
                self._busy[feed] = now + wait_s, wait_s
            return
        self._busy.pop(feed, None)
        feed.refused = None
        number = self._feeds[feed] = result["watch"]
        self._watches[number] = feed

    def _unwatch_came(self, number: int, _result: Any, _error: RequestError | None, _now: float) -> None:
        del self._watches[number]

    def _changed_untrusted(self, feed: ServiceFeed, kind: str, change: dict[str, Any], now: float) -> None:
        level, known = self._trust.level, feed.known
        self.changes += 1
        if level is Trust.NOTHING:
            self._withheld[feed] = None
            return
        self._dirty[feed] = None
        if kind == "current":
            known.current(instance_untrusted(shape) for shape in change["instances"])
            if change.get("partial"):
                return  # the sidecar sends another one when it is synced
            self._settle(feed, level, now)
            return
        instance = instance_untrusted(change["instance"])
        if kind in ("added", "updated"):
            known.put(instance)
        elif kind == "removed":
            state = self._trust.state
            believed = level is Trust.ALL or (state is not None and instance.node == state.node)
            known.remove(instance, believed)
            if not believed:
                self._withheld[feed] = None

    # -- belief --------------------------------------------------------------------------------------------------------

    def _settle(self, feed: ServiceFeed, level: Trust, now: float) -> None:
        """The whole service was listed: drop what was not, unless the sidecar is not believed in that."""
        if level is not Trust.ALL:
            self._withheld[feed] = None
            return
        unconfirmed = feed.known.unconfirmed()
        if unconfirmed:
            self._ask("unmet", {"nodes": sorted(unconfirmed)}, partial(self._unmet_came, feed, unconfirmed))
        else:
            self._settled(feed, frozenset(), now)

    def _unmet_came(
        self, feed: ServiceFeed, asked: set[str], result: Any, error: RequestError | None, now: float
    ) -> None:
        if self._trust.level is not Trust.ALL:
            self._withheld[feed] = None
            return
        self._settled(feed, asked if error is not None else frozenset(result), now)

    def _settled(self, feed: ServiceFeed, unmet: Iterable[str], now: float) -> None:
        feed.known.settle(frozenset(unmet), now)
        self._withheld.pop(feed, None)
        self._dirty[feed] = None
        if feed.known.due() < inf:
            self._holding[feed] = None

    def _state_came(self, result: Any, error: RequestError | None, now: float) -> None:
        if error is not None:
            raise Unreachable(
                f"the sidecar on {self._path} is older than this client ({error}): install the same release for both"
            )
        self._trust.said(state_untrusted(result), now)
        if not self.said_state and self._trust.is_stranger and (known := self._known_members()):
            self._ask("unmet", {"nodes": known}, partial(self._met_came, known))
        self.said_state = True
        self._trust_changed(now)

    def _known_members(self) -> list[str]:
        members: set[str] = set()
        for feed in self._feeds:
            members |= feed.known.members()
        return sorted(members)[:MET_ASKED]

    def _met_came(self, asked: list[str], result: Any, error: RequestError | None, now: float) -> None:
        if error is None and len(frozenset(result)) < len(asked):
            self._trust.proven(now)
            self._trust_changed(now)

    def _trust_changed(self, now: float) -> None:
        before, self._before = self._before, self._trust.level
        if self._before is not Trust.ALL:
            for feed in self._feeds:
                feed.known.stale(now)
            for feed in self._holding:
                feed.known.hold()
                self._withheld[feed] = None
            self._holding.clear()
        if self._before > before:
            for feed in list(self._withheld):
                self.watch(feed)
        if before is not self._before:
            self._dirty |= dict.fromkeys(self._feeds)

    # -- time ----------------------------------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When `pass_time` has something to do; `inf`: never."""
        held = (feed.known.due() for feed in self._holding)
        return min([self._check_due, self._trust.due, *held, *(again_at for again_at, _ in self._busy.values())])

    def pass_time(self, now: float) -> None:
        if self._check_due <= now:
            self._check_due = inf
            self.silent = True
            self.touch_all()
        for feed, (again_at, wait_s) in self._busy.items():
            if again_at <= now:
                self._busy[feed] = inf, wait_s
                self.watch(feed)
        self._trust.pass_time(now)
        if self._trust.level is not self._before:
            self._trust_changed(now)
        for feed in list(self._holding):
            if feed.known.pass_time(now):
                self._dirty[feed] = None
            if feed.known.due() == inf:
                del self._holding[feed]

    def touch_all(self) -> None:
        """Have `flush` publish every service."""
        self._dirty |= dict.fromkeys(self._feeds)

    def flush(self, now: float) -> None:
        """Publish what has changed."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        believed = self._trust.level is Trust.ALL and not self.silent
        for feed in dirty:
            if believed and feed.known.settled:
                feed.known.fresh()
            else:
                feed.known.stale(now)
            feed.publish()


def _error(code: str, text: str) -> RequestError:
    error = REQUEST_ERRORS.get(code, RequestError)(text)
    error.code = code
    return error
