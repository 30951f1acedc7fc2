"""The pump: the runtime around the node. It gives the node datagrams and the time, and carries out its effects.

Owns: when the node is called, and with which clock. An exception in a call is logged and counted, and the loop goes on.
Never knows: what a datagram, an effect or a timer means, nor which parts of the daemon follow the changes and events
that it publishes. Only the pump calls the node. Commands from the local socket are synchronous calls of `command`,
between two turns: so there is one writer and no lock.

A turn gives the node the datagrams that have arrived, up to a limit, and calls `advance` if its deadline has come. When
nothing is left to do, the next one comes with a datagram or the next deadline. Turns are taken inside trio's wait
(`turns_in_wait.py`), and in the task of `run` where trio, or the transport, does not allow that.

If the loop was late, the turn reads all datagrams from the socket before it calls `advance`: one may be the ack for a
probe that is about to time out. Other turns end after `TURN_S`, since a page of a large row takes as long as 20
lookups; the rest of the batch comes first in the next turn, and before `advance`. The effects of all datagrams of a
turn are one list, so what the node sends to one member shares datagrams.
"""

import traceback
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Protocol, TypeVar, assert_never

import trio

from gossipreg.core.effects import (
    AnnouncementsChanged,
    Changed,
    Departed,
    Effect,
    Event,
    MembersChanged,
    RowAcked,
    Send,
    Stop,
)
from gossipreg.daemon.logs import Log
from gossipreg.daemon.turns_in_wait import take_turns_in_wait
from gossipreg.daemon.udp import BATCH, Transport
from gossipreg.errors import RequestError
from gossipreg.feed import Feed
from gossipreg.model import NOTHING, Address, Change, NodeId

DRAIN_MAX = 4096
"""The most datagrams in one turn after the loop was late: more than a socket's buffer holds. In other turns the limit
is BATCH, so that a flood of datagrams does not delay the timers."""
TURN_S = 0.002
"""After this time of handing over datagrams other tasks run: clients wait for their answers meanwhile."""
AFTER_BUG_S = 0.1
"""How long to wait before `advance` is called again after it raised. Its deadline may stay in the past, and the loop
must not spin."""
LAG_DECAY = 0.95
"""`lag_s` is the longest recent delay: each deadline multiplies it by this, unless that deadline's delay is longer."""

Result = TypeVar("Result")


class Core(Protocol):
    """The part of `core.node.Node` that the pump drives."""

    def take(self, datagram: bytes, source: Address, now: float) -> None: ...
    def finish(self, now: float) -> list[Effect]: ...
    def advance(self, now: float) -> list[Effect]: ...
    def next_deadline(self) -> float: ...
    def refused(self, address: Address, now: float) -> list[Effect]: ...
    def too_large(self, address: Address, now: float) -> list[Effect]: ...
    def lag(self, seconds: float) -> None: ...


