"""sd_notify: say to systemd, or whatever else set NOTIFY_SOCKET, that the sidecar is ready or stopping.

One datagram on a unix socket. Whatever goes wrong is ignored: the service manager is not worth a crash, and it has a
timeout of its own.
"""

import os
import socket
from contextlib import suppress

READY = "READY=1"
STOPPING = "STOPPING=1"


def notify(state: str) -> bool:
    """Send `state`. Returns False if nobody asked for it, or if it could not be sent."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.setblocking(False)
        out.sendto(state.encode(), address)
        return True
    return False
