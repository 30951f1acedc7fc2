"""Invariants: events at rest send nothing, have no timer and keep nothing; and nothing grows without a bound."""

from math import inf

from gossipreg.events.machine import EventsMachine
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess


class EventSilence(EventChecker):
    """Once everything was handled, and dead letters were dropped, no timer is set and none fires."""

    name = "event_silence"
    _before = 0

    def begin(self) -> None:
        self._before = self._wakes()

    def at_rest(self) -> None:
        for process in self.eventing.running():
            due = process.events.next_deadline()
            if due != inf:
                what = f"the events of {process.host.name} have a timer at rest, due in {due - process.now:.1f} s"
                self.fail(what, process.host)
        if fired := self._wakes() - self._before:
            self.fail(f"at rest {fired} timers of events have fired")

    def _wakes(self) -> int:
        return sum(process.wakes for process in self.eventing.processes.values())


class EventsBounded(EventChecker):
    """A sidecar has no more in hand than the windows of its subscriptions; at rest it has nothing in hand, and a
    journal whose events were handled has none."""

    name = "events_bounded"

    def after(self, process: EventProcess) -> None:
        has = process.events.receiving.statistics()
        ended = has["subscriptions"] > len(process.subscribers)  # their handlers run on
        most = sum(one.window for one in process.subscribers.values() if one.group)
        if not ended and has["handlings"] > most:
            self.fail(f"{process.host.name} has {has['handlings']} events in hand, and windows of {most}", process.host)

    def at_rest(self) -> None:
        for process in self.eventing.running():
            has = process.events.receiving.statistics()
            left = {name: has[name] for name in ("handlings", "handlings_bytes") if has[name]}
            left |= {"publishes": len(process.events.publishing)} if len(process.events.publishing) else {}
            for journal, led in process.events.led.items():
                left |= {"acts": led.dispatch.acting} if led.dispatch.acting else {}
                left |= {"payload bytes": led.dispatch.cached_bytes} if led.dispatch.cached_bytes else {}
                self._check_machine(process, led.machine, journal.hex()[:8])
            if left:
                named = ", ".join(f"{name} {count}" for name, count in left.items())
                self.fail(f"at rest {process.host.name} has {named}", process.host)

    def _check_machine(self, process: EventProcess, machine: EventsMachine, journal: str) -> None:
        waits = [index for index, event in machine.events.items() if event.waiting]
        if waits:
            self.fail(f"event {waits[0]} of journal {journal} waits at {process.host.name} at rest", process.host)
        if machine.size_bytes and not machine.dead and not machine.has_kept:
            self.fail(f"journal {journal} has {machine.size_bytes} bytes of events at rest", process.host)