class Pump:
    def __init__(
        self,
        node: Core,
        transport: Transport,
        log: Log,
        *,
        now: Callable[[], float],
        stall_s: float,
    ) -> None:
        """`stall_s` is the delay of the loop after which the socket is drained first."""
        self.now = now
        self.counts: Counter[str] = Counter()
        self.changes: Feed[tuple[Change, ...]] = Feed(self.bug)
        """The changes of the answers. An empty tuple means that the knowledge changed: synced, partial or stale."""
        self.members: Feed[tuple[NodeId, ...]] = Feed(self.bug)
        """The ids of members of which observers now see something different: see `MembersChanged`."""
        self.announcements: Feed[tuple[NodeId, ...]] = Feed(self.bug)
        """The ids of members whose announcements may have changed: see `AnnouncementsChanged`."""
        self.events: Feed[Event] = Feed(self.bug)
        self.lag_s = 0.0
        self.departed = trio.Event()
        self.acked_version = NOTHING
        """The newest version of our own row that all living members have acked while a client waited for it."""
        self.acked = trio.Event()
        """Set, and replaced by a new event, whenever `acked_version` changes."""
        self.stopped: str | None = None
        """Why the node has to stop. None as long as it runs."""
        self._node = node
        self._transport = transport
        self._log = log
        self._stall_s = stall_s
        self._arrived: deque[tuple[bytes, Address]] = deque()
        """The rest of the last batch."""
        self._more = False
        """Whether the last turn ended before all was done."""
        self._sleep: trio.CancelScope | None = None
        self._not_before = -inf
        self._taken = False
        """Whether the node has taken datagrams whose effects have not been carried out."""
        self._bugs: set[tuple[str, str]] = set()

    @property
    def dropped(self) -> Counter[str]:
        """Datagrams that the network could not send, by reason."""
        return self._transport.dropped

    async def run(self) -> None:
        """Run until the node returns Stop, or until cancelled. After Departed it continues, so that the last datagrams
        are still answered."""
        if not await take_turns_in_wait(self, self._transport.descriptor):
            await self._take_turns_as_task()

    async def _take_turns_as_task(self) -> None:
        while self.stopped is None:
            with trio.CancelScope() as self._sleep:  # one scope for many turns, since making one is slow
                while self.stopped is None:
                    due = self._turn()
                    if due is None:
                        await trio.lowlevel.checkpoint()  # more has arrived, but others want their turn too
                    else:
                        self._wake_at(due)
                        await self._transport.wait_readable()
        self._sleep = None

    def due_in_s(self) -> float:
        """See Turns."""
        return 0.0 if self._more or self._transport.has_errors else self._deadline() - self.now()

    def take_turn(self) -> bool:
        """See Turns."""
        if self.stopped is None:
            self._more = self._turn() is None
        return self.stopped is None

    def command(self, call: Callable[[float], tuple[Result, list[Effect]]]) -> Result:
        """Call the node with the time, carry out what it asks for, return its result.

        What the node raises goes to the caller; anything but a RequestError is also logged, as a bug.
        """
        try:
            result, effects = call(self.now())
        except RequestError:
            raise
        except Exception as error:
            self.bug("command", error)
            raise
        self._carry_out(effects)
        self._wake()
        return result

    def order(self, call: Callable[[float], list[Effect]]) -> None:
        """Call `command` with a call that has no result."""
        self.command(lambda now: (None, call(now)))

    def bug(self, where: str, error: Exception) -> None:
        """Count a failure that should not be; log it with its traceback, once for each place and kind."""
        self.counts[f"bug.{where}"] += 1
        kind = where, _kind_of(error)
        if kind not in self._bugs and len(self._bugs) < 1000:
            self._bugs.add(kind)
            try:
                text = "".join(traceback.format_exception(error))
            except OSError:  # no descriptor is free with which to load that module
                text = f"{kind[1]}: {error}"
            self._log.error(
                "bug",
                where=where,
                message="a failure inside the sidecar, which goes on: please report it",
                traceback=text,
            )

    # -- a turn --------------------------------------------------------------------------------------------------------

    def _turn(self) -> float | None:
        """Take one turn. Returns when the next one is due if no datagram comes before; None: at once."""
        start = self.now()
        late_s = start - self._deadline()
        if late_s >= 0:
            self.lag_s = max(late_s, self.lag_s * LAG_DECAY)
            self._node.lag(late_s)
        more = self._receive(DRAIN_MAX if late_s > self._stall_s else BATCH, start)
        if self._transport.has_errors:
            self._hand_over_errors()
        if self._arrived or self._deadline() > self.now():
            self._finish()
        elif not self._attempt("advance", self._node.advance):
            self._not_before = self.now() + AFTER_BUG_S
        due = self._deadline()
        return None if more or due <= self.now() else due

    def _receive(self, limit: int, now: float) -> bool:
        """Hand over the datagrams that have arrived: up to `limit`, or as many as `TURN_S` allows if that is BATCH.
        Returns True if there may be more."""
        until = inf if limit > BATCH else now + TURN_S
        arrived, taken = self._arrived, 0
        while taken < limit:
            more = bool(arrived)
            if not more:
                arrived.extend(self._transport.receive_nowait())
                more = len(arrived) >= BATCH
            taken += len(arrived)
            while arrived:
                self._taken = True
                try:
                    self._node.take(*arrived.popleft(), now)
                except Exception as error:
                    self.bug("receive", error)
                now = self.now()
                if now >= until:
                    return more or bool(arrived)
            if not more:
                return False
            self._finish()  # the acks of a full batch wait for no other
        return True

    def _hand_over_errors(self) -> None:
        """Tell the node which addresses refuse datagrams, or do not get large ones, as the kernel says."""
        for address in self._transport.refused():
            self._attempt("refused", partial(self._node.refused, address))
        for address in self._transport.too_large():
            self._attempt("too_large", partial(self._node.too_large, address))

    def _finish(self) -> None:
        """Carry out the effects of the datagrams that were taken, if there are any."""
        if self._taken:
            self._attempt("finish", self._node.finish)

    def _attempt(self, where: str, call: Callable[[float], list[Effect]]) -> bool:
        self._taken = False  # each input of the node returns the effects of what it has taken, too
        try:
            effects = call(self.now())
        except Exception as error:
            self.bug(where, error)
            return False
        self._carry_out(effects)
        return True

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            try:
                match effect:
                    case Send():
                        self._transport.send(effect.datagram, effect.destination)
                    case Changed():
                        self.changes.publish(effect.changes)
                    case MembersChanged():
                        self.members.publish(effect.ids)
                    case AnnouncementsChanged():
                        self.announcements.publish(effect.ids)
                    case Event():
                        self.events.publish(effect)
                    case Departed():
                        self.departed.set()
                    case RowAcked():
                        self.acked_version = effect.version
                        self.acked.set()
                        self.acked = trio.Event()
                    case Stop():
                        self.stopped = effect.message
                        self._wake()
                    case _:
                        assert_never(effect)
            except Exception as error:
                self.bug("effect", error)

    # -- sleeping ------------------------------------------------------------------------------------------------------

    def _deadline(self) -> float:
        return -inf if self.stopped is not None else max(self._node.next_deadline(), self._not_before)

    def _wake(self) -> None:
        """If the task sleeps, let it wake up at the node's present deadline."""
        self._wake_at(self._deadline())

    def _wake_at(self, due: float) -> None:
        """If the task sleeps, let it wake up at this time, converted to trio's clock."""
        if self._sleep is not None:
            self._sleep.deadline = trio.current_time() + (due - self.now())


def _kind_of(error: Exception) -> str:
    """Its class, and where it was raised. It loads no module: that may be what failed."""
    raised = error.__traceback__
    if raised is None:
        return repr(error)
    while raised.tb_next is not None:
        raised = raised.tb_next
    return f"{type(error).__name__} at {raised.tb_frame.f_code.co_filename}:{raised.tb_lineno}"
