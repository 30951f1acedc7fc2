"""Invariant: at one process one handler runs for each group and key, and no subscription has more than its window."""

from gossipreg.events.cloud_event import event_head
from gossipreg.events.effects import HandleEvent
from simulations.checkers.events.checker import EventChecker
from simulations.checkers.events.event_ledger import LedgerDelivery
from simulations.eventing.process import EventProcess
from simulations.eventing.subscriber import Subscriber


class OneHandler(EventChecker):
    """A handling lasts from when a program gets the event until the sidecar takes its answer, or its time is over. No
    two of one (group, key) or of one delivery are at one process, and no more at one subscription than its window."""

    name = "one_handler"

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # those of every checker
        self._running: dict[EventProcess, dict[int, tuple[HandleEvent, str, Subscriber]]] = {}

    def on_end(self, process: EventProcess) -> None:
        self._running.pop(process, None)

    def on_handle(self, process: EventProcess, subscriber: Subscriber, handed: HandleEvent) -> None:
        if not handed.group:
            return
        running = self._running.setdefault(process, {})
        key = event_head(handed.event).key
        at = f"at {process.host.name} an instance of {handed.group} gets event {handed.index}"
        for other, other_key, _ in running.values():
            if key and (other.group, other_key) == (handed.group, key):
                self.fail(f"{at} of key {key}, while {other.index} of it is handled there", process.host)
            if _delivery(other) == _delivery(handed):
                self.fail(f"{at}, which is handled there already", process.host)
        running[handed.number] = handed, key, subscriber
        of_it = sum(one is subscriber for _, _, one in running.values())
        if of_it > subscriber.window:
            self.fail(f"{at}: it has {of_it} now, and a window of {subscriber.window}", process.host)

    def on_over(self, process: EventProcess, subscriber: Subscriber, number: int) -> None:  # noqa: ARG002
        self._running.get(process, {}).pop(number, None)


def _delivery(handed: HandleEvent) -> LedgerDelivery:
    return handed.journal, handed.group, handed.index
