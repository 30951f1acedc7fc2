"""Who asks the sidecar for something: a process of a user at a unix socket, as the kernel says, or a TCP connection.

Owns reading the kernel's word on the other end of a unix socket. What a caller may do is in `rights.py`.
"""

import os
import socket
import struct
from dataclasses import dataclass
from typing import Literal

NO_UID = -1
"""A caller without a user: it came over TCP, or the kernel does not say."""
_SO_PEERGROUPS = 59
"""Linux 4.13 and later; the socket module has no name for it."""
_GROUPS_BYTES = 1024
"""The most that Python lets getsockopt return: 256 groups. A user with more counts with the primary group alone."""

Door = Literal["socket", "http", "tcp", "sidecar"]


@dataclass(frozen=True, slots=True)
class Caller:
    """One that asks. The door says how it came: the local socket, an HTTP unix socket, HTTP over TCP, or the sidecar
    itself (flags, files, signals)."""

    uid: int = NO_UID
    pid: int = 0
    """0: not known."""
    groups: frozenset[int] = frozenset()
    door: Door = "tcp"
    trusted: bool = False
    """It is of the sidecar's own user or root, so a command that it names may run as the sidecar's user."""

    def __str__(self) -> str:
        if self.door == "tcp":
            return "a TCP client"
        return f"user {self.uid}"


def caller_at(sock: socket.socket, door: Door) -> Caller:
    """The process at the other end of a unix socket, its user and groups, as they were when it connected."""
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
    """The sidecar itself: what its flags and files say, and what its own timers do."""
    return Caller(os.geteuid(), os.getpid(), door="sidecar", trusted=True)
