"""What the programs that publish and handle events share, whatever the server.

    python -m MODULE prepare PLACE STREAM                       make the stream and its one group
    python -m MODULE publish PLACE STREAM FIRST COUNT BYTES     publishers FIRST to FIRST + COUNT - 1, a connection each
    python -m MODULE handle PLACE STREAM                        the one handler of the group
    python -m MODULE latency PLACE STREAM COUNT PER_S BYTES     one publisher and the handler, in one process

PLACE says where the servers are, as the module wants it. A program writes the line `ready` once it is connected. Then
`publish` reads a line with two times, and each of its publishers publishes from the first on, one event after the
other, until the second. `handle` reads the end of its input and goes on until nothing has come for QUIET_S. At their
end they write records (`records.py`) of the events that were acknowledged, or handled; `latency` writes a JSON list of
the milliseconds of each event, with null for one that was never handled.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

from scripts.benchmarks.events.records import Record, encode, latencies_ms

QUIET_S = 3.0
"""A handler that was told to end, and receives nothing for this long, has received all."""
LAST_S = 5.0
"""The last event of a latency run is waited for so long."""


def say_ready() -> None:
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()


def times_given() -> tuple[float, float]:
    """The times from which on and until which to publish."""
    begin, end = sys.stdin.readline().split()
    return float(begin), float(end)


def told_to_end() -> threading.Event:
    """Set once the input of this process has ended."""
    ended = threading.Event()

    def read() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    return ended


def write(records: list[Record]) -> None:
    sys.stdout.buffer.write(encode(records))
    sys.stdout.buffer.flush()


def write_latencies(sent: list[Record], handled: list[Record]) -> None:
    sys.stdout.write(json.dumps(latencies_ms(sent, handled)))
    sys.stdout.flush()


def sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.perf_counter()))


def due_times(count: int, per_s: float) -> Iterator[float]:
    """The time of each event, beginning now."""
    begin = time.perf_counter()
    return (begin + number / per_s for number in range(count))


def payload(size_bytes: int) -> bytes:
    """Bytes that no server can make smaller."""
    return os.urandom(size_bytes)


Command = Callable[..., None]
AsyncCommand = Callable[..., Awaitable[None]]


def run(commands: dict[str, Command], arguments: list[str]) -> None:
    """Call the command with its arguments: PLACE and STREAM as they are, the others as numbers."""
    what, place, stream, *numbers = arguments
    commands[what](place, stream, *map(int, numbers))
