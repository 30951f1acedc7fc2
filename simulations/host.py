"""One member's machine: its process over all its starts, its clock, its socket, and how it is hurt.

Owns: the node that runs, what is kept over a restart, and what waits in the socket. Never knows: the network, or when
anything happens; the world calls.

Two models of a slow member:

    stalled    the whole process stands still, as under SIGSTOP or a starved CPU: timers do not fire, what arrives waits
               in the socket's buffer, and is read before anything else when it goes on
    blocked    as in the Lifeguard paper (section 5): only its sends and receives block; its timers go on firing
"""

from collections import deque
from dataclasses import dataclass, field

from gossipreg.core.effects import Send
from gossipreg.core.node import Node
from gossipreg.model import Address, Health, NodeId, Service

RECEIVE_BUFFER_BYTES = 212_992
"""Linux's default of net.core.rmem_default; what does not fit is dropped."""
_SKB_BYTES = 768
"""What the kernel counts for a small datagram (skb truesize); a larger one takes its size more."""


@dataclass(slots=True)
class Host:
    number: int
    name: str
    address: Address
    zone: str
    id: NodeId
    node: Node = field(init=False)
    """Of the last start."""
    durable: bool = False
    starts: int = 0
    generation: int = 0
    services: dict[str, tuple[Service, Health]] = field(default_factory=dict)
    """What is registered here; a durable member has it again after a restart."""

    up: bool = False
    refuses: bool = True
    """When it is not up: whether its port is refused, or there is silence."""
    stalled: bool = False
    blocked: bool = False
    processing_s: float = 0.0
    """What one datagram takes it; while it is at work others wait in the socket."""
    busy_until: float = 0.0
    departed: bool = False
    stopped: str = ""

    inbox: deque[tuple[bytes, Address, int]] = field(default_factory=deque)
    """What waits in the socket: (datagram, source, what the kernel counts for it)."""
    inbox_bytes: int = 0
    overflowed: int = 0
    """Datagrams that found the socket's buffer full."""
    held: list[Send] = field(default_factory=list)
    """Sends that are blocked."""
    wake_at: float = float("inf")

    rate: float = 1.0
    """How fast its clock runs."""
    since: float = 0.0
    wall_error_ms: int = 0
    """How wrong its wall clock is, at its next start."""
    sent_before: tuple[int, int] = (0, 0)
    """Datagrams and bytes sent by processes before this one."""

    @property
    def open(self) -> bool:
        """Whether a datagram can be handed to the node as it comes: up, and in no way slow."""
        return self.up and not (self.stalled or self.blocked or self.processing_s or self.inbox)

    def local(self, now: float) -> float:
        """What its clock shows."""
        return self.since + (now - self.since) * self.rate

    def world_time(self, local: float) -> float:
        return self.since + (local - self.since) / self.rate

    def queue(self, datagram: bytes, source: Address) -> bool:
        """It arrived and waits to be read; False where there is no room."""
        size = _SKB_BYTES + max(0, len(datagram) - 256)
        if self.inbox_bytes + size > RECEIVE_BUFFER_BYTES:
            self.overflowed += 1
            return False
        self.inbox.append((datagram, source, size))
        self.inbox_bytes += size
        return True

    def read(self) -> tuple[bytes, Address]:
        """The next that waits."""
        datagram, source, size = self.inbox.popleft()
        self.inbox_bytes -= size
        return datagram, source

    def clear(self) -> None:
        """Its process is gone, and with it what waited."""
        self.inbox.clear()
        self.inbox_bytes = 0
        self.held.clear()

    def sent(self) -> tuple[int, int]:
        """Datagrams and bytes (UDP payload) sent so far."""
        outbox = self.node.sent
        return self.sent_before[0] + outbox[0], self.sent_before[1] + outbox[1]
