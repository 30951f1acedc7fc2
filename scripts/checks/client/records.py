"""What became of each request: one line each, written by the programs and read by the judge.

All processes of a run append to one file. A line is one write to a descriptor in O_APPEND, so lines never mix, and a
forked child may go on with the descriptor of its parent.
"""

import os
from pathlib import Path
from time import monotonic
from typing import NamedTuple

FAILED = "!"
"""Begins the answer of a request that failed; the error follows."""


class Record(NamedTuple):
    at: float
    """When it ended, on the clock `time.monotonic`, which all processes share."""
    worker: str
    kind: str
    seconds: float
    attempts: int
    """How many requests were sent for it, where the worker knows that; else 0."""
    service: str
    """Who was asked; several with commas between them: a service, and by that the next."""
    answer: str
    """Who answered: `SERVICE ID` of each instance, with commas between them."""

    @property
    def failed(self) -> bool:
        return self.answer.startswith(FAILED)


class Recorder:
    """Where a program writes. Threads and forked children may share it."""

    def __init__(self, path: str | Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def note(self, worker: str, kind: str, seconds: float, service: str, answer: str, attempts: int = 0) -> None:
        fields = f"{monotonic():.6f}", worker, kind, f"{seconds:.7f}", str(attempts), service, " ".join(answer.split())
        os.write(self._descriptor, ("\t".join(fields) + "\n").encode())

    def close(self) -> None:
        os.close(self._descriptor)


def error_text(error: BaseException) -> str:
    """The answer of a request that ended with this error."""
    return f"{FAILED}{type(error).__name__}: {error}"


class RecordReader:
    """Reads what has been written since the last time."""

    def __init__(self, path: Path) -> None:
        path.touch(0o600)
        self._file = path.open("rb")
        self._rest = b""

    def read(self) -> list[Record]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [_record(line.decode()) for line in lines]

    def close(self) -> None:
        self._file.close()


def _record(line: str) -> Record:
    at, worker, kind, seconds, attempts, service, answer = line.split("\t")
    return Record(float(at), worker, kind, float(seconds), int(attempts), service, answer)
