"""The engine: virtual time, one heap of events, and what becomes of the effects of each member.

Owns: time, the order of events, datagrams under way and in the sockets. Never knows: how a member comes to be there or
what is done to it (`world.py`), or what happens to a datagram on its way (`network.py`).

Nothing takes time but links and what is asked for: a datagram is handled in the moment in which it arrives. Datagrams
are not sealed unless `sealed` says so, because that costs a fifth of the time and decides nothing; but they are
counted, and cut, as if they were: `TAG_BYTES` more each.
"""

import heapq
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
"""Stands in for a port-unreachable message: a datagram to this host has found no process there. It takes the way of a
datagram, and waits in the socket of a slow member."""
_STEP_S = 0.005
"""How often `until` looks at its condition."""
_AGAIN_S = 0.0001
"""A member whose clock runs slow is woken slightly early, and then once more."""

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
        """The member whose datagram or timer is being handled; None while a call is made."""
        self.delivered = 0
        """Datagrams handed to a node."""
        self.observers = Observers()
        self._by_address: dict[Address, Host] = {}
        self._heap: list[tuple[float, int, Any, Any, Any]] = []
        """(when, order, host, datagram, source). An event without a datagram wakes the host; without a host, the
        datagram is a call to be made; `REFUSAL` is a port-unreachable message."""
        self._order = count()

    def watch(self, observer: Observer) -> None:
        """Have this observer told from now on."""
        self.observers.add(observer)

    # -- time --------------------------------------------------------------------------------------------------------

    def at(self, when: float, call: Call) -> None:
        """Make this call then (world time; at once where that is past)."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), None, call, None))

    def after(self, seconds: float, call: Call) -> None:
        self.at(self.now + seconds, call)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
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
        """Let time pass until the condition holds, looked at every `step_s`; False where it did not in time."""
        end = self.now + limit_s
        while not condition():
            if self.now >= end:
                return False
            self.run(min(step_s, end - self.now))
        return True

    def _wake(self, host: Host) -> None:
        """Have the host called when its node wants it."""
        due = host.node.next_deadline()
        if host.rate != 1.0:
            due = host.world_time(due)
        if due < host.wake_at and due != float("inf"):
            due = max(due, self.now)
            host.wake_at = due
            heapq.heappush(self._heap, (due, next(self._order), host, None, None))

    def _on_wake(self, host: Host) -> None:
        if host.wake_at != self.now:
            return  # it was called for sooner meanwhile
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
        """Have its process read this now, past whatever waits in the socket."""
        if datagram is REFUSAL:
            self.act(host, host.node.refused(source, host.local(self.now)))
            return
        self.delivered += 1
        for observer in self.observers.arrival:
            observer.on_arrival(host, datagram, source)
        now = self.now if host.rate == 1.0 else host.local(self.now)
        self.act(host, host.node.receive(datagram, source, now))

    def _not_open(self, host: Host, datagram: bytes, source: Address) -> None:
        """It cannot be handed over now: nobody is there, or it has to wait in the socket."""
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
        """Read what waits, all of it, and then let its timers fire."""
        if host.processing_s:
            self._read_one(host)
        while host.up and host.inbox and not host.processing_s:
            datagram, source = host.read()
            self.hand_over(host, datagram, source)
        if host.up:
            self._wake(host)

    def _read_one(self, host: Host) -> None:
        """Read one datagram, which takes the member `processing_s`, and come back for the next."""
        if not host.up or host.stalled or host.blocked or not host.inbox:
            return
        datagram, source = host.read()
        host.busy_until = self.now + host.processing_s
        self.hand_over(host, datagram, source)
        if host.inbox:
            self.at(host.busy_until, lambda: self._read_one(host))
