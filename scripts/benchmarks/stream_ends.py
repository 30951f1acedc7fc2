"""The two processes of the row `streams`: one answers every message, the other measures and prints its figures.

    python -m scripts.benchmarks.stream_ends REPS ALONE

ALONE is 1 in a network namespace of our own, whose counters are those of the stream.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

import trio

from gossipreg.daemon.identity import draw_identity
from gossipreg.daemon.streams.inbox import StreamReceived
from gossipreg.daemon.streams.node_streams import NodeStreams
from gossipreg.journal.messages import Append, AppendAnswer, InstallState, ReplicaMessage
from gossipreg.journal.model import Ballot, Configuration, JournalId, LogEntry, Position, ReplicaId, ReplicaPlace
from gossipreg.model import Address, BootId, NodeId
from gossipreg.net.listening import address_of, open_sockets
from gossipreg.streams.values import StreamMember, StreamSelf
from gossipreg.wire.seal import Keyring
from scripts.tools.machine import loopback_counters

RING = Keyring((b"k" * 32,))
HERE, THERE, JOURNAL = ReplicaId(b"h" * 16), ReplicaId(b"t" * 16), JournalId(b"j" * 16)
BALLOT = Ballot(7, HERE)
APPEND = Append(
    journal=JOURNAL, sender=HERE, receiver=THERE, ballot=BALLOT, before=Position(BALLOT, 10),
    entries=(LogEntry(11, BALLOT, 1000, 2, bytes(1024)),), commit=10,
)  # fmt: skip
ANSWER = AppendAnswer(
    journal=JOURNAL, sender=THERE, receiver=HERE, ballot=BALLOT, matches=True, index=11, promised=BALLOT
)  # fmt: skip
PIECE = InstallState(
    journal=JOURNAL, sender=HERE, receiver=THERE, ballot=BALLOT, base=Position(BALLOT, 10), led_ms=0,
    configuration=Configuration((ReplicaPlace(HERE, NodeId(b"n" * 16), b""),)), number=0,
    records=((b"k", bytes(1_000_000)),), last=True,
)  # fmt: skip
WINDOW = 256
"""Appends without an answer, for the appends a second."""
LARGE_WINDOW = 4
PIECES_A_REP = 0.05
IDLE_S = 2.0
SETTLE_S = 0.5
"""The kernel may delay its last ack."""


def member_streams(others: dict[NodeId, Address]) -> tuple[NodeStreams, StreamSelf, socket.socket]:
    """The streams of a new member, and its listener."""
    identity = draw_identity()
    member = StreamMember(identity.id, identity.public_key, BootId(os.urandom(8)), 1, "bench")
    own = StreamSelf(member, identity.private_key)
    (listener,) = open_sockets(["127.0.0.1"], 0, [socket.SOCK_STREAM])

    def addresses(node: NodeId) -> Sequence[Address]:
        return [others[node]]

    def bug(where: str, error: Exception) -> NoReturn:
        raise AssertionError(where) from error

    streams = NodeStreams(
        lambda: own, RING, addresses=addresses, keys=lambda _: None, entropy=os.urandom, bug=bug
    )  # fmt: skip
    return streams, own, listener


async def answer_all() -> None:
    """Answer each message, until this process is killed."""
    streams, own, listener = member_streams({})
    print(own.member.id.hex(), address_of(listener).port, flush=True)
    async with trio.open_nursery() as nursery:
        await nursery.start(streams.run, [listener])
        while True:
            news = await streams.inbox.receive()
            if isinstance(news, StreamReceived):
                streams.send(news.node, ANSWER)


class MeasuringEnd:
    def __init__(self, streams: NodeStreams, node: NodeId) -> None:
        self._streams = streams
        self._node = node

    async def answers(self, count: int) -> None:
        while count:
            count -= isinstance(await self._streams.inbox.receive(), StreamReceived)

    async def round_trip_ms(self, message: ReplicaMessage) -> float:
        began = time.perf_counter()
        self._streams.send(self._node, message)
        await self.answers(1)
        return 1000 * (time.perf_counter() - began)

    async def rate(self, message: ReplicaMessage, window: int, count: int) -> tuple[float, float]:
        """Messages a second, each answered, and the processor time of this end for one, in microseconds."""
        began, cpu_s = time.perf_counter(), time.process_time()
        for number in range(count):
            self._streams.send(self._node, message)
            if number >= window:
                await self.answers(1)
        await self.answers(min(window, count))
        passed_s = time.perf_counter() - began
        return count / passed_s, (time.process_time() - cpu_s) / count * 1e6


async def measure(told: str, reps: int, alone: bool) -> dict[str, object]:
    id, port = told.split()
    node = NodeId(bytes.fromhex(id))
    streams, _, listener = member_streams({node: Address("127.0.0.1", int(port))})
    async with trio.open_nursery() as nursery:
        await nursery.start(streams.run, [listener])
        end = MeasuringEnd(streams, node)
        await end.round_trip_ms(APPEND)
        await trio.sleep(SETTLE_S)
        before, _ = loopback_counters()
        await trio.sleep(IDLE_S)
        idle_bytes, _ = loopback_counters()
        ms = [await end.round_trip_ms(APPEND) for _ in range(reps)]
        appends, cpu_us = await end.rate(APPEND, WINDOW, 10 * reps)
        pieces, _ = await end.rate(PIECE, LARGE_WINDOW, max(1, int(reps * PIECES_A_REP)))
        nursery.cancel_scope.cancel()
    return {
        "ms": ms,
        "appends_a_second": round(appends),
        "mb_a_second": round(pieces),
        "cpu_us": round(cpu_us, 1),
        "idle_bytes_a_second": (idle_bytes - before) / IDLE_S if alone else None,
    }


def main(arguments: list[str]) -> None:
    if arguments == ["answer"]:
        trio.run(answer_all)
        return
    reps, alone = map(int, arguments)
    command = [sys.executable, "-m", "scripts.benchmarks.stream_ends", "answer"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            print(json.dumps(trio.run(measure, other.stdout.readline(), reps, bool(alone))))
        finally:
            other.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
