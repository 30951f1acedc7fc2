"""Ports on 127.0.0.1 that are free for UDP and TCP, and that stay ours while nobody listens on them for a moment.

Each is held by a TCP socket that is bound and does not listen. On Linux a process that sets SO_REUSEADDR, as all of
ours do, may listen beside it (socket(7)); another demonstration, which looks for a free port without that, may not.
"""

import socket
from contextlib import suppress
from pathlib import Path
from random import Random

from gossipreg.errors import CannotStartYet

HOST = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, TRIES = 10_000, 2_000


class FreePorts:
    """Gives out each port once, and holds it until `close`. They are below those that the kernel gives to
    connections."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._held: list[socket.socket] = []
        self._end = max(LOWEST + 1_000, _ephemeral_begin())

    def take(self, wanted: int | None = None) -> int:
        """Return a free port, `wanted` if it is one. Raises CannotStartYet."""
        for port in (wanted, *(self._rng.randrange(LOWEST, self._end) for _ in range(TRIES))):
            if port is not None and (held := hold(port)) is not None:
                self._held.append(held)
                return port
        raise CannotStartYet(f"no port between {LOWEST} and {self._end} is free on {HOST}: end some programs")

    def close(self) -> None:
        for held in self._held:
            held.close()


def hold(port: int) -> socket.socket | None:
    """A socket that holds this port on 127.0.0.1; None if somebody uses it, for UDP or TCP."""
    tcp = socket.socket()
    with socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
        tcp.bind((HOST, port))
        udp.bind((HOST, port))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return tcp
    tcp.close()
    return None


def _ephemeral_begin() -> int:
    try:
        return int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768  # Linux's default
