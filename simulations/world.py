"""The world: many members, one virtual clock, one heap of events, one seed.

Owns: time, the order of events, who is there, and the carrying out of effects. Never knows: what is tested
(`scenarios/`), what must hold (`checkers/`), or what happens on the way (`network.py`).

The members are the shipped `Node`s, codec and sizes included. Nothing takes time but links and what is asked for: a
datagram is handled in the moment in which it arrives. Datagrams are not sealed unless `sealed` says so, for that costs
a fifth of the time and decides nothing; but they are counted, and cut, as if they were: `TAG_BYTES` more each.

Whoever looks on is an `Observer`: told of every effect but sends, and after every input of the rows that it changed.
"""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar, Protocol

from gossipreg.config import Config, lan
from gossipreg.core.effects import Departed, Effect, Send, Stop
from gossipreg.core.node import Node
from gossipreg.model import Address, BootId, Health, Member, NodeId, Service
from gossipreg.wire.seal import TAG_BYTES, Keyring
from simulations.formed import join_all
from simulations.host import Host
from simulations.network import FRAME_BYTES, ICMP_BYTES, Network
from simulations.observer import Observer
from simulations.streams import Streams

START = 1000.0
"""Where virtual time begins, seconds."""
WALL_MS = 1_760_000_000_000
"""What a right wall clock shows then."""
PORT = 7940
KEY = Keyring((bytes(range(32)),))
REFUSAL = b""
"""In place of a datagram: what was sent to the source has found no process there. It takes the way of a datagram, and
waits in the socket of one who is slow."""
_STEP_S = 0.005
"""How often `until` looks at its condition."""
_AGAIN_S = 0.0001
"""A member whose clock runs slow is woken a trifle early, and then once more."""

Call = Callable[[], None]


class Tap(Protocol):
    """Sees every datagram and every other effect of all worlds; see `digest.py`."""

    def on_send(self, now: float, send: Send) -> None: ...
    def on_effect(self, now: float, host: Host, effect: Effect) -> None: ...


