"""Callers: a request comes from a user's process on a unix socket, as the kernel says, or over a TCP connection.

Owns: what the kernel says of the other end of a unix socket. Never knows: what a caller may do (`rights.py`).
"""

import os
import socket
import struct
from typing import Literal

from gossipreg.quick_dataclass import dataclass

NO_UID = -1
"""The uid of a caller without a user: it came over TCP, or the kernel does not name its user."""
_SO_PEERGROUPS = 59
"""Linux 4.13 and later. The socket module has no name for it."""
_GROUPS_BYTES = 1024
"""The most that Python lets getsockopt return: 256 groups. Of a user with more groups only the primary one counts."""

Door = Literal["socket", "http", "tcp", "sidecar"]


@dataclass(frozen=True, slots=True)
class Caller:
    """The origin of a request. The door says how it came: over the local socket, an HTTP unix socket, HTTP over TCP, or
    from the sidecar itself (flags, files, signals)."""

    uid: int = NO_UID
    pid: int = 0
    """0: not known."""
    groups: frozenset[int] = frozenset()
    door: Door = "tcp"
    trusted: bool = False
    """Whether it is the sidecar's own user or root, so that a command that it names may run as the sidecar's user."""

    def __str__(self) -> str:
        if self.door == "tcp":
            return "a TCP client"
        return f"user {self.uid}"


def caller_at(sock: socket.socket, door: Door) -> Caller:
    """The process at the other end of a unix socket, with its user and groups at the time when it connected."""
    if not hasattr(socket, "SO_PEERCRED"):
        return Caller(door=door)
    pid, uid, gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    groups = {gid}
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:
        pass
    else:
        groups.update(struct.unpack(f"{len(data) // 4}I", data))
    return Caller(uid, pid, frozenset(groups), door, trusted=uid in (0, os.geteuid()))


def the_sidecar() -> Caller:
    """The sidecar itself, for what its flags and files say and its own timers do."""
    return Caller(os.geteuid(), os.getpid(), door="sidecar", trusted=True)
