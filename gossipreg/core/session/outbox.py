"""The outbox: what one input makes us say, packed into as few datagrams as it needs.

Owns: the messages that wait for the end of the current input, the largest datagram for each address, and the budget of
bytes. Never knows: why a message is sent, or how the sizes were found (`path_mtu.py` sets them). Each message goes
to an address; those for one address are packed together, in order, none above the limit of that address.

Sending is classed. The budget is a token bucket of `send_bytes_s`, a second deep; everything sent draws on it, and it
throttles from the bottom up: pages stop when half of it is gone, deltas when three quarters are, claims when all is.
Probes, acks and refutations are never throttled. Whoever is throttled asks `room` first and waits or leaves it: pages
are asked for again by those who miss them, rumours stay gathered until there is room.

An address that has proven nothing may get at most three times the bytes that came from it: `allow` opens an allowance
for one input, and only what fits is sent to such an address.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import get_args

from gossipreg.config import Config
from gossipreg.core.effects import Send
from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.model import Address, BootId
from gossipreg.wire import codec
from gossipreg.wire.messages import Message, Padding, PingReq, Probe
from gossipreg.wire.seal import Sealer
from gossipreg.wire.sizes import PADDING_HEADER_BYTES

BASE_BYTES = 1200
"""The UDP payload that every path is assumed to carry until something else is measured (RFC 8899's BASE_PLPMTU). With
its headers it fits the smallest IPv6 MTU, 1,280, and what VPNs leave of 1,500."""
FLOOR_BYTES = 576
"""The size in use if not even the base arrives. Every message can be cut to it: see "Sizes" in `wire/messages.py`."""

AMPLIFICATION = 3
"""At most so many times the bytes that came from an unproven address are sent to it."""


class Class(IntEnum):
    """What gives way first, from the last to the first."""

    PROBE = 0
    CLAIM = 1
    DELTA = 2
    PAGE = 3


_RESERVE = {Class.PROBE: float("-inf"), Class.CLAIM: 0.0, Class.DELTA: 0.25, Class.PAGE: 0.5}
"""The part of the bucket that must be left for a class to send."""

_COUNTED_AS = {kind: kind.__name__ for kind in get_args(Message)} | {PingReq: "Ask"}
"""The name of each message in the counters `sent.` and `sent_bytes.`. Dashboards read them, so they do not change."""

OnSent = Callable[[int], None]
"""Called with the counter of the datagram that carries the message."""


@dataclass(slots=True)
class _Waiting:
    """The messages that wait for one address."""

    messages: list[tuple[bytes, OnSent | None]] = field(default_factory=list)
    size_bytes: int = 0


class Outbox:
    def __init__(self, config: Config, sealer: Sealer, now: float) -> None:
        self._sealer = sealer
        self._base = min(BASE_BYTES, config.datagram_bytes)
        self.small_bytes = min(FLOOR_BYTES, config.datagram_bytes) - sealer.overhead
        """The bytes that the smallest datagram carries. Only larger ones can be too large for a path."""
        self._sizes: dict[Address, int] = {}
        """The largest datagram, for each address that has another one than the base."""
        self._budget = TokenBucket(float(config.send_bytes_s), float(config.send_bytes_s), now)
        self._waiting: dict[Address, _Waiting] = {}
        self._waiting_bytes = 0
        self._size_probes: list[tuple[Address, bytes]] = []
        self._allowance: dict[Address, int] = {}
        self.throttled = 0
        """How often a class was refused room."""
        self.sent_kinds: dict[str, int] = {}
        self.sent_kind_bytes: dict[str, int] = {}
        """Of the messages themselves, before they are packed and sealed."""
        self.sent_datagrams = 0
        self.sent_bytes = 0
        self.withheld = 0
        """Datagrams not sent to an address that had proven nothing."""

    def sealed(self, key_id: bytes, boot_id: BootId, counter: int) -> bool:
        """Whether these name a datagram that we have sent, with the key that we seal with now."""
        return self._sealer.names(key_id, boot_id) and 1 <= counter <= self._sealer.counter

    @property
    def message_limit(self) -> int:
        """The largest encoded message that fits a datagram to anybody, bytes."""
        return self._base - self._sealer.overhead

    def limit(self, to: Address) -> int:
        """The largest encoded message that fits a datagram to this address, bytes."""
        return self._sizes.get(to, self._base) - self._sealer.overhead

    def set_size(self, to: Address, datagram_bytes: int | None) -> None:
        """Send datagrams of at most this size to `to` from now on; None means the base size."""
        if datagram_bytes is None or datagram_bytes == self._base:
            self._sizes.pop(to, None)
        else:
            self._sizes[to] = datagram_bytes

    def put(self, to: Address, message: Message, on_sent: OnSent | None = None) -> int:
        """Send `message` to `to` at the end of this input. Returns how many bytes wait for that address now."""
        body = self._encoded(message)
        waiting = self._waiting.get(to)
        if waiting is None:
            waiting = self._waiting[to] = _Waiting()
        waiting.messages.append((body, on_sent))
        waiting.size_bytes += len(body)
        self._waiting_bytes += len(body)
        return waiting.size_bytes

    def put_alone(self, to: Address, probe: Probe, datagram_bytes: int = 0) -> None:
        """Send a probe at the end of this input in a datagram of its own, padded to `datagram_bytes` if it is
        smaller."""
        body = self._encoded(probe)
        filling = datagram_bytes - self._sealer.overhead - len(body) - PADDING_HEADER_BYTES
        if filling >= 0x80:  # below this a length takes one byte; no size probe is so small
            body += self._encoded(Padding(filling))
        self._size_probes.append((to, body))
        self._waiting_bytes += len(body)

    def _encoded(self, message: Message) -> bytes:
        name = _COUNTED_AS[type(message)]
        self.sent_kinds[name] = self.sent_kinds.get(name, 0) + 1
        body = codec.encode(message)
        self.sent_kind_bytes[name] = self.sent_kind_bytes.get(name, 0) + len(body)
        return body

    def allow(self, source: Address, received_bytes: int) -> None:
        """`source` has proven nothing and sent so much: in this input it gets at most three times that."""
        self._allowance[source] = AMPLIFICATION * received_bytes

    def proven(self, source: Address) -> None:
        self._allowance.pop(source, None)

    def room(self, klass: Class, now: float) -> bool:
        """Whether a message of this class may be sent now, after all that waits already."""
        if self._budget.left(now) - self._waiting_bytes > _RESERVE[klass] * self._budget.depth:
            return True
        self.throttled += 1
        return False

    def flush(self, now: float) -> list[Send]:
        """End of the input: everything that waits, as sealed datagrams."""
        if not self._waiting and not self._size_probes:
            self._allowance.clear()
            return []
        sends: list[Send] = []
        for to, body, callbacks in self._datagrams():
            size = len(body) + self._sealer.overhead
            allowance = self._allowance.get(to)
            if allowance is not None:
                if size > allowance:
                    self.withheld += 1
                    continue
                self._allowance[to] = allowance - size
            sends.append(Send(self._sealer.seal(body), to))
            self.sent_bytes += size
            self._budget.spend(size, now)
            for on_sent in callbacks:
                on_sent(self._sealer.counter)
        self.sent_datagrams += len(sends)
        self._waiting.clear()
        self._size_probes.clear()
        self._waiting_bytes = 0
        self._allowance.clear()
        return sends

    def _datagrams(self) -> Iterator[tuple[Address, bytes, list[OnSent]]]:
        for to, waiting in self._waiting.items():
            for body, callbacks in _packed(waiting.messages, self.limit(to)):
                yield to, body, callbacks
        for to, body in self._size_probes:
            yield to, body, []


def _packed(messages: list[tuple[bytes, OnSent | None]], limit_bytes: int) -> list[tuple[bytes, list[OnSent]]]:
    """Pack these messages, in their order, into the bodies of as few datagrams as possible."""
    if len(messages) == 1:  # nearly always
        body, on_sent = messages[0]
        return [(body, [] if on_sent is None else [on_sent])]
    packed: list[tuple[bytes, list[OnSent]]] = []
    parts: list[bytes] = []
    callbacks: list[OnSent] = []
    size = 0
    for body, on_sent in messages:
        if parts and size + len(body) > limit_bytes:
            packed.append((b"".join(parts), callbacks))
            parts, callbacks, size = [], [], 0
        parts.append(body)
        size += len(body)
        if on_sent is not None:
            callbacks.append(on_sent)
    packed.append((b"".join(parts), callbacks))
    return packed
