"""The events that came over one connection and are not settled: handled now, or waiting for a thread.

Owns: when the sidecar has to be told that they are still ours: a third of `ack_timeout` after the last time. Never
knows: threads, connections, clocks.
"""

from collections.abc import Iterator
from math import inf

from gossipreg.client.events.event import HandledEvent
from gossipreg.client.events.settling import Request

RENEWED_AT_ONCE = 1024
"""Deliveries that one request renews."""


class HeldEvents:
    def __init__(self, ack_timeout_s: float) -> None:
        self._every_s = ack_timeout_s / 3
        self._held: dict[int, HandledEvent] = {}
        self._renew_at = inf

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[HandledEvent]:
        return iter(list(self._held.values()))

    def add(self, event: HandledEvent, now: float) -> None:
        if not self._held:
            self._renew_at = now + self._every_s
        self._held[event.delivery] = event

    def pop(self, delivery: int) -> HandledEvent | None:
        """Take it out; None: it is not here."""
        event = self._held.pop(delivery, None)
        if not self._held:
            self._renew_at = inf
        return event

    @property
    def due(self) -> float:
        """When `renewals` has something to say; infinity: never."""
        return self._renew_at

    def renewals(self, now: float) -> list[Request]:
        if now < self._renew_at:
            return []
        self._renew_at = now + self._every_s
        numbers = list(self._held)
        return [
            ("renew", {"delivery": numbers[first : first + RENEWED_AT_ONCE]})
            for first in range(0, len(numbers), RENEWED_AT_ONCE)
        ]
