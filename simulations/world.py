"""The world: many members in virtual time, all drawn from one seed.

Owns: the members, their registrations, and the faults that strike a member. Never knows: what is tested (`scenarios/`),
what must hold (`checkers/`), or how time passes and datagrams travel (`engine.py`, `network.py`).

The members are the shipped `Node`s, codec and sizes included. An `Observer` gets every effect except sends, and after
every input the rows that it changed.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from gossipreg.config import Config, lan
from gossipreg.generation import RANDOM_BITS, generation_of
from gossipreg.model import Address, BootId, Health, Member, NodeId, RegisteredService
from gossipreg.wire.seal import TAG_BYTES, Keyring
from simulations.baselines.node import node_class
from simulations.connections import Connections
from simulations.disk import Disk
from simulations.engine import Engine
from simulations.formed import join_all
from simulations.host import Host
from simulations.network import FRAME_BYTES, Network
from simulations.randomness import Randomness

START = 1000.0
"""The time at which virtual time begins, in seconds."""
WALL_MS = 1_760_000_000_000
"""What a correct wall clock shows at that time."""
PORT = 7940
KEY = Keyring((bytes(range(32)),))


class World(Engine):
    def __init__(self, seed: int, *, config: Config = lan, sealed: bool = False) -> None:
        self.randomness = Randomness(seed)
        super().__init__(Network(self.randomness.of("network")), START, sealed=sealed)
        self.seed = seed
        self.config = config if sealed else replace(config, datagram_bytes=config.datagram_bytes - TAG_BYTES)
        self.keyring = KEY if sealed else None
        self.hosts: list[Host] = []
        self.by_id: dict[NodeId, Host] = {}
        self._disks: dict[int, Disk] = {}

    # -- members -----------------------------------------------------------------------------------------------------

    def add(
        self, *, zone: str = "", durable: bool = True, address: Address | None = None, id: NodeId | None = None
    ) -> Host:
        """Add a machine on which no process runs yet."""
        number = len(self.hosts)
        rng = self.randomness.of("host", number)
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
        """Start or restart the process of a machine. A durable member keeps its identity and its services, and greets
        the members that it remembers."""
        known = self._boot(host, config)
        node = host.node
        for service, health in host.services.values():
            self.act(host, node.register(service, health, host.local(self.now))[1])
        self.act(host, node.remember(known if remembers is None else remembers, host.local(self.now)))
        addresses = tuple(seed.address if isinstance(seed, Host) else seed for seed in seeds)
        self.act(host, node.seek(addresses, host.local(self.now)))

    def move(self, host: Host, address: Address) -> None:
        """Give the machine another address, which its process does not know."""
        self.fault(f"move to {address}", host)
        del self._by_address[host.address]
        host.address = address
        self._by_address[address] = host

    def _boot(self, host: Host, config: Config | None = None) -> dict[NodeId, Address]:
        """Make the node of a new start; return the addresses that the former one would have remembered."""
        rng = self.randomness.of("node", host.number, host.starts)
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
        host.generation = max(generation_of(wall_ms, rng.getrandbits(RANDOM_BITS)), host.generation + 1)
        host.starts += 1
        host.since = self.now
        node_config = config or self.config
        host.node = node_class(node_config)(
            node_config,
            member=Member(host.name, BootId(rng.randbytes(8)), (host.address,), zone=host.zone, durable=host.durable),
            id=host.id,
            generation=host.generation,
            generation_before=host.generation_before,
            own_generations=host.own_generations,
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
        """Add `n` members that already form a cluster with equal tables, as if they had joined long ago; the first
        `services` of them have a service "base-K" each. Tables share rows until they change, so that many full tables
        fit into memory."""
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
        """Add `n` members that join one after the other, with the first as seed, and wait until their tables are
        equal."""
        hosts = [self.add() for _ in range(n)]
        self.start(hosts[0])
        for host in hosts[1:]:
            self.start(host, [hosts[0]])
            self.run(apart_s)
        if not self.until(lambda: self.converged(hosts), 20.0):
            raise AssertionError(f"{n} members did not form a cluster (seed {self.seed})")
        return hosts

    def register(self, host: Host, name: str, *, port: int = 80, health: Health = Health.PASSING, id: str = "") -> str:
        service = RegisteredService(id or f"{name}-{port}", name, host.address.host, port)
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

    # -- disks and streams -------------------------------------------------------------------------------------------

    def disk(self, host: Host) -> Disk:
        """Return the disk of this host, which outlives its processes. A crash of the process ends its writes."""
        disk = self._disks.get(host.number)
        if disk is None:
            rng = self.randomness.of("disk", host.number)
            disk = Disk(self, rng, lambda call: self.to_process(host, call, network=False))
            self._disks[host.number] = disk
            self.on_end.append(lambda ended: disk.end_process() if ended is host else None)
        return disk

    @cached_property
    def connections(self) -> Connections:
        """The streams between the processes. A world that uses none pays nothing for them."""
        return Connections(self, self.randomness)

    # -- what is done to them ----------------------------------------------------------------------------------------

    def crash(self, host: Host, *, refuses: bool = True) -> None:
        """End the process. With `refuses` the machine answers datagrams with port-unreachable, else it is silent."""
        self.fault("crash" if refuses else "vanish", host)
        self._end(host, refuses=refuses)

    def lose_power(self, host: Host) -> None:
        """End the process and switch the machine off: it is silent, and what its disk had not synced may be lost."""
        self.fault("power loss", host)
        self._end(host, refuses=False)
        self.disk(host).lose_power()

    def stall(self, host: Host) -> None:
        self.fault("stall", host)
        host.stalled = True

    def block(self, host: Host) -> None:
        self.fault("block", host)
        host.blocked = True

    def resume(self, host: Host, *, stalled: bool = False, blocked: bool = False) -> None:
        """End the slowness of a member, or all but this kind of it: the held datagrams are sent, those that waited are
        read, then its timers fire."""
        self.fault("resume", host)
        host.stalled, host.blocked = stalled, blocked
        if not host.up or stalled:
            return
        if blocked:
            self._wake(host)
        else:
            held, host.held = host.held, []
            for send in held:
                self._send(host, send)
            self._read(host)
        self._go_on(host)

    def fault(self, what: str, *hosts: Host) -> None:
        """Report to the observers that a fault of these members begins or ends."""
        for observer in self.observers.fault:
            observer.on_fault(what, hosts)

    @property
    def up(self) -> list[Host]:
        return [host for host in self.hosts if host.up]

    # -- the state of the cluster
    # -----------------------------------------------------------------------------------------------

    def converged(self, hosts: Iterable[Host] | None = None) -> bool:
        """Return whether these members (default: all that are up) hold equal tables in which exactly they are alive."""
        chosen = self.up if hosts is None else list(hosts)
        prints = {host.node.fingerprint for host in chosen}
        return len(prints) <= 1 and all(host.node.synced and len(host.node.ring) == len(chosen) for host in chosen)

    # -- traffic -----------------------------------------------------------------------------------------------------

    def traffic(self, hosts: Iterable[Host] | None = None) -> tuple[int, int]:
        """Return the datagrams and bytes that these members have sent so far, with all headers and the seal's tag."""
        datagrams = size = 0
        for host in self.hosts if hosts is None else hosts:
            if host.starts:
                sent, payload = host.sent()
                datagrams += sent
                size += payload
        return datagrams, size + datagrams * (FRAME_BYTES + (0 if self.sealed else TAG_BYTES))
