"""A pipe that wakes a thread which waits in `poll`. Any thread rings; a ring that was not heard yet is enough."""

import os
from contextlib import suppress


class Bell:
    def __init__(self) -> None:
        self._ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._rung = False

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            with suppress(OSError):  # closed: nobody waits any more
                os.write(self._ends[1], b"\0")

    def hear(self) -> None:
        """Before the thread looks at what the rings are for."""
        with suppress(OSError):
            os.read(self._ends[0], 64)
        self._rung = False

    def fileno(self) -> int:
        return self._ends[0]

    def close(self) -> None:
        self._rung = True
        ends, self._ends = self._ends, (-1, -1)
        for end in ends:
            if end >= 0:
                os.close(end)
