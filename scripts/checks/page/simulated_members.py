"""Many members in one process: `python -m scripts.checks.page.simulated_members MEMBERS SERVICES KEY_FILE`.

Each is the real core with a UDP socket of its own on loopback, in real time. They are one cluster from the beginning
(`simulations/formed.py`), since a thousand joins would take longer than what is measured. A real sidecar joins them by
the address that is printed. Ends when its stdin does.
"""

import heapq
import os
import random
import selectors
import socket
import sys
import time
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path

from gossipreg.config import PROFILES
from gossipreg.core.effects import Effect, Send
from gossipreg.core.node import Node
from gossipreg.generation import RANDOM_BITS, generation_of
from gossipreg.model import Address, BootId, Health, Member, NodeId, RegisteredService
from gossipreg.wire.seal import Keyring
from simulations.formed import join_all

HOST = "127.0.0.1"
PROFILE = "wan"
"""Its longer periods leave a processor for what is measured."""
BATCH = 32
"""Datagrams of one member before others have their turn."""
ZONES = ("eu-north-1a", "eu-north-1b", "eu-north-1c", "us-east-2a", "us-east-2b")
TAGS = ("v1", "v2", "http", "grpc", "canary")
HEALTHS = (*[Health.PASSING] * 47, Health.WARNING, Health.CRITICAL, Health.MAINTENANCE)


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SimulatedMembers:
    def __init__(self, count: int, services: int, keyring: Keyring) -> None:
        self._rng = random.Random(1)
        self._selector = selectors.DefaultSelector()
        self._nodes: list[Node] = []
        self._sockets: list[socket.socket] = []
        self._due: list[tuple[float, int]] = []
        for number in range(count):
            self._add(number, keyring)
        for number in range(services):
            at = number % count
            name, port = f"service-{number:04}", 8000 + number // count
            address = str(self._nodes[at].addresses[0].host)
            service = RegisteredService(f"{name}-{port}", name, address, port, (TAGS[number % 5], TAGS[number % 3]))
            self._nodes[at].register(service, HEALTHS[number % len(HEALTHS)], now_s())
        join_all(self._nodes, now_s())
        for number in range(count):
            self._wake(number)

    @property
    def seed(self) -> Address:
        return self._nodes[0].addresses[0]

    def _add(self, number: int, keyring: Keyring) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        address = Address(*sock.getsockname())
        wall_ms = int(time.time() * 1000)
        member = Member(f"web-{number}", BootId(self._rng.randbytes(8)), (address,), zone=ZONES[number % len(ZONES)])
        node = Node(
            PROFILES[PROFILE], member=member, id=NodeId(self._rng.randbytes(16)), keyring=keyring,
            generation=generation_of(wall_ms, self._rng.getrandbits(RANDOM_BITS)), rng=self._rng, entropy=os.urandom,
            now=now_s(), wall_ms=wall_ms,
        )  # fmt: skip
        self._nodes.append(node)
        self._sockets.append(sock)
        self._selector.register(sock, selectors.EVENT_READ, number)

    def serve(self, until: int) -> None:
        """Until the descriptor `until` can be read."""
        self._selector.register(until, selectors.EVENT_READ, None)
        while True:
            wait_s = max(0.0, self._due[0][0] - now_s())
            for key, _ in self._selector.select(wait_s):
                if key.data is None:
                    return
                self._receive(key.data)
            now = now_s()
            while self._due[0][0] <= now:
                _, number = heapq.heappop(self._due)
                if self._nodes[number].next_deadline() <= now:
                    self._act(number, self._nodes[number].advance(now))
                self._wake(number)

    def _receive(self, number: int) -> None:
        for _ in range(BATCH):
            try:
                datagram, source = self._sockets[number].recvfrom(65536)
            except OSError:  # none is left, or the kernel reports an error of an earlier one
                break
            self._act(number, self._nodes[number].receive(datagram, Address(*source), now_s()))
        self._wake(number)

    def _wake(self, number: int) -> None:
        heapq.heappush(self._due, (self._nodes[number].next_deadline(), number))

    def _act(self, number: int, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                try:
                    self._sockets[number].sendto(effect.datagram, effect.destination)
                except OSError:
                    continue  # the network may drop any


def main(arguments: list[str]) -> None:
    count, services, key_file = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    members = SimulatedMembers(count, services, Keyring((b64decode(key_file.read_text()),)))
    print(f"ready {members.seed}", flush=True)
    members.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main(sys.argv[1:])
