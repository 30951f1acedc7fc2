"""The events that were handled here last: for whoever asks what followed from what.

Owns: the last HANDLED_MOST of them, in memory alone. Never knows: what was published and not handled, or what other
sidecars handled; `gossipreg events trace` asks all of them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from gossipreg.events.cloud_event import CAUSATION, CORRELATION, decode_event
from gossipreg.events.effects import HandleEvent
from gossipreg.events.messages import DeliveryResult

HANDLED_MOST = 10_000
RUNNING_MOST = 65_536
ANSWER_MOST = 500
"""Of one answer; more are counted."""


@dataclass(frozen=True, slots=True)
class _Handled:
    id: str
    source: str
    type: str
    correlation: str
    causation: str
    group: str
    attempt: int
    result: str
    seconds: float
    at: float


class HandledEvents:
    def __init__(self) -> None:
        self._running: OrderedDict[int, tuple[HandleEvent, float]] = OrderedDict()
        self._handled: OrderedDict[int, _Handled] = OrderedDict()

    def begin(self, effect: HandleEvent, now: float) -> None:
        """It is handed to a subscription here."""
        if effect.number:
            self._running[effect.number] = effect, now
            if len(self._running) > RUNNING_MOST:
                self._running.popitem(last=False)

    def drop(self, number: int) -> None:
        """It was given back: it is handled elsewhere."""
        self._running.pop(number, None)

    def done(self, number: int, result: DeliveryResult, now: float) -> None:
        found = self._running.pop(number, None)
        if found is None:
            return
        effect, began = found
        event = decode_event(effect.event)
        self._handled[number] = _Handled(
            event.id, event.source, event.type, event.extensions.get(CORRELATION, event.id),
            event.extensions.get(CAUSATION, ""), effect.group, effect.attempt, result.name.lower(), now - began, now,
        )  # fmt: skip
        if len(self._handled) > HANDLED_MOST:
            self._handled.popitem(last=False)

    def of(self, correlation: str, now: float) -> dict[str, Any]:
        """{"handled": [...], "left_out"}: those of one correlation, the oldest first."""
        found = [one for one in self._handled.values() if one.correlation == correlation]
        shown = found[-ANSWER_MOST:]
        return {
            "handled": [
                {
                    "id": one.id, "source": one.source, "type": one.type, "causation": one.causation,
                    "group": one.group, "attempt": one.attempt, "result": one.result, "seconds": one.seconds,
                    "ago_s": now - one.at,
                }
                for one in shown
            ],
            "left_out": len(found) - len(shown),
        }  # fmt: skip
