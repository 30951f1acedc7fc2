"""A stranger on the network: it sends rubbish to every sidecar and to every local socket."""

import os
import random
import socket
import threading
from collections import deque

from gossipreg.model import Address
from scripts.soaking.world import World
from scripts.tools.packets import forged


class Stranger(threading.Thread):
    """Sends rubbish to everyone: random bytes, and as root what it hears on the wire, replayed, cut short, with bits
    flipped, from addresses that are not its own; and to local sockets, what is no request."""

    RATE = 200

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._rng = random.Random(world.rng.random())
        self._over = threading.Event()
        self._heard: deque[bytes] = deque(maxlen=256)
        self.sent = 0

    def run(self) -> None:
        plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear = forger = None
        if os.geteuid() == 0:
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
            ear.setblocking(False)
            forger = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        while not self._over.wait(0.05):
            if ear is not None:
                self._listen(ear)
            for _ in range(int(self.RATE * 0.05)):
                self._send(plain, forger)
            if self._rng.random() < 0.05:
                self._bother()
        plain.close()

    def _listen(self, ear: socket.socket) -> None:
        for _ in range(20):
            try:
                packet = ear.recv(65536)
            except BlockingIOError:
                return
            if len(packet) > 28 and packet[9] == socket.IPPROTO_UDP:
                self._heard.append(packet[28:])

    def _send(self, plain: socket.socket, forger: socket.socket | None) -> None:
        to = self._rng.choice(self._world.hosts).port
        data = bytearray(self._rng.choice(self._heard) if self._heard and self._rng.random() < 0.8 else b"")
        how = self._rng.randrange(4)
        if not data or how == 0:
            data = bytearray(self._rng.randbytes(self._rng.randrange(1, 1400)))
        elif how == 1:
            del data[self._rng.randrange(len(data)) :]
        elif how == 2:
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        try:
            if forger is not None and self._rng.random() < 0.5:
                source = Address("127.0.0.1", self._rng.choice(self._world.hosts).port)
                forger.sendto(forged(source, to, bytes(data)), ("127.0.0.1", 0))
            else:
                plain.sendto(data, ("127.0.0.1", to))
            self.sent += 1
        except OSError:
            pass

    def _bother(self) -> None:
        host = self._rng.choice(self._world.hosts)
        try:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(0.2)
                sock.connect(str(host.sidecar.socket))
                sock.sendall(self._rng.randbytes(200))
        except OSError:
            pass

    def stop(self) -> None:
        self._over.set()
        self.join()
