"""One event of a key after the other, in this process.

The sidecar sees to that, as long as it knows what runs here. After it was started again it does not: it may deliver an
event, or the next one of its key, while a handler still works on what came over the connection before. Then the new
delivery waits here. If it is the same event and its handler acknowledges, the new delivery is acknowledged too.

Owns: which events run, by key, and which wait for them. Never knows: threads, connections.
"""

from collections import deque

from gossipreg.client.events.event import HandledEvent

TurnKey = tuple[str, str] | tuple[str, int]


class KeyTurns:
    def __init__(self) -> None:
        self._running: dict[TurnKey, HandledEvent] = {}
        self._waiting: dict[TurnKey, deque[HandledEvent]] = {}

    def begins(self, event: HandledEvent) -> bool:
        """Whether it may be handled now. If not, a later `ended` returns it."""
        if not event.delivery:
            return True  # broadcast: nothing is said of its order
        key = _turn_key(event)
        if key in self._running:
            self._waiting.setdefault(key, deque()).append(event)
            return False
        self._running[key] = event
        return True

    def ended(self, event: HandledEvent, *, acked: bool) -> tuple[HandledEvent | None, list[HandledEvent]]:
        """This event is settled. Returns the one that may begin now, and deliveries of the same event that its
        acknowledgement settles too."""
        key = _turn_key(event)
        if self._running.get(key) is not event:
            self.gone(event)
            return None, []
        del self._running[key]
        waiting = self._waiting.pop(key, deque())
        same = [one for one in waiting if acked and _is_same(one, event)]
        left = deque(one for one in waiting if one not in same)
        if not left:
            return None, same
        following = self._running[key] = left.popleft()
        if left:
            self._waiting[key] = left
        return following, same

    def gone(self, event: HandledEvent) -> None:
        """An event that waits is not ours any more."""
        key = _turn_key(event)
        waiting = self._waiting.get(key)
        if waiting is not None and event in waiting:
            waiting.remove(event)
            if not waiting:
                del self._waiting[key]


def _turn_key(event: HandledEvent) -> TurnKey:
    return ("", event.key) if event.key else (event.journal, event.index)


def _is_same(one: HandledEvent, other: HandledEvent) -> bool:
    return (one.journal, one.index) == (other.journal, other.index)
