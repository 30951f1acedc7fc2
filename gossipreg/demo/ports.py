"""Ports on 127.0.0.1 that are free for UDP and TCP, and that stay so while nobody listens on them for a moment."""

import socket
from contextlib import suppress
from pathlib import Path
from random import Random

from gossipreg.errors import CannotStartYet

HOST = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, TRIES = 10_000, 2_000


class FreePorts:
    """Gives out each port once. They are below those that the kernel gives to connections, so a host that is killed
    finds its ports free when it starts again."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._given: set[int] = set()
        self._end = max(LOWEST + 1_000, _ephemeral_begin())

    def take(self, wanted: int | None = None) -> int:
        """Return a free port, `wanted` if it is one. Raises CannotStartYet."""
        for port in (wanted, *(self._rng.randrange(LOWEST, self._end) for _ in range(TRIES))):
            if port is not None and port not in self._given and is_free(port):
                self._given.add(port)
                return port
        raise CannotStartYet(f"no port between {LOWEST} and {self._end} is free on {HOST}: end some programs")


def is_free(port: int) -> bool:
    """Whether nobody uses this port on 127.0.0.1, for UDP or TCP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((HOST, port))
        udp.bind((HOST, port))
        return True
    return False


def _ephemeral_begin() -> int:
    try:
        return int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768  # Linux's default
