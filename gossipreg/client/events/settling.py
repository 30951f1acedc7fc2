"""What was said of events, gathered into as few requests as possible.

Owns: acknowledgements that wait for others. Never knows: threads, connections, clocks.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

GATHER_S = 0.001
GATHER_MAX = 64
"""Acknowledgements go out together once there are so many, or this long after the first, or when no other can come."""
RETURNED_AT_ONCE = 1024
"""Deliveries that one request gives back."""

Request = tuple[str, dict[str, Any]]
"""A method of the local socket and its parameters."""


class Settlement(NamedTuple):
    """What is to become of an event."""

    method: str
    """ack, reject or retry"""
    reason: str = ""
    after_s: float | None = None


ACK = Settlement("ack")


class GatheredAcks:
    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, delivery: int, now: float) -> None:
        if not self._numbers:
            self._since = now
        self._numbers.append(delivery)

    @property
    def due(self) -> float:
        """When they have to go out; infinity: there are none."""
        return self._since + GATHER_S if self._numbers else float("inf")

    def take(self, now: float, *, more_may_come: bool) -> list[Request]:
        """The requests that are due."""
        ready = len(self._numbers) >= GATHER_MAX or now >= self.due or (self._numbers and not more_may_come)
        if not ready:
            return []
        numbers, self._numbers = self._numbers, []
        return [
            ("ack", {"delivery": numbers[first : first + GATHER_MAX]}) for first in range(0, len(numbers), GATHER_MAX)
        ]


def returns(deliveries: Sequence[int]) -> list[Request]:
    """The requests that give these back: nobody here has begun to handle them."""
    return [
        ("give_back", {"delivery": list(deliveries[first : first + RETURNED_AT_ONCE])})
        for first in range(0, len(deliveries), RETURNED_AT_ONCE)
    ]


def refusal(delivery: int, settlement: Settlement) -> Request:
    """The request of a settlement that is no acknowledgement."""
    params: dict[str, Any] = {"delivery": delivery}
    if settlement.reason:
        params["reason"] = settlement.reason
    if settlement.after_s is not None:
        params["after"] = settlement.after_s
    return settlement.method, params
