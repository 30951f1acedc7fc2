"""The last seconds of a sidecar: what waits for the disk is written, or named if the disk does not take it.

Owns: how long a disk is waited for at the end, and how the process ends where a thread still waits for one. Never
knows: what is written.

A disk that hangs keeps the thread that waits for it, and nothing can take that thread away: an orderly end of Python
would wait for it. So the sidecar says what is not written, closes what others see of it, and the process ends there and
then. Where the kernel waits for a disk without interruption it cannot end the thread either, and keeps the remains of
the process, with the exit code, until the disk answers.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

import trio

FINISH_S = 2.0
"""For all that waits for the disk. A sound disk takes milliseconds, and whoever stops a sidecar has a limit of his own,
in most cases 10 s or more for the whole leave."""
NOT_FINISHED = 8
"""The exit code of a sidecar that has left, and whose disk did not take all that it was to keep."""


class Kept(Protocol):
    """A part that keeps something on the disk."""

    async def finish(self) -> None:
        """Write what waits. It is cancelled when the time is over, and must not wait for the disk then."""

    def unwritten(self) -> str:
        """What is not on the disk, in words: the file, and what it lacks. Empty: all is."""


async def finish(parts: Sequence[Kept]) -> str:
    """Have these parts finish, all at the same time. Returns what they could not write, in words."""
    with trio.move_on_after(FINISH_S):
        async with trio.open_nursery() as nursery:
            for part in parts:
                nursery.start_soon(part.finish)
    return "; ".join(what for part in parts if (what := part.unwritten()))


def end_at_once(code: int) -> NoReturn:
    """End this process without waiting for any thread."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
    os._exit(code)
