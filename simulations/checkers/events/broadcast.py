"""Invariant: what is broadcast comes to a program at most once."""

from collections import Counter

from gossipreg.events.effects import HandleEvent
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class BroadcastOnce(EventChecker):
    """An event that nobody waits for goes out once, when it is committed: no process gets it twice. (It may not come at
    all: best effort.)"""

    name = "broadcast_once"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._got: Counter[tuple[str, int, bytes, int]] = Counter()
        self.count = 0

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:  # noqa: ARG002
        if handed.group:
            return
        self.count += 1
        of = process.host.name, handed.subscription, handed.journal, handed.index
        self._got[of] += 1
        if self._got[of] > 1:
            self.fail(f"{process.host.name} gets the broadcast event {handed.index} twice", process.host)
