"""A network in memory with the faults of a real one: loss, duplication, reordering, delay; from one seed.

Each transport keeps the datagrams in flight to it in a heap by time of arrival, on trio's clock, so that hours pass at
once under a virtual clock. A datagram to an address without a socket comes back as refused, as from a kernel.
"""

import heapq
import random
from collections import Counter
from dataclasses import dataclass
from math import inf

import trio

from gossipreg.daemon.udp import BATCH
from gossipreg.model import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    loss: float = 0.0
    duplication: float = 0.0
    delay_s: tuple[float, float] = (0.0001, 0.0001)
    """The bounds of the random delay: if they differ by more than the gap between two datagrams, these may be
    reordered."""


class MemoryNetwork:
    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.random = random.Random(seed)
        self.bound: dict[Address, MemoryTransport] = {}
        self.cut: set[frozenset[Address]] = set()
        """Pairs of addresses between which all datagrams are lost."""
        self._next_port = 1024
        self._order = 0

    def bind(self, host: str = "10.0.0.1", port: int = 0) -> "MemoryTransport":
        if port == 0:
            self._next_port = port = self._next_port + 1
        address = Address(host, port)
        assert address not in self.bound
        transport = self.bound[address] = MemoryTransport(self, address)
        return transport

    def carry(self, datagram: bytes, source: "MemoryTransport", destination: Address) -> None:
        if frozenset((source.address, destination)) in self.cut:
            return
        copies = 2 if self.random.random() < self.faults.duplication else 1
        for _ in range(copies):
            if self.random.random() < self.faults.loss:
                continue
            due = trio.current_time() + self.random.uniform(*self.faults.delay_s)
            self._order += 1
            target = self.bound.get(destination)
            if target is None:
                source.arrive(due, self._order, None, destination)
            else:
                target.arrive(due, self._order, datagram, source.address)


class MemoryTransport:
    """See gossipreg.daemon.udp.Transport."""

    def __init__(self, network: MemoryNetwork, address: Address) -> None:
        self.address = address
        self.has_errors = False
        self.descriptor: int | None = None
        self.local_addresses: tuple[Address, ...] = (address,)
        self.dropped: Counter[str] = Counter()
        self._network = network
        self._coming: list[tuple[float, int, bytes | None, Address]] = []  # None for the bytes: refused
        self._refused: list[Address] = []
        self._too_large: list[Address] = []
        self._news = trio.Event()

    def arrive(self, due: float, order: int, datagram: bytes | None, about: Address) -> None:
        heapq.heappush(self._coming, (due, order, datagram, about))
        self._news.set()

    async def wait_readable(self) -> None:
        while True:
            self._news = trio.Event()
            due = self._coming[0][0] if self._coming else inf
            if self.has_errors or due <= trio.current_time():
                await trio.lowlevel.checkpoint()
                return
            with trio.CancelScope() as sleep:
                sleep.deadline = due
                await self._news.wait()

    def receive_nowait(self) -> list[tuple[bytes, Address]]:
        received: list[tuple[bytes, Address]] = []
        while len(received) < BATCH and self._coming and self._coming[0][0] <= trio.current_time():
            _, _, datagram, about = heapq.heappop(self._coming)
            if datagram is None:
                self._refused.append(about)
                self.has_errors = True
            else:
                received.append((datagram, about))
        return received

    def send(self, datagram: bytes, destination: Address) -> None:
        if len(datagram) > 65_507:
            self.dropped["send_too_large"] += 1
            self._too_large.append(destination)
            self.has_errors = True
        elif (":" in destination.host) != (":" in self.address.host):
            self.dropped["send_no_such_family"] += 1
        else:
            self._network.carry(datagram, self, destination)

    def too_large(self) -> list[Address]:
        too_large, self._too_large = self._too_large, []
        self.has_errors = bool(self._refused)
        return too_large

    def refused(self) -> list[Address]:
        refused, self._refused = self._refused, []
        self.has_errors = bool(self._too_large)
        return refused

    def close(self) -> None:
        self._network.bound.pop(self.address, None)
