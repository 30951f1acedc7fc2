"""What a line of the history costs the loop of a sidecar, in microseconds of processor time: `python -m
scripts.benchmarks.history_lines`.

A line is what happens between a line of the log, or a change of the answers, and the queue of the disk: words, rates,
number, followers. The thread that writes is not part of it, but shares Python's lock; its time is shown beside it.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from gossipreg.daemon.history.from_log import LogNotes
from gossipreg.daemon.history.history import History
from gossipreg.daemon.history.history_disk import QUEUE_MAX, HistoryDisk
from gossipreg.daemon.logs import Field
from gossipreg.daemon.reports import Reports
from gossipreg.history.history_line import NamedMember

LINES = 20_000
BOUND_US = 50.0
"""What a line may cost the loop."""


def main() -> int:
    figures = trio.run(_measure)
    for name, micros in figures.items():
        sys.stdout.write(f"{name:42} {micros:8.1f} us\n")
    loop = {name: micros for name, micros in figures.items() if name.startswith("loop")}
    return 0 if max(loop.values()) < BOUND_US else 1


async def _measure() -> dict[str, float]:
    own = NamedMember("00" * 16, "web-1")
    with tempfile.TemporaryDirectory() as folder:
        disk = HistoryDisk(Path(folder), _NoReports(), space_bytes=64 << 20, boot_id="", keep_from=lambda: None)
        history = History(own, _fail, disk=disk)
        notes = LogNotes(history, None, ())  # type: ignore[arg-type]  # no line here is about another member
        found = {"loop: a line that is written": _timed(lambda n: _note(history, n))}
        began = time.process_time()
        await disk.flush()
        found["thread: a line written to the disk"] = (time.process_time() - began) / QUEUE_MAX * 1e6
        found["loop: a line of the log, with its words"] = _timed(lambda n: _log_line(notes, n))
        found["loop: a line that a storm leaves out"] = _timed(lambda n: _storm(history, n))
        await disk.close()
    return found


def _timed(call: Callable[[int], None]) -> float:
    began = time.thread_time()
    for number in range(LINES):
        call(number)
    return (time.thread_time() - began) / LINES * 1e6


def _note(history: History, number: int) -> None:
    """Each of a kind of its own, so that none is left out."""
    history.note(
        f"kind_{number % 200}", f"billing-{number} of web-3 left the answers: web-3 is dead", service="billing",
        instance=f"billing-{number}", member=NamedMember("ab" * 16, "web-3"), more={"health": "critical"},
    )  # fmt: skip


def _log_line(notes: LogNotes, number: int) -> None:
    fields: dict[str, Field] = {
        "id": f"billing-{number}", "name": "billing", "address": "10.0.0.1:8101", "source": "socket", "checks": 1,
        "health": "critical", "via": "socket", "uid": 1000, "pid": number,
    }  # fmt: skip
    notes.line("info", "service_registered", fields)


def _storm(history: History, number: int) -> None:
    history.note("member_dead", f"web-{number} declared dead by api-1", member=NamedMember(f"{number:032x}", "web"))


class _NoReports(Reports):
    def __init__(self) -> None:
        """A disk that fails makes the figures useless."""

    def history_not_kept(self, why: str) -> None:
        raise SystemExit(why)


def _fail(where: str, error: Exception) -> None:
    raise SystemExit(f"{where}: {error}")


if __name__ == "__main__":
    sys.exit(main())
