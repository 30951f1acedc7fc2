"""A bench that is stopped leaves nothing behind: Ctrl-C, SIGTERM and SIGHUP become one exception.

Owns when that is raised: never between the start of a process and the note of it, and only once, so that the clean-up
which it sets off runs to its end.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(BaseException):
    """Like KeyboardInterrupt: only the main program catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Stop:
    """One for the process; made in the main thread."""

    def __init__(self) -> None:
        self._held = 0
        self._pending = 0
        self._raised = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, a job in the background of a script
                signal.signal(number, self._came)

    def _came(self, number: int, _frame: FrameType | None) -> None:
        self._pending = self._pending or number
        self._raise()

    def _raise(self) -> None:
        if self._pending and not self._held and not self._raised:
            self._raised = True
            raise Stopped(self._pending)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that comes inside is obeyed at the end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        self._raise()
