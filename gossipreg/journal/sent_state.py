"""A state that a leader sends to a replica, as it was when that began.

Owns: what was sent of it, and what is next. Never knows: who gets it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gossipreg.journal.effects import LogBase


@dataclass(slots=True)
class SentState:
    """Small records are copied then. Large ones are read later, one piece at a time, and may have changed meanwhile: a
    removed one is left out, of a replaced one the new value is sent. That is safe. Only an entry that is committed and
    comes after `base` can have changed it, and the receiver applies that entry too, before its own state has an effect:
    nobody acts for a journal but a leader whose state has everything that is committed. Until then nothing depends on
    the value, since no state machine reads one. Afterwards both states are equal.
    """

    base: LogBase
    large: Iterator[tuple[bytes, ...]]
    pieces: Iterator[tuple[tuple[bytes, bytes], ...]]
    next: tuple[tuple[bytes, bytes], ...] | None
    """The next piece of the small records; None after the last one."""
    number: int = 0
    paused: bool = False
    """Too much was sent to all replicas: the next piece has to wait."""
    reading: tuple[bytes, ...] = ()
    """The keys of the large records that are being read, for the piece with this number."""
    read_number: int = 0
    """The number of that read; 0: none is under way. Another read is for a state that is not sent any more."""
