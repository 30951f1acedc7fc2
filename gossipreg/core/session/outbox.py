"""The outbox: pack the messages that one input sends into as few datagrams as possible.

Owns: the messages that wait for the end of the current input, the largest datagram for each address, and the budget of
bytes. Never knows: why a message is sent, or how the sizes were found (`path_mtu.py` sets them). The messages to one
address are packed together in their order, into datagrams of at most the size for that address.

The budget is a token bucket: `send_bytes_s` bytes are added each second, and it holds at most that many. Every datagram
draws on it. When it runs low, the classes of messages stop one after another: pages when only `page_reserve` of it is
left, deltas when only `delta_reserve` is left, claims when nothing is left. Probes, acks and refutations are always
sent. The sender of a throttled class asks `room` first. If there is none, a page is left out, and the member that lacks
it requests it again; a queued update waits.

At most three times the bytes that came from an address are sent to it until it is proven: `allow` opens an allowance
for one input, and datagrams beyond it are not sent.
"""

from collections.abc import Callable
from dataclasses import field
from enum import IntEnum
from typing import get_args

from gossipreg.config import Config
from gossipreg.core.effects import Send
from gossipreg.core.session.token_bucket import TokenBucket
from gossipreg.model import Address, BootId
from gossipreg.quick_dataclass import dataclass
from gossipreg.wire import codec
from gossipreg.wire.messages import Message, Padding, PingReq, Probe
from gossipreg.wire.seal import Sealer
from gossipreg.wire.sizes import PADDING_HEADER_BYTES

BASE_BYTES = 1200
"""The UDP payload that every path is assumed to carry until its size is measured (RFC 8899: BASE_PLPMTU). With its
headers it fits the smallest MTU of IPv6, 1,280, and the MTU that VPNs leave of 1,500. A fact of networks, not a
choice."""
FLOOR_BYTES = 576
"""The size that is used if not even the base arrives. The protocol guarantees that every message can be cut to it: see
"Sizes" in `wire/messages.py`."""

AMPLIFICATION = 3
"""At most this number of times the bytes that came from an unproven address are sent to it (RFC 9000, section 8.1). A
larger one would let forged source addresses turn members against others."""


class Class(IntEnum):
    """The classes of messages. When the budget runs low, the one with the highest number stops first."""

    PROBE = 0
    CLAIM = 1
    DELTA = 2
    PAGE = 3


_COUNTED_AS = {kind: kind.__name__ for kind in get_args(Message)} | {PingReq: "Ask"}
"""The name of each message in the counters `sent.` and `sent_bytes.`. Dashboards read them, so they do not change."""

OnSent = Callable[[int], None]
"""Called with the counter of the datagram that carries the message."""


@dataclass(slots=True)
class _Waiting:
    """The messages that wait for one address."""

    messages: list[tuple[bytes, OnSent | None]] = field(default_factory=list)
    size_bytes: int = 0


