"""IP packets with a UDP datagram and a source of one's choice, for a raw socket."""

import socket
import struct

from gossipreg.model import Address


def forged(source: Address, port: int, data: bytes) -> bytes:
    """A packet to this port of 127.0.0.1 that claims to come from `source`."""
    udp = struct.pack("!HHHH", source.port, port, 8 + len(data), 0) + data
    home = socket.inet_aton("127.0.0.1")
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, socket.IPPROTO_UDP, 0, socket.inet_aton(source.host), home
    )
    return head + udp
