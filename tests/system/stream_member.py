"""The streams of one member as a process, for tests between hosts: prints what happens, a line each, and sends the
numbers that come as lines.

    python -m tests.system.stream_member NUMBER HOST OTHER OTHER_HOST

NUMBER and OTHER say who it is and whom it speaks with (`tests/streams/ends.py`). The times after which the network
counts as broken are shorter than those of a sidecar.
"""

import os
import socket
import sys

import trio

from gossipreg.daemon.streams import stream_sockets
from gossipreg.daemon.streams.inbox import StreamClosed, StreamOpened
from gossipreg.daemon.streams.node_streams import NodeStreams
from gossipreg.journal.messages import AskLeader
from gossipreg.model import Address
from gossipreg.net.listening import open_sockets
from tests.daemon.streams.members import question
from tests.streams.ends import RING, an_end

PORT = 7940
UNACKED_S = 0.5
CONNECT_S = 0.5


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def tell(streams: NodeStreams) -> None:
    while True:
        news = await streams.inbox.receive()
        if isinstance(news, StreamOpened):
            say("opened")
        elif isinstance(news, StreamClosed):
            say(f"closed {news.reason}")
        elif isinstance(news.message, AskLeader):
            say(f"received {news.message.number}")


async def main(number: int, host: str, other: int, other_host: str) -> None:
    stream_sockets.UNACKED_S, stream_sockets.CONNECT_S = UNACKED_S, CONNECT_S
    node = an_end(other).member.id
    listeners = open_sockets([host], PORT, [socket.SOCK_STREAM])

    def bug(where: str, error: Exception) -> None:
        raise AssertionError(where) from error

    streams = NodeStreams(
        lambda: an_end(number), RING, addresses=lambda _: [Address(other_host, PORT)], keys=lambda _: None,
        entropy=os.urandom, bug=bug,
    )  # fmt: skip
    async with trio.open_nursery() as nursery:
        await nursery.start(streams.run, listeners)
        nursery.start_soon(tell, streams)
        say("ready")
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            streams.send(node, question(int(line)))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