class DatagramOutbox:
    def __init__(self, config: Config, sealer: Sealer, now: float) -> None:
        self._sealer = sealer
        self._base = min(BASE_BYTES, config.datagram_bytes)
        self.small_bytes = min(FLOOR_BYTES, config.datagram_bytes) - sealer.overhead
        """The bytes of messages that fit the smallest datagram. Only larger datagrams can be too large for a path."""
        self._sizes: dict[Address | None, int] = {}
        """The largest datagram to an address, bytes, if it is not the base."""
        self._budget = TokenBucket(float(config.send_bytes_s), float(config.send_bytes_s), now)
        self._reserve_bytes = _reserves(config)
        """By class, the part of the budget that must be left for a message to be sent, bytes."""
        self._waiting: dict[Address, _Waiting] = {}
        self._waiting_bytes = 0
        self._last_encoded: tuple[Message | None, bytes] = None, b""
        """The message that was encoded last, and its bytes: an update goes to several members, one after the other."""
        self._size_probes: list[tuple[Address, bytes]] = []
        self._allowance: dict[Address, int] = {}
        """The bytes that may still be sent to an unproven address in this input."""
        self.throttled = 0
        """How often `room` was refused."""
        self.sent_kinds: dict[str, int] = {}
        """The messages sent, by name."""
        self.sent_kind_bytes: dict[str, int] = {}
        """The bytes of the messages themselves, before they are packed and sealed, by name."""
        self.sent_datagrams = 0
        self.sent_bytes = 0
        self.withheld = 0
        """Datagrams that were not sent, because their address was unproven and had used up its allowance."""

    def sealed(self, key_id: bytes, boot_id: BootId, counter: int) -> bool:
        """Whether these name a datagram that we have sent, with the key that we seal with now."""
        return self._sealer.names(key_id, boot_id) and 1 <= counter <= self._sealer.counter

    def limit(self, to: Address | None) -> int:
        """The largest encoded message that fits a datagram to this address, bytes; None: one of the base size."""
        return self._sizes.get(to, self._base) - self._sealer.overhead

    def set_size(self, to: Address, datagram_bytes: int | None) -> None:
        """Send datagrams of at most this size to `to` from now on; None means the base size."""
        if datagram_bytes is None or datagram_bytes == self._base:
            self._sizes.pop(to, None)
        else:
            self._sizes[to] = datagram_bytes

    def put(self, to: Address, message: Message, on_sent: OnSent | None = None) -> int:
        """Send `message` to `to` at the end of this input. Returns the bytes that wait for that address now."""
        body = self._encoded(message)
        waiting = self._waiting.get(to)
        if waiting is None:
            waiting = self._waiting[to] = _Waiting()
        waiting.messages.append((body, on_sent))
        waiting.size_bytes += len(body)
        self._waiting_bytes += len(body)
        return waiting.size_bytes

    def sends_to(self, to: Address | None) -> bool:
        """Whether any message waits for this address."""
        return to in self._waiting

    def put_alone(self, to: Address, probe: Probe, datagram_bytes: int = 0) -> None:
        """Send a probe at the end of this input in a datagram of its own, padded to `datagram_bytes` if it is
        smaller."""
        body = self._encoded(probe)
        filling = datagram_bytes - self._sealer.overhead - len(body) - PADDING_HEADER_BYTES
        if filling >= 0x80:  # below this its length takes one byte less; no size probe is so small
            body += self._encoded(Padding(filling))
        self._size_probes.append((to, body))
        self._waiting_bytes += len(body)

    def _encoded(self, message: Message) -> bytes:
        name = _COUNTED_AS[type(message)]
        self.sent_kinds[name] = self.sent_kinds.get(name, 0) + 1
        last, body = self._last_encoded
        if message is not last:
            body = codec.encode(message)
            self._last_encoded = message, body
        self.sent_kind_bytes[name] = self.sent_kind_bytes.get(name, 0) + len(body)
        return body

    def allow(self, source: Address, received_bytes: int) -> None:
        """Allow three times `received_bytes` more to be sent to this unproven address in this input."""
        self._allowance[source] = self._allowance.get(source, 0) + AMPLIFICATION * received_bytes

    def proven(self, source: Address) -> None:
        """End the allowance of this address, since it is proven now."""
        self._allowance.pop(source, None)

    def room(self, klass: Class, now: float) -> bool:
        """Whether the budget leaves room for a message of this class, after all messages that wait already."""
        if self._budget.left(now) - self._waiting_bytes > self._reserve_bytes[klass]:
            return True
        self.throttled += 1
        return False

    def flush(self, now: float) -> list[Send]:
        """Seal all that waits into datagrams, at the end of the input."""
        if not self._waiting and not self._size_probes:
            self._allowance.clear()
            return []
        sends: list[Send] = []
        overhead, sent_bytes = self._sealer.overhead, 0
        for to, body, callbacks in self._datagrams():
            size = len(body) + overhead
            allowance = self._allowance.get(to)
            if allowance is not None:
                if size > allowance:
                    self.withheld += 1
                    continue
                self._allowance[to] = allowance - size
            sends.append(Send(self._sealer.seal(body), to))
            sent_bytes += size
            for on_sent in callbacks:
                on_sent(self._sealer.counter)
        self._budget.spend(sent_bytes, now)
        self.sent_bytes += sent_bytes
        self.sent_datagrams += len(sends)
        self._waiting.clear()
        self._size_probes.clear()
        self._waiting_bytes = 0
        self._allowance.clear()
        return sends

    def _datagrams(self) -> list[tuple[Address, bytes, list[OnSent]]]:
        datagrams: list[tuple[Address, bytes, list[OnSent]]] = []
        for to, waiting in self._waiting.items():
            if len(waiting.messages) == 1:  # nearly always
                body, on_sent = waiting.messages[0]
                datagrams.append((to, body, [] if on_sent is None else [on_sent]))
            else:
                datagrams += [(to, *packed) for packed in _packed(waiting.messages, self.limit(to))]
        datagrams += [(to, body, []) for to, body in self._size_probes]
        return datagrams


def _reserves(config: Config) -> dict[Class, float]:
    shares = {Class.PROBE: float("-inf"), Class.CLAIM: 0.0}
    shares |= {Class.DELTA: config.session.delta_reserve, Class.PAGE: config.session.page_reserve}
    return {klass: share * config.send_bytes_s for klass, share in shares.items()}


def _packed(messages: list[tuple[bytes, OnSent | None]], limit_bytes: int) -> list[tuple[bytes, list[OnSent]]]:
    """Pack these messages, in their order, into the bodies of as few datagrams as possible."""
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
