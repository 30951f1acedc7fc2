"""Processes that watch one service at one sidecar, each with a connection of its own.

    python -m scripts.benchmarks.watching SOCKET NAME NUMBER [registry]

forks NUMBER processes. Whenever one of them has received a notification, it writes the time to stdout: RECORD_BYTES of
digits on the clock of `time.perf_counter`, which all processes of a machine share. The end of stdin ends them all.
With `registry` each follows the service as programs do, with `gossipreg.connect`.
"""

import os
import select
import socket
import subprocess
import sys
import time
from typing import Self

import gossipreg
from gossipreg.wire.rpc import Decoder, encode_request
from scripts.benchmarks.cluster import Failed

RECORD_BYTES = 32
READ_BYTES = 256 * 1024


class Watchers:
    """A context manager with the processes; once it is entered, each has the instances of the service."""

    def __init__(
        self, path: str, name: str, number: int = 1, *, registry: bool = False, command: list[str] | None = None
    ) -> None:
        """`command`: a program that does the same, and writes to the same clock."""
        self._number = number
        how = ["registry"] if registry else []
        given = command or [sys.executable, "-m", __name__, path, name, str(number), *how]
        self._process = subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        self.received()
        return self

    def received(self) -> list[float]:
        """The time at which each of them received its next notification, in order."""
        assert self._process.stdout is not None
        data = self._process.stdout.read(RECORD_BYTES * self._number)
        if len(data) < RECORD_BYTES * self._number:
            raise Failed("the processes that watch have ended")
        return sorted(float(data[at : at + RECORD_BYTES]) for at in range(0, len(data), RECORD_BYTES))

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.communicate()


def main(path: str, name: str, number: int, how: str = "") -> None:
    read_end, write_end = os.pipe()
    for _ in range(number):
        if os.fork() == 0:
            os.close(write_end)
            (follow if how else watch)(path, name, parent_ends=read_end)
            os._exit(0)
    os.close(read_end)
    sys.stdin.read()


def watch(path: str, name: str, parent_ends: int) -> None:
    """Write the time of each notification, until the parent ends."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        stream.sendall(encode_request(1, "watch", {"name": name}))
        decoder = Decoder(1 << 26)
        while parent_ends not in select.select([stream.fileno(), parent_ends], [], [])[0]:
            data = stream.recv(READ_BYTES)
            now = time.perf_counter()
            if not data:
                return
            for message in decoder.feed_untrusted(data):
                if message[0] == "notification":
                    os.write(1, f"{now:<{RECORD_BYTES}.7f}".encode())


def follow(path: str, name: str, parent_ends: int) -> None:
    """Write the time of each snapshot of a registry, until the parent ends."""
    registry = gossipreg.connect(path)
    registry.watch(name, lambda _: os.write(1, f"{time.perf_counter():<{RECORD_BYTES}.7f}".encode()))
    select.select([parent_ends], [], [])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
