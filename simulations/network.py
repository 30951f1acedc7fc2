"""The network: what happens to a datagram on its way.

Owns: latency, loss, duplication, MTU, links of limited bandwidth, the rules that lose datagrams between some members,
and the holes that lose large datagrams. Never knows: which members are up, or what is in a datagram. `carry` returns
the delays after which the copies of a datagram arrive; an empty list means that it is lost.

Random latencies reorder datagrams by themselves; `reorder` delays some of them more. A rule is a function of (sender,
receiver) that returns the probability that a datagram of this pair is lost. 1 cuts the link in this direction; the
other direction needs a 1 as well.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

IP_BYTES = 28
"""IPv4 and UDP headers."""
FRAME_BYTES = 42
"""IPv4, UDP and Ethernet headers: the bytes that a datagram has on the wire in addition to its payload."""
ICMP_BYTES = 28
"""A port-unreachable message contains at least this much of the datagram that caused it: the IP and UDP headers."""

LAN = (0.0002, 0.0005)
"""Latency within a data centre, seconds: uniform between these."""


class End(Protocol):
    """One end of a link."""

    number: int
    zone: str


Rule = Callable[[End, End], float]
Hole = Callable[[End, End], int]
"""The largest datagram (UDP payload, bytes) that the path from a sender to a receiver carries. Larger ones are dropped
silently."""
Latency = Callable[[End, End, random.Random], float]


def lost_by(rules: Mapping[str, Rule], sender: End, receiver: End, rng: random.Random) -> bool:
    """Draw whether one of these rules loses what this sender sends to this receiver now."""
    return any((chance := rule(sender, receiver)) and (chance >= 1 or rng.random() < chance) for rule in rules.values())


def by_region(matrix: dict[tuple[str, str], float], jitter: float = 0.1) -> Latency:
    """Return a function that gives the latency between two zones, one way, in seconds. `matrix` names each pair of
    zones once, in any order; a pair that is missing has the latency of `LAN`. A datagram takes up to `jitter` (a share
    of the latency) longer."""

    def latency(sender: End, receiver: End, rng: random.Random) -> float:
        base = matrix.get((sender.zone, receiver.zone)) or matrix.get((receiver.zone, sender.zone))
        if base is None:
            return LAN[0] + rng.random() * (LAN[1] - LAN[0])
        return base * (1 + rng.random() * jitter)

    return latency


WAN = {("us", "eu"): 0.045, ("us", "ap"): 0.075, ("eu", "ap"): 0.120}
"""Typical one-way latencies between regions, seconds."""


@dataclass(slots=True)
class Link:
    """A line of limited bandwidth from each member to the network."""

    bytes_s: float
    queue_bytes: int
    """A datagram that finds more bytes in the queue is dropped (drop-tail)."""
    free_at: dict[int, float] = field(default_factory=dict)
    """The time at which each member's line is free again."""

    def delay(self, sender: int, size: int, now: float) -> float | None:
        """Return the seconds until the last byte is sent; None if the queue is full."""
        start = max(now, self.free_at.get(sender, 0.0))
        if (start - now) * self.bytes_s > self.queue_bytes:
            return None
        self.free_at[sender] = start + size / self.bytes_s
        return self.free_at[sender] - now


class Network:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.low_s, self.high_s = LAN
        """Uniform latency between these, unless `latency` is set."""
        self.latency: Latency | None = None
        self.loss = 0.0
        self.duplication = 0.0
        self.reorder = 0.0
        """The share of datagrams that take up to `reorder_s` longer."""
        self.reorder_s = 0.01
        self.mtu = 65_535
        """A larger IP packet is dropped; there is no fragmentation."""
        self.link: Link | None = None
        self.rules: dict[str, Rule] = {}
        """By name, so that the end of a fault removes its own rule."""
        self.holes: dict[str, Hole] = {}
        """By name, so that the end of a fault removes its own hole."""
        self.lost = 0

    @property
    def plain(self) -> bool:
        """Whether the network does nothing but delay datagrams uniformly: the fast path."""
        rules = self.rules or self.holes
        return not (self.loss or self.duplication or self.reorder or rules or self.latency or self.link) and (
            self.mtu >= 65_535
        )

    def delay_s(self) -> float:
        """Draw the latency of one datagram on a plain network."""
        return self.low_s + self._rng.random() * (self.high_s - self.low_s)

    def carry(self, sender: End, receiver: End, size: int, now: float) -> list[float]:
        """Return the delays (seconds) after which the copies of a datagram arrive; empty if it is lost. `size`: bytes
        of UDP payload."""
        rng = self._rng
        if size + IP_BYTES > self.mtu or any(size > hole(sender, receiver) for hole in self.holes.values()):
            self.lost += 1
            return []
        queued = 0.0
        if self.link is not None:
            waited = self.link.delay(sender.number, size + FRAME_BYTES, now)
            if waited is None:
                self.lost += 1
                return []
            queued = waited
        if not self.passes(sender, receiver, rng):
            self.lost += 1
            return []
        copies = 2 if self.duplication and rng.random() < self.duplication else 1
        return [queued + self._one(sender, receiver) for _ in range(copies)]

    def passes(self, sender: End, receiver: End, rng: random.Random) -> bool:
        """Draw whether the network carries what one end sends to another now: random loss, and the rules."""
        if self.loss and rng.random() < self.loss:
            return False
        return not (self.rules and lost_by(self.rules, sender, receiver, rng))

    def latency_s(self, sender: End, receiver: End, rng: random.Random) -> float:
        """Draw the latency of one packet, seconds."""
        if self.latency is None:
            return self.low_s + rng.random() * (self.high_s - self.low_s)
        return self.latency(sender, receiver, rng)

    def _one(self, sender: End, receiver: End) -> float:
        rng = self._rng
        delay = self.latency_s(sender, receiver, rng)
        if self.reorder and rng.random() < self.reorder:
            delay += rng.random() * self.reorder_s
        return delay


# -- rules -----------------------------------------------------------------------------------------------------------


def between(group: Callable[[End], object]) -> Rule:
    """Cut all links between members of different groups."""
    return lambda sender, receiver: 0.0 if group(sender) == group(receiver) else 1.0


def into(numbers: frozenset[int], chance: float = 1.0) -> Rule:
    """Lose what these members receive, with this probability; what they send arrives."""
    return lambda _, receiver: chance if receiver.number in numbers else 0.0


def out_of(numbers: frozenset[int], chance: float = 1.0) -> Rule:
    """Lose what these members send, with this probability."""
    return lambda sender, _: chance if sender.number in numbers else 0.0


def bridged(bridge: int, side: frozenset[int]) -> Rule:
    """Cut two sides from each other; only the bridge reaches both."""

    def rule(sender: End, receiver: End) -> float:
        if bridge in (sender.number, receiver.number):
            return 0.0
        return 0.0 if (sender.number in side) == (receiver.number in side) else 1.0

    return rule


# -- holes -----------------------------------------------------------------------------------------------------------

ANY_SIZE = 65_535


def hole_around(numbers: frozenset[int], most_bytes: int, way: str = "both") -> Hole:
    """Lose datagrams larger than `most_bytes` between these members and all others. `way`: only those `into` these
    members, only those `out_of` them, or `both`."""

    def hole(sender: End, receiver: End) -> int:
        inward, outward = receiver.number in numbers, sender.number in numbers
        if inward == outward or way == ("into" if outward else "out_of"):
            return ANY_SIZE
        return most_bytes

    return hole
