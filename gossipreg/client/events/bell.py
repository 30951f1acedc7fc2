"""A pipe that wakes a thread which waits in `poll`. Any thread rings; a ring that was not heard yet is enough.

A program that closes all descriptors (`os.closerange`, as daemons do) takes the bell along, which wakes the thread too.
What has its numbers after that may be the program's, so it is not closed.
"""

import os
from contextlib import suppress


class Bell:
    def __init__(self) -> None:
        self._ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._files = [_file(end) for end in self._ends]
        self._rung = False

    @property
    def is_lost(self) -> bool:
        """Whether the program has closed its descriptors."""
        return [_file(end) for end in self._ends] != self._files

    def ring(self) -> None:
        if not self._rung:
            self._rung = True
            if self.is_lost:
                return
            with suppress(OSError):  # closed: nobody waits any more
                os.write(self._ends[1], b"\0")

    def hear(self) -> None:
        """Before the thread looks at what the rings are for."""
        if not self.is_lost:
            with suppress(OSError):
                os.read(self._ends[0], 64)
        self._rung = False

    def fileno(self) -> int:
        return self._ends[0]

    def close(self) -> None:
        self._rung = True
        lost, ends, self._ends = self.is_lost, self._ends, (-1, -1)
        self._files = [None, None]
        for end in () if lost else ends:
            if end >= 0:
                os.close(end)


def _file(descriptor: int) -> tuple[int, int] | None:
    """What file this descriptor is; None: it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
