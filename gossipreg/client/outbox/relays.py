"""The relays of this process: which to wake for a table; forks and the end of the program.

Owns: the list. Never knows: what a relay does.

A fork waits until each relay has finished the event that it is sending, for at most 5 s, so that the child inherits
neither a lock of the program's database library nor half an exchange. In the parent the relays go on. In the child
they are asleep until it calls `wake` or `start`: most children have other work, and the parent's relay sends what they
write.
"""

import atexit
import os
import threading
from time import monotonic
from typing import Protocol

from gossipreg.client.outbox.tables import TableName

FORK_S = 5.0
EXIT_S = 5.0
"""How long the end of the program waits for the relays. An event whose answer they miss is sent again at the next
start, under the same id."""


class ForkableRelay(Protocol):
    @property
    def table(self) -> TableName: ...

    def wake(self) -> None: ...

    def rest(self, until: float) -> bool:
        """Wait until no pass runs, at most until then (`monotonic`), and let none begin. Returns whether it rests."""
        ...

    def go_on(self) -> None:
        """End a rest."""
        ...

    def forget(self) -> None:
        """This is a forked child: nothing of the thread is here."""
        ...

    def end(self) -> None:
        """Begin to end."""
        ...

    def join(self, timeout_s: float) -> None: ...


class ProcessRelays:
    def __init__(self) -> None:
        self._relays: dict[ForkableRelay, None] = {}
        """Started and not closed."""
        self._resting: dict[int, list[ForkableRelay]] = {}
        """By the thread that forks."""

    @property
    def forking(self) -> bool:
        """Whether a thread wants to fork: a pass ends after the event that it is sending."""
        return bool(self._resting)

    @property
    def started(self) -> int:
        """How many relays are started and not closed."""
        return len(self._relays)

    def add(self, relay: ForkableRelay) -> None:
        self._relays[relay] = None

    def remove(self, relay: ForkableRelay) -> None:
        self._relays.pop(relay, None)

    def wake(self, table: TableName) -> None:
        for relay in list(self._relays):
            if relay.table == table:
                relay.wake()

    def before_fork(self) -> None:
        resting = self._resting[threading.get_ident()] = []
        until = monotonic() + FORK_S
        resting += [relay for relay in list(self._relays) if relay.rest(until)]

    def after_in_parent(self) -> None:
        for relay in self._resting.pop(threading.get_ident(), ()):
            relay.go_on()

    def after_in_child(self) -> None:
        self._resting = {}
        for relay in self._relays:
            relay.forget()

    def at_exit(self) -> None:
        relays, until = list(self._relays), monotonic() + EXIT_S
        for relay in relays:
            relay.end()
        for relay in relays:
            relay.join(max(0.0, until - monotonic()))


RELAYS = ProcessRelays()
"""Those of this process."""

atexit.register(RELAYS.at_exit)
os.register_at_fork(
    before=RELAYS.before_fork, after_in_parent=RELAYS.after_in_parent, after_in_child=RELAYS.after_in_child
)
