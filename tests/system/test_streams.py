"""Streams between hosts whose network breaks: the member is told, and a new stream opens when the network is back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO

import pytest

from tests.system.hosts import Host, Hosts, cut, missing

ROOT = Path(__file__).parent.parent.parent
BOUND_S = 60
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


class StreamMemberProcess:
    """A member on one of the hosts; see `stream_member.py`."""

    def __init__(self, host: Host, other: Host) -> None:
        command = [
            *("ip", "netns", "exec", host.namespace, sys.executable, "-m", "tests.system.stream_member"),
            *(str(host.number), host.v4, str(other.number), other.v4),
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self._lines: Queue[str] = Queue()
        assert self.process.stdout is not None
        Thread(target=self._read, args=[self.process.stdout], daemon=True).start()
        self.until("ready")

    def _read(self, stdout: IO[str]) -> None:
        for line in stdout:
            self._lines.put(line.strip())

    def ask(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def until(self, *wanted: str) -> str:
        """Wait for a line that begins so."""
        while True:
            line = self._lines.get(timeout=BOUND_S)
            if line.startswith(wanted):
                return line

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


Pair = tuple[Hosts, StreamMemberProcess, StreamMemberProcess]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Hosts(2) as hosts:
        members: list[StreamMemberProcess] = []
        try:
            for host, other in (hosts.all, hosts.all[::-1]):
                members.append(StreamMemberProcess(host, other))
            one, two = members
            yield hosts, one, two
        finally:
            for member in members:
                member.end()


def asks_until_it_arrives(one: StreamMemberProcess, two: StreamMemberProcess, first: int) -> None:
    """Each message either arrives, or its sender is told that the stream is closed; then it sends again."""
    for number in range(first, first + 50):
        one.ask(number)
        if one.until("opened", "closed") == "opened":
            two.until(f"received {number}")
            return
    raise AssertionError("no stream opened again")


def until_all_is_acked(host: Host) -> None:
    """No segment that this host has sent is unacked any more: its kernel has nothing to give up for."""
    command = ["ip", "netns", "exec", host.namespace, "ss", "-Htn", "state", "established"]
    deadline = time.monotonic() + BOUND_S
    while time.monotonic() < deadline:
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        if lines and all(line.split()[1] == "0" for line in lines):  # Send-Q
            return
    raise AssertionError(f"unacked after {BOUND_S} s: {lines}")


def test_a_partition_closes_the_stream_and_a_new_one_opens_after_it(pair: Pair) -> None:
    hosts, one, two = pair
    one.ask(1)
    two.until("received 1")
    one.until("opened")
    cut(hosts.all[:1], hosts.all[1:])
    one.ask(2)
    one.until("closed broke")
    hosts.heal()
    asks_until_it_arrives(one, two, 3)


@pytest.mark.parametrize("fault", ["reject with tcp reset", "drop"])
def test_the_end_that_still_holds_a_broken_stream_learns_it(pair: Pair, fault: str) -> None:
    """What one end sends does not arrive, and the other end has nothing to send: its kernel tells it nothing, unless a
    late packet of its own meets the closed socket."""
    hosts, one, two = pair
    one.ask(1)
    two.until("opened")
    two.until("received 1")
    until_all_is_acked(hosts.all[1])
    hosts.all[1].nft(f"add rule inet t input meta l4proto tcp {fault}")
    one.ask(2)
    one.until("closed broke")
    hosts.heal()
    assert two.until("opened", "closed") in ("closed replaced", "closed broke")
    two.until("opened")


def test_where_tcp_is_dropped_the_member_is_told_so(pair: Pair) -> None:
    hosts, one, two = pair
    hosts.all[1].nft("add rule inet t input meta l4proto tcp drop")
    one.ask(1)
    one.until("closed connect_timeout")
    hosts.heal()
    asks_until_it_arrives(one, two, 2)


def test_a_stream_to_a_host_that_is_gone_is_closed(pair: Pair) -> None:
    """No packet says that the other process is gone, since its host is: unacked data does."""
    hosts, one, two = pair
    one.ask(1)
    two.until("received 1")
    cut(hosts.all[:1], hosts.all[1:])
    two.end()
    one.ask(2)
    one.until("closed broke")
