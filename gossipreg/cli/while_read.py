"""The waits of commands that follow: they end as soon as nobody can read the output any more.

A write shows that the reader of a pipe is gone, but the next line to write may come tomorrow, and the shell waits for
the command until then. So the wait for a line also waits for the end of the reader. Never knows: what a command
follows. A file, a device and a pipe that somebody holds open never end; of a terminal that was closed the kernel says
that it hung up.
"""

import select
import sys
import time
from math import ceil
from typing import Protocol

from gossipreg.cli.output import ReaderGone


class Followable(Protocol):
    def fileno(self) -> int: ...


def wait_while_read(source: Followable | None, timeout_s: float | None = None) -> bool:
    """Return True once `source` can be read, False when the time is up. What is buffered must be flushed before. Raises
    ReaderGone as soon as nobody can read stdout."""
    poll = select.poll()
    output = _output()
    if output is not None:
        poll.register(output, 0)  # errors and the end are reported all the same
    if source is not None:
        poll.register(source.fileno(), select.POLLIN)
    found = poll.poll(None if timeout_s is None else max(0, ceil(timeout_s * 1000)))
    if any(number == output for number, _ in found):
        raise ReaderGone
    return bool(found)


def sleep_while_read(seconds: float) -> None:
    """As `time.sleep`. Raises ReaderGone as soon as nobody can read stdout."""
    until = time.monotonic() + seconds
    while (rest_s := until - time.monotonic()) > 0:
        wait_while_read(None, rest_s)


def _output() -> int | None:
    """The descriptor of stdout; None if there is none."""
    try:
        return None if sys.stdout is None else sys.stdout.fileno()
    except (OSError, ValueError):  # a program that calls us has put something else in its place
        return None
