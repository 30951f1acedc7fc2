"""A link between two network interfaces that reorders frames: each takes its own time.

    python bad_road.py A B LEAST_S MOST_S      until killed

It runs in the namespace of both interfaces. Frames are forwarded unchanged, except for the UDP checksum: the kernel
leaves it to hardware that does not exist here, so over IPv4 it is set to 0, which means no checksum.
"""

import heapq
import random
import selectors
import socket
import sys
import time

ETHERNET, IPV4, UDP = 14, b"\x08\x00", 17
PACKET_OUTGOING = 4
EVERYTHING = 0x0003


def opened(name: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING))
    sock.bind((name, 0))
    return sock


def without_checksum(frame: bytearray) -> bytearray:
    if frame[12:14] == IPV4 and len(frame) > ETHERNET + 28 and frame[ETHERNET + 9] == UDP:
        at = ETHERNET + 4 * (frame[ETHERNET] & 15) + 6
        frame[at : at + 2] = b"\0\0"
    return frame


def main(a: str, b: str, least_s: float, most_s: float) -> None:
    one, other = opened(a), opened(b)
    waiting: list[tuple[float, int, socket.socket, bytearray]] = []
    taken = 0
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, to, frame = heapq.heappop(waiting)
                to.send(frame)
            for key, _ in selector.select(max(0.0, waiting[0][0] - now) if waiting else None):
                frame, source = key.fileobj.recvfrom(65536)  # type: ignore[union-attr]
                if source[2] != PACKET_OUTGOING:
                    taken += 1
                    due = time.monotonic() + random.uniform(least_s, most_s)
                    heapq.heappush(waiting, (due, taken, key.data, without_checksum(bytearray(frame))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
