"""The files in which the programs of sagas write down what they were told, and the books of the services.

Owns: the form of a line, and that a line is whole. Each process has a file of its own, whose last line may be torn.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from scripts.soaking.sagas_judge import Booking, SagaHistory, ToldSaga

ENDING = ".sagas"


class SagaNotes:
    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, told: ToldSaga) -> None:
        """From whatever thread."""
        self._write(["told", told.id, told.outcome, told.took_s])

    def write_refused(self, code: str) -> None:
        """An error that began no saga."""
        self._write(["refused", code])

    def _write(self, line: list[object]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_told(folder: Path) -> tuple[list[ToldSaga], Counter[str]]:
    """What the programs were told, and the errors that began no saga."""
    told: list[ToldSaga] = []
    refused: Counter[str] = Counter()
    for path in sorted(folder.glob(f"*{ENDING}")):
        for kind, *fields in _lines(path.read_bytes()):
            if kind == "told":
                told.append(ToldSaga(*fields))
            else:
                refused[fields[0]] += 1
    return told, refused


def _lines(data: bytes) -> Iterator[list[Any]]:
    *whole, _torn = data.split(b"\n")
    return (json.loads(line) for line in whole)


def read_books(path: Path) -> list[Booking]:
    """The ledger of a service: what it has booked now, with how often each was done and undone."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        rows = connection.execute("SELECT key, sum(amount > 0), sum(amount < 0) FROM ledger GROUP BY key").fetchall()
    return [Booking(path.stem, key, done, undone) for key, done, undone in rows]


def read_history(notes: Path, books: list[Path]) -> SagaHistory:
    told, refused = read_told(notes)
    return SagaHistory(told=told, refused=refused, bookings=[one for path in books for one in read_books(path)])
