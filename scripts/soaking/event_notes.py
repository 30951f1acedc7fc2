"""The files in which publishers and handlers write down what they did: one JSON array a line.

Owns: the form of a line, and that a line is whole: it is one write at the end of the file, and only the last line of a
process that was killed may be torn. Each process has a file of its own.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from scripts.soaking.events_judge import AckedEvent, AskedEvent, EventHistory, HandledEvent

_KINDS: dict[str, type[AskedEvent] | type[AckedEvent] | type[HandledEvent]] = {
    "asked": AskedEvent, "acked": AckedEvent, "handled": HandledEvent,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
ENDING = ".notes"


class EventNotes:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, *noted: AskedEvent | AckedEvent | HandledEvent, durable: bool = False) -> None:
        """From whatever thread; with `durable`, on the disk when this returns."""
        self._write([[_NAMES[type(one)], *astuple(one)] for one in noted])
        if durable:
            os.fsync(self._file)

    def write_refused(self, code: str) -> None:
        """An answer that was no acknowledgement."""
        self._write([["refused", code]])

    def _write(self, lines: Iterable[list[Any]]) -> None:
        os.write(self._file, b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def read_history(folder: Path) -> EventHistory:
    """What all of them wrote."""
    history = EventHistory()
    lists: dict[str, list[Any]] = {"asked": history.asked, "acked": history.acked, "handled": history.handled}
    for path in sorted(folder.glob(f"*{ENDING}")):
        for kind, *fields in _lines(path.read_bytes()):
            if kind == "refused":
                history.refused[fields[0]] += 1
            else:
                lists[kind].append(_KINDS[kind](*fields))
    return history


def _lines(data: bytes) -> Iterator[list[Any]]:
    *whole, _torn = data.split(b"\n")
    return (json.loads(line) for line in whole)
