"""The engine: virtual time, one heap of events, and what happens to the effects of each member.

Owns: time, the order of events, datagrams in flight and in the sockets. Never knows: how a member starts or what is
done to it (`world.py`), or what happens to a datagram on its way (`network.py`).

Only links take time, unless a scenario asks for more: a datagram is handled at the moment of its arrival. Datagrams are
not sealed unless `sealed` is set, because sealing costs a fifth of the time and decides nothing; but their sizes are
counted and limited as if they were sealed: `TAG_BYTES` more each.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, ClassVar, Protocol

from gossipreg.core.effects import Departed, Effect, Send, Stop
from gossipreg.model import Address
from gossipreg.wire.seal import TAG_BYTES
from simulations.host import Host
from simulations.network import ICMP_BYTES, Network
from simulations.observer import Observer, Observers

REFUSAL = b""
"""Represents an ICMP port-unreachable message: no process received a datagram to this host. It travels as a datagram
does, and waits in the socket of a slow member."""
_STEP_S = 0.005
"""How often `until` evaluates its condition."""
_AGAIN_S = 0.0001
"""A member whose clock runs slow is woken slightly too early, and then once more after this time."""

Call = Callable[[], None]


class Tap(Protocol):
    """Sees every datagram and every other effect of all worlds; see `digest.py`."""

    def on_send(self, now: float, send: Send) -> None: ...
    def on_effect(self, now: float, host: Host, effect: Effect) -> None: ...


class Engine:
    tap: ClassVar[Tap | None] = None

    def __init__(self, network: Network, now: float, *, sealed: bool) -> None:
        self.network = network
        self.sealed = sealed
        self.now = now
        self.at_work: Host | None = None
        """The member whose datagram or timer is being handled; None during a scheduled call."""
        self.delivered = 0
        """Datagrams handed to a node."""
        self.observers = Observers()
        self.on_end: list[Callable[[Host], None]] = []
        """Called with each member whose process has ended."""
        self._by_address: dict[Address, Host] = {}
        self._heap: list[tuple[float, int, Any, Any, Any]] = []
        """(when, order, host, datagram, source). An event without a datagram wakes the host; without a host, the
        datagram is a function to call; `REFUSAL` is a port-unreachable message."""
        self._order = count()

    def watch(self, observer: Observer) -> None:
        """Call this observer from now on."""
        self.observers.add(observer)

    # -- time --------------------------------------------------------------------------------------------------------

    def at(self, when: float, call: Call) -> None:
        """Schedule a call at this world time (at once if that is past)."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), None, call, None))

    def after(self, seconds: float, call: Call) -> None:
        self.at(self.now + seconds, call)

    def run(self, seconds: float) -> None:
        """Let this much virtual time pass."""
        end = self.now + seconds
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end:
            self.now, _, host, datagram, source = pop(heap)
            self.at_work = host
            if host is None:
                datagram()
            elif datagram is None:
                self._on_wake(host)
            elif host.open:
                self.hand_over(host, datagram, source)
            else:
                self._not_open(host, datagram, source)
        self.now = end

    def until(self, condition: Callable[[], bool], limit_s: float, step_s: float = _STEP_S) -> bool:
        """Let time pass until the condition holds, evaluated every `step_s`; return False if it did not within
        `limit_s`."""
        end = self.now + limit_s
        while not condition():
            if self.now >= end:
                return False
            self.run(min(step_s, end - self.now))
        return True

    def _wake(self, host: Host) -> None:
        """Schedule the next deadline of the host's node."""
        due = host.node.next_deadline()
        if host.rate != 1.0:
            due = host.world_time(due)
        if due < host.wake_at and due != float("inf"):
            due = max(due, self.now)
            host.wake_at = due
            heapq.heappush(self._heap, (due, next(self._order), host, None, None))

    def _on_wake(self, host: Host) -> None:
        if host.wake_at != self.now:
            return  # an earlier wake-up was scheduled meanwhile
        host.wake_at = float("inf")
        if not host.up or host.stalled:
            return
        now = self.now if host.rate == 1.0 else host.local(self.now)
        if host.node.next_deadline() <= now:
            self.act(host, host.node.advance(now))
        elif host.rate != 1.0:
            self.after(_AGAIN_S, lambda: self._wake(host))
        else:
            self._wake(host)

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, host: Host, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                if host.blocked:
                    host.held.append(effect)
                else:
                    self._send(host, effect)
            else:
                self._note(host, effect)
        for observer in self.observers.step:
            observer.after(host)
        if host.up and not host.stalled:
            self._wake(host)

    def _note(self, host: Host, effect: Effect) -> None:
        if self.tap is not None:
            self.tap.on_effect(self.now, host, effect)
        for observer in self.observers.effect:
            observer.on_effect(host, effect)
        if type(effect) is Departed:
            host.departed = True
            self._end(host, refuses=True)
        elif type(effect) is Stop:
            host.stopped = effect.message
            self._end(host, refuses=True)

    def _end(self, host: Host, *, refuses: bool) -> None:
        host.up, host.refuses = False, refuses
        host.clear()
        for call in self.on_end:
            call(host)

    # -- calls of a process ------------------------------------------------------------------------------------------

    def to_process(self, host: Host, call: Call, *, network: bool) -> None:
        """Call this function of the host's process now, or once it is no longer slow. A blocked process waits with
        calls about the `network` only. What waits is dropped if the process ends."""
        if host.stalled or (network and host.blocked):
            host.waiting.append((network, call))
            return
        self.at_work = host
        call()

    def _go_on(self, host: Host) -> None:
        """Make the calls that waited until the process is no longer slow."""
        waiting, host.waiting = host.waiting, deque()
        starts = host.starts
        while waiting and host.up and host.starts == starts:
            network, call = waiting.popleft()
            self.to_process(host, call, network=network)

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def _send(self, host: Host, send: Send) -> None:
        if self.tap is not None:
            self.tap.on_send(self.now, send)
        network = self.network
        receiver = self._by_address.get(send.destination)
        if receiver is None:
            return
        if network.plain:
            delays: Iterable[float] = (network.delay_s(),)
        else:
            size = len(send.datagram) + (0 if self.sealed else TAG_BYTES)
            delays = network.carry(host, receiver, size, self.now)
        for delay in delays:
            event = (self.now + delay, next(self._order), receiver, send.datagram, host.address)
            heapq.heappush(self._heap, event)

    def hand_over(self, host: Host, datagram: bytes, source: Address) -> None:
        """Give this datagram to the process now, ahead of those that wait in the socket."""
        if datagram is REFUSAL:
            self.act(host, host.node.refused(source, host.local(self.now)))
            return
        self.delivered += 1
        for observer in self.observers.arrival:
            observer.on_arrival(host, datagram, source)
        now = self.now if host.rate == 1.0 else host.local(self.now)
        self.act(host, host.node.receive(datagram, source, now))

    def _not_open(self, host: Host, datagram: bytes, source: Address) -> None:
        """Handle a datagram that cannot be given to the process: none runs, or the datagram has to wait in the
        socket."""
        if not host.up:
            sender = self._by_address.get(source)
            if host.refuses and sender is not None and datagram is not REFUSAL:
                for delay in self.network.carry(host, sender, ICMP_BYTES, self.now):
                    event = (self.now + delay, next(self._order), sender, REFUSAL, host.address)
                    heapq.heappush(self._heap, event)
            return
        if host.queue(datagram, source) and not (host.stalled or host.blocked) and len(host.inbox) == 1:
            self.at(max(self.now, host.busy_until), lambda: self._read_one(host))

    def _read(self, host: Host) -> None:
        """Read everything that waits in the socket, then let the timers fire."""
        if host.processing_s:
            self._read_one(host)
        while host.up and host.inbox and not host.processing_s:
            datagram, source = host.read()
            self.hand_over(host, datagram, source)
        if host.up:
            self._wake(host)

    def _read_one(self, host: Host) -> None:
        """Read one datagram, which takes the member `processing_s`, and schedule the next read."""
        if not host.up or host.stalled or host.blocked or not host.inbox:
            return
        datagram, source = host.read()
        host.busy_until = self.now + host.processing_s
        self.hand_over(host, datagram, source)
        if host.inbox:
            self.at(host.busy_until, lambda: self._read_one(host))
