"""A few whole nodes on a network in virtual time: one seed, one heap of events.

For tests of what several members do together. Datagrams take 0.2 to 0.5 ms; they can be lost, duplicated and, through
their delays, reordered; links can be cut one way. Members crash (port refused, or silent), pause and come back.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from gossipreg.config import Config, lan
from gossipreg.core.effects import Changed, Departed, Effect, Event, Send, Stop
from gossipreg.core.node import Node
from gossipreg.model import Address, BootId, Change, Health, Member, NodeId, Service
from gossipreg.wire.seal import Keyring

KEY = Keyring((bytes(range(32)),))
START = 1000.0
WALL_MS = 1_760_000_000_000


@dataclass
class Host:
    """One member's process and what its effects were."""

    node: Node
    address: Address
    up: bool = True
    refuses: bool = True
    """When it is not up: whether its port is refused, or there is silence."""
    paused: bool = False
    backlog: list[tuple[bytes, Address]] = field(default_factory=list)
    events: list[tuple[float, Event]] = field(default_factory=list)
    changes: list[tuple[float, Change]] = field(default_factory=list)
    departed: bool = False
    stopped: str | None = None

    @property
    def id(self) -> NodeId:
        return self.node.id


class Cluster:
    def __init__(self, seed: int = 1, config: Config = lan, keyring: Keyring | None = KEY) -> None:
        self.rng = random.Random(seed)
        self.config = config
        self.keyring = keyring
        self.now = START
        self.hosts: list[Host] = []
        self.loss = 0.0
        self.duplication = 0.0
        self.jitter_s = 0.0003
        self.cut: Callable[[Host, Host], bool] = lambda _from, _to: False
        self.datagrams = 0
        self.bytes = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._wakes: dict[int, float] = {}
        self._by_address: dict[Address, Host] = {}

    # -- members -----------------------------------------------------------------------------------------------------

    def start(
        self, *, seed: Host | Address | None = None, id: NodeId | None = None, address: Address | None = None,
        config: Config | None = None, generation: int | None = None, wall_ms: int | None = None, name: str = "",
        keyring: Keyring | None = None, remembers: dict[NodeId, Address] | None = None,
    ) -> Host:  # fmt: skip
        """Start a member; `seed` None makes it the first of a cluster."""
        number = len(self.hosts)
        rng = random.Random(self.rng.getrandbits(64))
        wall = WALL_MS + int((self.now - START) * 1000) if wall_ms is None else wall_ms
        where = address or Address(f"10.0.{number // 250}.{number % 250 + 1}", 7940)
        node = Node(
            config or self.config,
            member=Member(name or f"n{number}", BootId(rng.randbytes(8)), (where,), zone="z", durable=id is not None),
            id=id or NodeId(rng.randbytes(16)),
            generation=generation or (wall << 16) | rng.getrandbits(16),
            keyring=keyring or self.keyring,
            rng=rng,
            entropy=rng.randbytes,
            now=self.now,
            wall_ms=wall,
        )
        host = Host(node, where)
        self.hosts.append(host)
        self._by_address[where] = host
        self.act(host, node.remember(remembers or {}, self.now))
        target = seed.address if isinstance(seed, Host) else seed
        self.act(host, node.seek(() if target is None else (target,), self.now))
        return host

    def grow(self, n: int, apart_s: float = 0.01) -> list[Host]:
        """n members, started one after the other with the first as seed, in step."""
        first = self.start()
        for _ in range(n - 1):
            self.start(seed=first)
            self.run(apart_s)
        assert self.until(lambda: self.in_step(self.hosts[-n:]), 10), "the cluster did not form"
        return self.hosts[-n:]

    def crash(self, host: Host, *, refuses: bool = True) -> None:
        host.up, host.refuses = False, refuses

    def pause(self, host: Host) -> None:
        host.paused = True

    def resume(self, host: Host) -> None:
        host.paused = False
        for datagram, source in host.backlog:
            self.act(host, host.node.receive(datagram, source, self.now))
        host.backlog.clear()
        self._wake(host)

    def register(self, host: Host, name: str, port: int = 80, health: Health = Health.PASSING, id: str = "") -> None:
        service = Service(id or f"{name}-{port}", name, host.address.host, port)
        self.act(host, host.node.register(service, health, self.now)[1])

    # -- what is known -----------------------------------------------------------------------------------------------

    def alive_at(self, host: Host) -> set[NodeId]:
        return {info.id for info in host.node.members(self.now) if info.state in ("alive", "suspect")}

    def state_at(self, host: Host, of: Host) -> str | None:
        info = host.node.member(of.id, self.now)
        return None if info is None else info.state

    def in_step(self, hosts: list[Host] | None = None) -> bool:
        hosts = hosts or [host for host in self.hosts if host.up]
        ids = {host.id for host in hosts}
        prints = {host.node.statistics(self.now)["fingerprint"] for host in hosts}
        return len(prints) == 1 and all(host.node.synced and self.alive_at(host) == ids for host in hosts)

    def found(self, host: Host, name: str) -> set[str]:
        return {f"{one.service.address}:{one.service.port}" for one in host.node.catalog.lookup(name)}

    # -- time --------------------------------------------------------------------------------------------------------

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), call))

    def run(self, seconds: float) -> None:
        self.until(lambda: False, seconds)

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Let virtual time pass until the condition holds; False where it did not within the limit."""
        end = self.now + limit_s
        while not condition():
            if not self._heap or self._heap[0][0] > end:
                self.now = end
                return condition()
            self.now, _, call = heapq.heappop(self._heap)
            call()
        return True

    def _wake(self, host: Host) -> None:
        """Call the host when its node wants it."""
        due = max(host.node.next_deadline(), self.now)
        if due == float("inf") or self._wakes.get(id(host), float("inf")) <= due:
            return
        self._wakes[id(host)] = due

        def wake() -> None:
            if self._wakes.get(id(host)) == due:
                del self._wakes[id(host)]
            if host.up and not host.paused and host.node.next_deadline() <= self.now:
                self.act(host, host.node.advance(self.now))
            elif host.up and not host.paused:
                self._wake(host)

        self.at(due, wake)

    # -- effects -----------------------------------------------------------------------------------------------------

    def act(self, host: Host, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(host, effect.datagram, effect.destination)
                case Changed():
                    host.changes += [(self.now, change) for change in effect.changes]
                case Event():
                    host.events.append((self.now, effect))
                case Departed():
                    host.departed = True
                    self.crash(host)
                case Stop():
                    host.stopped = effect.message
                    self.crash(host)
        if host.up and not host.paused:
            self._wake(host)

    def _send(self, host: Host, datagram: bytes, to: Address) -> None:
        self.datagrams += 1
        self.bytes += len(datagram) + 42
        for _ in range(1 + (self.rng.random() < self.duplication)):
            delay = 0.0002 + self.rng.random() * self.jitter_s
            if self.rng.random() >= self.loss:
                self.at(self.now + delay, lambda: self._deliver(host, datagram, to))

    def _deliver(self, sender: Host, datagram: bytes, to: Address) -> None:
        host = self._by_address.get(to)
        if host is None or self.cut(sender, host):
            return
        if not host.up:
            if host.refuses and not self.cut(host, sender) and sender.up and not sender.paused:
                self.act(sender, sender.node.refused(to, self.now))
        elif host.paused:
            if len(host.backlog) < 500:
                host.backlog.append((datagram, sender.address))
        else:
            self.act(host, host.node.receive(datagram, sender.address, self.now))
