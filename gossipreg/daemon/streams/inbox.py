"""What streams tell whoever uses them: which streams opened and closed, and the messages that came.

Streams are always read, so that an ack never waits behind what somebody does not take. So what is not taken from here
has to have a bound: beyond it the stream that delivers is closed.
"""

from dataclasses import dataclass
from math import inf

import trio

from gossipreg.daemon.streams.stream_messages import SentMessage
from gossipreg.model import BootId, NodeId
from gossipreg.streams.values import StreamFault

MAX_INBOX_BYTES = 64 * 1024 * 1024
MAX_INBOX_MESSAGES = 65_536


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """There is a stream to this process of that member now. What was sent while it was being opened is on its way."""

    node: NodeId
    boot_id: BootId
    generation: int


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The stream is gone, or could not be opened. What was sent over it and not answered may have arrived or not."""

    node: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class StreamReceived:
    node: NodeId
    boot_id: BootId
    message: SentMessage
    size_bytes: int
    """As it came."""


StreamNews = StreamOpened | StreamClosed | StreamReceived


class StreamInbox:
    """The queue of this news. One task takes it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[StreamNews](inf)
        self._waiting_bytes = 0

    async def receive(self) -> StreamNews:
        """The next that happened, in order."""
        news = await self._receive.receive()
        if isinstance(news, StreamReceived):
            self._waiting_bytes -= news.size_bytes
        return news

    def receive_nowait(self) -> StreamNews:
        """The same; trio.WouldBlock if there is nothing."""
        news = self._receive.receive_nowait()
        if isinstance(news, StreamReceived):
            self._waiting_bytes -= news.size_bytes
        return news

    def put(self, news: StreamOpened | StreamClosed) -> None:
        """Tell of a stream. Each handshake gives two of these at most, so they need no bound of their own."""
        self._send.send_nowait(news)

    def put_message(self, message: StreamReceived) -> None:
        """Hand a message on. StreamFault if too many have not been taken."""
        waiting = self._waiting_bytes + message.size_bytes
        if waiting > MAX_INBOX_BYTES or self._send.statistics().current_buffer_used >= MAX_INBOX_MESSAGES:
            raise StreamFault("stream_inbox_full", f"{self._waiting_bytes} bytes were not taken")
        self._waiting_bytes = waiting
        self._send.send_nowait(message)