class World:
    tap: ClassVar[Tap | None] = None

    def __init__(self, seed: int, *, config: Config = lan, sealed: bool = False) -> None:
        self.streams = Streams(seed)
        self.seed = seed
        self.config = config if sealed else replace(config, datagram_bytes=config.datagram_bytes - TAG_BYTES)
        self.keyring = KEY if sealed else None
        self.sealed = sealed
        self.network = Network(self.streams.of("network"))
        self.now = START
        self.hosts: list[Host] = []
        self.by_id: dict[NodeId, Host] = {}
        self.at_work: Host | None = None
        """Whose datagram or timer is being handled; None: a call is."""
        self.delivered = 0
        """Datagrams handed to a node."""
        self._by_address: dict[Address, Host] = {}
        self._heap: list[tuple[float, int, Any, Any, Any]] = []
        """(when, order, host, datagram, source); without a datagram it is a wake-up of the host, without a host the
        datagram is a call to be made, and `REFUSAL` is a port-unreachable message."""
        self._order = count()
        self._effect_observers: list[Observer] = []
        self._arrival_observers: list[Observer] = []
        self._step_observers: list[Observer] = []
        self._fault_observers: list[Observer] = []

    def watch(self, observer: Observer) -> None:
        """Only what the observer overrides is called, so that what nobody looks at costs nothing."""
        kind = type(observer)
        if kind.on_effect is not Observer.on_effect:
            self._effect_observers.append(observer)
        if kind.on_arrival is not Observer.on_arrival:
            self._arrival_observers.append(observer)
        if kind.after is not Observer.after:
            self._step_observers.append(observer)
        if kind.on_fault is not Observer.on_fault:
            self._fault_observers.append(observer)

    # -- members -----------------------------------------------------------------------------------------------------

    def add(
        self, *, zone: str = "", durable: bool = True, address: Address | None = None, id: NodeId | None = None
    ) -> Host:
        """A machine on which nothing runs yet."""
        number = len(self.hosts)
        rng = self.streams.of("host", number)
        where = address or Address(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", PORT)
        host = Host(number, f"n{number}", where, zone, id or NodeId(rng.randbytes(16)), durable=durable)
        self.hosts.append(host)
        self.by_id[host.id] = host
        self._by_address[where] = host
        return host

    def start(
        self,
        host: Host,
        seeds: Iterable[Host | Address] = (),
        *,
        config: Config | None = None,
        remembers: dict[NodeId, Address] | None = None,
    ) -> None:
        """Start its process, also again: who is durable is the same member as before, has its services, and calls
        those that it remembers."""
        known = self._boot(host, config)
        node = host.node
        for service, health in host.services.values():
            self.act(host, node.register(service, health, host.local(self.now))[1])
        self.act(host, node.remember(known if remembers is None else remembers, host.local(self.now)))
        addresses = tuple(seed.address if isinstance(seed, Host) else seed for seed in seeds)
        self.act(host, node.seek(addresses, host.local(self.now)))

    def move(self, host: Host, address: Address) -> None:
        """Its machine has another address from now on, which its process does not know."""
        self.fault(f"move to {address}", host)
        del self._by_address[host.address]
        host.address = address
        self._by_address[address] = host

    def _boot(self, host: Host, config: Config | None = None) -> dict[NodeId, Address]:
        """Make its node. What the one before it would have remembered."""
        rng = self.streams.of("node", host.number, host.starts)
        remembers: dict[NodeId, Address] = {}
        if host.starts:
            if host.durable:
                remembers = host.node.worth_remembering()
            else:
                host.services = {}
                host.generation = 0
                host.id = NodeId(rng.randbytes(16))
                self.by_id[host.id] = host
            host.sent_before = host.sent()
        wall_ms = WALL_MS + int((self.now - START) * 1000) + host.wall_error_ms
        host.generation = max(wall_ms << 16 | rng.getrandbits(16), host.generation + 1)
        host.starts += 1
        host.since = self.now
        host.node = Node(
            config or self.config,
            member=Member(host.name, BootId(rng.randbytes(8)), (host.address,), zone=host.zone, durable=host.durable),
            id=host.id,
            generation=host.generation,
            keyring=self.keyring,
            rng=rng,
            entropy=rng.randbytes,
            now=host.local(self.now),
            wall_ms=wall_ms,
            address_fixed=False,
        )
        host.up, host.stalled, host.blocked, host.departed, host.stopped = True, False, False, False, ""
        host.clear()
        host.wake_at = float("inf")
        return remembers

    def form(self, n: int, *, zones: tuple[str, ...] = ("",), services: int = 0, durable: bool = True) -> list[Host]:
        """`n` new members that are one cluster already, in step, as if they had joined long ago; the first `services`
        of them with a service "base-K" each. Their rows are shared until they change, so that many full tables fit
        into memory."""
        hosts = [self.add(zone=zones[number % len(zones)], durable=durable) for number in range(n)]
        for number, host in enumerate(hosts):
            self._boot(host)
            if number < services:
                self.register(host, f"base-{number}")
        join_all([host.node for host in hosts], self.now)
        for host in hosts:
            self._wake(host)
        return hosts

    def grow(self, n: int, apart_s: float = 0.01) -> list[Host]:
        """`n` new members that join one after the other, with the first as seed, until all are in step."""
        hosts = [self.add() for _ in range(n)]
        self.start(hosts[0])
        for host in hosts[1:]:
            self.start(host, [hosts[0]])
            self.run(apart_s)
        if not self.until(lambda: self.in_step(hosts), 20.0):
            raise AssertionError(f"{n} members did not form a cluster (seed {self.seed})")
        return hosts

    def register(self, host: Host, name: str, *, port: int = 80, health: Health = Health.PASSING, id: str = "") -> str:
        service = Service(id or f"{name}-{port}", name, host.address.host, port)
        host.services[service.id] = service, health
        self.act(host, host.node.register(service, health, host.local(self.now))[1])
        return service.id

    def set_health(self, host: Host, id: str, health: Health) -> None:
        host.services[id] = host.services[id][0], health
        self.act(host, host.node.set_health(id, health, host.local(self.now))[1])

    def deregister(self, host: Host, id: str) -> None:
        del host.services[id]
        self.act(host, host.node.deregister(id, host.local(self.now)))

    def leave(self, host: Host, hold_s: float = 0.0) -> None:
        self.fault(f"leave, hold {hold_s:g} s" if hold_s else "leave", host)
        self.act(host, host.node.leave(host.local(self.now), hold_s))

    # -- what is done to them ----------------------------------------------------------------------------------------

    def crash(self, host: Host, *, refuses: bool = True) -> None:
        """Its process ends; with `refuses` its machine says so to whoever sends, else there is silence."""
        self.fault("crash" if refuses else "vanish", host)
        self._end(host, refuses=refuses)

    def _end(self, host: Host, *, refuses: bool) -> None:
        host.up, host.refuses = False, refuses
        host.clear()

    def stall(self, host: Host) -> None:
        self.fault("stall", host)
        host.stalled = True

    def block(self, host: Host) -> None:
        self.fault("block", host)
        host.blocked = True

    def resume(self, host: Host, *, stalled: bool = False, blocked: bool = False) -> None:
        """It is slow no longer, or only in this way: what it could not send goes out, what waited is read, then its
        timers fire."""
        self.fault("resume", host)
        host.stalled, host.blocked = stalled, blocked
        if not host.up or stalled:
            return
        if blocked:
            self._wake(host)
            return
        held, host.held = host.held, []
        for send in held:
            self._send(host, send)
        self._read(host)

    def fault(self, what: str, *hosts: Host) -> None:
        """Tell whoever looks on that this is being done to these members."""
        for observer in self._fault_observers:
            observer.on_fault(what, hosts)

    @property
    def up(self) -> list[Host]:
        return [host for host in self.hosts if host.up]

    # -- what is known -----------------------------------------------------------------------------------------------

    def in_step(self, hosts: Iterable[Host] | None = None) -> bool:
        """Whether these (all that are up) hold equal tables in which exactly they are alive."""
        chosen = self.up if hosts is None else list(hosts)
        prints = {host.node.fingerprint for host in chosen}
        return len(prints) <= 1 and all(host.node.synced and len(host.node.ring) == len(chosen) for host in chosen)

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

    # -- datagrams and other effects ---------------------------------------------------------------------------------

    def act(self, host: Host, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                if host.blocked:
                    host.held.append(effect)
                else:
                    self._send(host, effect)
            else:
                self._note(host, effect)
        for observer in self._step_observers:
            observer.after(host)
        if host.up and not host.stalled:
            self._wake(host)

    def _note(self, host: Host, effect: Effect) -> None:
        if self.tap is not None:
            self.tap.on_effect(self.now, host, effect)
        for observer in self._effect_observers:
            observer.on_effect(host, effect)
        if type(effect) is Departed:
            host.departed = True
            self._end(host, refuses=True)
        elif type(effect) is Stop:
            host.stopped = effect.message
            self._end(host, refuses=True)

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
        for observer in self._arrival_observers:
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

    # -- traffic -----------------------------------------------------------------------------------------------------

    def traffic(self, hosts: Iterable[Host] | None = None) -> tuple[int, int]:
        """Datagrams and bytes, all headers and the seal's tag included, that these have sent so far."""
        datagrams = size = 0
        for host in self.hosts if hosts is None else hosts:
            if host.starts:
                sent, payload = host.sent()
                datagrams += sent
                size += payload
        return datagrams, size + datagrams * (FRAME_BYTES + (0 if self.sealed else TAG_BYTES))
