"""One member's machine: its process over all its starts, its clock, its socket, and the faults that strike it.

Owns: the node that runs, what is kept over a restart, and what waits in the socket. Never knows: the network, or when
anything happens; the world calls it.

Two models of a slow member:

    stalled    the whole process stands still, as under SIGSTOP or a starved CPU: timers do not fire, what arrives waits
               in the socket's buffer, and is read before anything else when it goes on
    blocked    as in the Lifeguard paper (section 5): only its sends and receives block; its timers go on firing
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gossipreg.core.effects import Send
from gossipreg.core.node import Node
from gossipreg.model import Address, Health, NodeId, RegisteredService

RECEIVE_BUFFER_BYTES = 212_992
"""Linux's default of net.core.rmem_default; a datagram that does not fit is dropped."""
_SKB_BYTES = 768
"""Bytes that the kernel counts for a small datagram (skb truesize); a larger one counts its size as well."""


@dataclass(slots=True)
class Host:
    number: int
    name: str
    address: Address
    zone: str
    id: NodeId
    node: Node = field(init=False)
    """The node of the last start."""
    durable: bool = False
    starts: int = 0
    generation: int = 0
    generation_before: int = 0
    """The last one that its data directory knows to have met a member; 0: it says nothing of that."""
    own_generations: frozenset[int] = frozenset()
    """Those after it that its data directory knows of."""
    services: dict[str, tuple[RegisteredService, Health]] = field(default_factory=dict)
    """The services registered here; a durable member registers them again after a restart."""

    up: bool = False
    refuses: bool = True
    """While the member is down: whether the machine refuses its port (ICMP), or is silent."""
    stalled: bool = False
    blocked: bool = False
    processing_s: float = 0.0
    """The time that one datagram takes; meanwhile others wait in the socket."""
    busy_until: float = 0.0
    departed: bool = False
    stopped: str = ""

    inbox: deque[tuple[bytes, Address, int]] = field(default_factory=deque)
    """What waits in the socket: (datagram, source, bytes that the kernel counts for it)."""
    inbox_bytes: int = 0
    overflowed: int = 0
    """Datagrams dropped because the socket's buffer was full."""
    held: list[Send] = field(default_factory=list)
    """Sends that wait until the member is no longer blocked."""
    waiting: deque[tuple[bool, Callable[[], None]]] = field(default_factory=deque)
    """Calls of the process that wait until it is no longer slow: (whether it is a matter of the network, the call)."""
    wake_at: float = float("inf")

    rate: float = 1.0
    """The speed of its clock; 1 is the world's."""
    since: float = 0.0
    wall_error_ms: int = 0
    """The error of its wall clock at its next start."""
    sent_before: tuple[int, int] = (0, 0)
    """Datagrams and bytes sent by earlier processes."""

    @property
    def open(self) -> bool:
        """Whether the node can take a datagram at once: it is up and not slow."""
        return self.up and not (self.stalled or self.blocked or self.processing_s or self.inbox)

    def local(self, now: float) -> float:
        """Return the time that its clock shows."""
        return self.since + (now - self.since) * self.rate

    def world_time(self, local: float) -> float:
        return self.since + (local - self.since) / self.rate

    def queue(self, datagram: bytes, source: Address) -> bool:
        """Put a datagram into the socket's buffer; return False if the buffer is full."""
        size = _SKB_BYTES + max(0, len(datagram) - 256)
        if self.inbox_bytes + size > RECEIVE_BUFFER_BYTES:
            self.overflowed += 1
            return False
        self.inbox.append((datagram, source, size))
        self.inbox_bytes += size
        return True

    def read(self) -> tuple[bytes, Address]:
        """Take the next datagram out of the buffer."""
        datagram, source, size = self.inbox.popleft()
        self.inbox_bytes -= size
        return datagram, source

    def clear(self) -> None:
        """Drop everything that waits: the process has ended."""
        self.inbox.clear()
        self.inbox_bytes = 0
        self.held.clear()
        self.waiting.clear()

    def sent(self) -> tuple[int, int]:
        """Return the datagrams and bytes (UDP payload) sent so far, over all starts."""
        outbox = self.node.sent
        return self.sent_before[0] + outbox[0], self.sent_before[1] + outbox[1]
