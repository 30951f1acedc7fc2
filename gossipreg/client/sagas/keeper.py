"""Looks after the connections of sagas whose program is busy with something else.

Owns: one thread of the process, while sagas are open. Never knows: steps. A sidecar that restarts ends all connections,
and undoes the sagas of programs that it does not hear within 10 s. A program in the middle of a long computation would
miss that, so this thread looks once a second, connects again, and says that the saga's program is there.
"""

import os
import threading
from contextlib import suppress
from time import monotonic

from gossipreg.client.sagas.saga_lines import SagaLines
from gossipreg.errors import GossipregError

LOOK_S = 1.0
LINGER_LOOKS = 10
"""The thread stays for so many looks without a saga: sagas often come one after the other."""
SHOWN_S = 1.0
JOIN_S = 2.0


class SagaKeeper:
    def __init__(self) -> None:
        self._sagas: dict[SagaLines, str] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def keep(self, lines: SagaLines, saga: str) -> None:
        """Look after these from now on, which are the program of this saga."""
        self._sagas[lines] = saga
        if self._thread is None:
            with self._lock, suppress(RuntimeError):  # at the end of the program no thread begins
                if self._thread is None:
                    self._stop = threading.Event()
                    thread = threading.Thread(target=self._run, args=(self._stop,), name="gossipreg sagas", daemon=True)
                    thread.start()
                    self._thread = thread

    def forget(self, lines: SagaLines) -> None:
        self._sagas.pop(lines, None)

    def look(self) -> None:
        """Connect again where a connection has ended."""
        for lines, saga in list(self._sagas.items()):
            if lines in self._sagas and lines.is_cut():
                with suppress(GossipregError):
                    _speak(lines, saga)

    def _run(self, stop: threading.Event) -> None:
        idle = 0
        while not stop.wait(LOOK_S):
            self.look()
            idle = 0 if self._sagas else idle + 1
            if idle > LINGER_LOOKS:
                with self._lock:
                    if not self._sagas and self._thread is threading.current_thread():
                        self._thread = None
                        return

    def before_fork(self) -> None:
        """A fork of a process with threads is warned of: the next word of a saga starts it again."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._stop.set()
            thread.join(JOIN_S)
            self._thread = None

    def after_in_child(self) -> None:
        self._sagas = {}
        self._lock = threading.RLock()
        self._thread = None


def _speak(lines: SagaLines, saga: str) -> None:
    deadline = monotonic() + SHOWN_S
    loan = lines.take(deadline)
    try:
        loan.stream.call("saga-show", {"saga": saga, "program": True}, deadline, SHOWN_S)
    finally:
        lines.give(loan)


KEEPER = SagaKeeper()
"""Of this process."""

os.register_at_fork(before=KEEPER.before_fork, after_in_child=KEEPER.after_in_child)
