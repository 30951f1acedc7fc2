"""The subscriptions of this process: forks, and the end of the program.

Owns: the list. Never knows: what a subscription does.

A subscription belongs to the process that made it: a forked child closes its copies of the descriptors, and goes on
without it. At the end of the program handlers that run get EXIT_S to end, so that what they did is acknowledged; what
they miss is delivered again.
"""

import atexit
import os
import threading
from time import monotonic

from gossipreg.client.events.pump import FINISH_S, SubscriptionPump
from gossipreg.client.log import log_warning

EXIT_S = 5.0


class RunningSubscriptions:
    def __init__(self) -> None:
        self._pumps: dict[SubscriptionPump, None] = {}

    def begin(self, pump: SubscriptionPump) -> None:
        """Start it."""
        for old in list(self._pumps):
            if old.is_over:
                self._pumps.pop(old, None)
        self._pumps[pump] = None
        pump.start()

    def after_in_child(self) -> None:
        pumps, self._pumps = self._pumps, {}
        for pump in pumps:
            pump.forget()

    def at_exit(self) -> None:
        until = monotonic() + EXIT_S
        pumps = [pump for pump in list(self._pumps) if pump.is_alive() and pump is not threading.current_thread()]
        for pump in pumps:
            pump.begin_end(until if pump.has_handler and not pump.in_loop else monotonic())
        for pump in pumps:
            pump.join(max(0.0, until + FINISH_S - monotonic()))
            if pump.has_handler and (running := pump.running):
                log_warning(
                    f"{running} handlers of {pump.settings.name} did not end within {EXIT_S:g} s of the end of the "
                    "program: their events are delivered again"
                )


RUNNING = RunningSubscriptions()
"""Those of this process."""

atexit.register(RUNNING.at_exit)
os.register_at_fork(after_in_child=RUNNING.after_in_child)
