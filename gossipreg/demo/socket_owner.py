"""Which process holds the other end of a TCP connection on this machine. The kernel says so in /proc, without root.

/proc/net/tcp has the inode of each socket by its addresses, and /proc/PID/fd those that a process holds: see proc(5).
"""

import os
import socket
from collections.abc import Iterable
from contextlib import suppress

_TABLE = "/proc/net/tcp"


def owner_of(near: tuple[str, int], far: tuple[str, int], pids: Iterable[int]) -> int | None:
    """The process among `pids` that holds the end whose own address is `far`, of a connection to `near` (IPv4).
    None if none of them does."""
    inode = _inode(_hex(far), _hex(near))
    if inode is None:
        return None
    link = f"socket:[{inode}]"
    return next((pid for pid in pids if _holds(pid, link)), None)


def _hex(address: tuple[str, int]) -> str:
    """As the table writes an address: the four bytes in the order of this machine, and the port."""
    packed = int.from_bytes(socket.inet_aton(address[0]), "little")
    return f"{packed:08X}:{address[1]:04X}"


def _inode(local: str, remote: str) -> str | None:
    with open(_TABLE, encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if len(fields) > 9 and fields[1] == local and fields[2] == remote:
                return fields[9]
    return None


def _holds(pid: int, link: str) -> bool:
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            with suppress(OSError):  # closed meanwhile
                if os.readlink(f"{folder}/{name}") == link:
                    return True
    return False
