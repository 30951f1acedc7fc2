"""One client's connection to the local socket: which language it speaks, whether it is idle, and how it ends.

An RPC request begins with the byte 0x94, an HTTP request with a letter, so the first byte decides. `rpc_speaker` and
`http_speaker` read the requests; `http_speaker` is loaded when the first client speaks HTTP. Never knows what a method
does (`client_calls.py`), or how messages to the client are queued (`outgoing.py`). One task serves a connection: it
waits for bytes, answers the requests in them one after the other, and waits again, so that other connections get their
turn.

The bounds, and what happens at each:
- a request of 1 MiB: the client gets an error and the connection ends, since the next request cannot be found
- 16 MiB of requests that are not whole, of all connections together: the one that exceeds it gets an error and ends
- 1,024 unanswered requests: no more are read before some are answered; they wait in the client's own buffer. The
  same holds while replies wait to be read by the client.
- 4,096 watches a connection, 131,072 of all: the next is refused as busy
"""

import select
import socket
from collections.abc import Callable
from typing import Protocol

import trio

from gossipreg.callers import Caller
from gossipreg.daemon.all_clients import AllClients
from gossipreg.daemon.client_calls import LocalApi
from gossipreg.daemon.outgoing import Outgoing
from gossipreg.daemon.places import Places
from gossipreg.daemon.rpc_speaker import RpcSpeaker, rpc_last_words
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import Busy

READ_BYTES = 8 * 1024
"""Read at one time. The shortest request takes 9 bytes, so no more than 910 are ever in hand and unanswered."""
TURN_BYTES = 16 * 1024
"""Bytes of replies on one connection before the other connections have their turn."""
REQUEST_COST_BYTES = 512
"""The cost of a request beside its reply: 32 of the smallest make a turn, about half a millisecond."""
LOOK_S = 0.5
"""How often it is looked whether a client hung up that sent further requests before the answer to one."""
LET_READ_BYTES = 64 * 1024
"""Requests are read on while no more than this waits to be written."""


class Speaker(Protocol):
    """Reads the requests of a client in one language and answers them."""

    @property
    def stays(self) -> bool:
        """Whether the client would lose something if the connection ended while it asks nothing."""

    async def run(self, data: bytes) -> None:
        """Until the client closes its side, breaks the protocol, or is cut off; `data` came first."""

    def end(self) -> None:
        """The connection ends: hold nothing for the client any more."""


class LocalConnection:
    __slots__ = (
        *("_all", "_answered", "_held_bytes", "_places", "_runs", "_sock", "_speaker", "_turn_bytes"),
        *("api", "client", "outgoing"),
    )

    def __init__(
        self, sock: socket.socket, caller: Caller, api: LocalApi, places: "Places[LocalConnection]", all: AllClients
    ) -> None:  # fmt: skip
        self.api = api
        self.client = SocketClient(caller)
        self.client.hung_up = self._hung_up
        self.client.closed = self._closed
        self.outgoing = Outgoing(sock, all, api.methods.dropped, rpc_last_words)
        self._sock = sock
        self._places = places
        self._all = all
        self._speaker: Speaker | None = None
        self._answered: trio.Event | None = None
        """Set when the request that is worked on is answered; None: there is none."""
        self._held_bytes = 0
        self._turn_bytes = 0
        self._runs = False

    @property
    def caller(self) -> Caller:
        return self.client.caller

    @property
    def idle(self) -> bool:
        """Whether the client loses nothing but time if this connection ends and it connects again."""
        return self._runs and self._answered is None and not (self._speaker is not None and self._speaker.stays)

    def make_room(self) -> None:
        """End for the sake of another client: say so, and do not wait until that is read."""
        self.outgoing.push(self.outgoing.last_words(Busy.code, "this connection was idle and others needed its place"))
        self.outgoing.read_rest()
        self.outgoing.nursery.cancel_scope.cancel()

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self.outgoing.nursery = nursery
                self._runs = True
                if data := await self.receive():
                    self._speaker = await self._speaker_of(data)
                    await self._speaker.run(data)
                self._let_go()
                self.outgoing.end()
                await self.outgoing.wait_flushed()
                self.outgoing.read_rest()
                nursery.cancel_scope.cancel()
        finally:
            self._let_go()
            self.api.methods.gone(self.client)
            self.outgoing.close()
            self._sock.close()

    async def _speaker_of(self, data: bytes) -> Speaker:
        if not data[:1].isalpha():
            return RpcSpeaker(self)
        return (await _http_speaker())(self)

    def _let_go(self) -> None:
        """Hold nothing for the client any more, and let nobody wait for an answer that will not come."""
        self.hold(0)
        if self._answered is not None:
            self._answered.set()
            self._answered = None
        if self._speaker is not None:
            self._speaker.end()

    # -- for the speaker -----------------------------------------------------------------------------------------------

    async def receive(self) -> bytes:
        """The next bytes of the client; none when there will be none, or when none are wanted any more."""
        while not self.outgoing.ending:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                return self._sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                break
        return b""

    async def _hung_up(self) -> None:
        """Return when the client has closed its side; it may read on."""
        await self._wait_for(select.POLLRDHUP)

    async def _closed(self) -> None:
        """Return when the client has closed both sides: it reads no answer."""
        await self._wait_for(select.POLLHUP)

    async def _wait_for(self, event: int) -> None:
        """While a request is worked on nobody reads what the client sends, so the kernel is asked."""
        poll = select.poll()
        poll.register(self._sock.fileno(), event)
        while not poll.poll(0):
            with trio.move_on_after(LOOK_S):
                await trio.lowlevel.wait_readable(self._sock)
                if not poll.poll(0):
                    await trio.sleep_forever()

    def hold(self, held_bytes: int) -> bool:
        """Note that this number of bytes waits for the rest of a request. Returns False if all clients together
        hold too many."""
        before, self._held_bytes = self._held_bytes, held_bytes
        if self._all.hold(before, held_bytes):
            return True
        self.api.methods.dropped["client_held_too_much"] += 1
        return False

    def begin_answer(self) -> None:
        """A request is worked on, and its answer comes later; others may be begun before that."""
        if self._answered is None:
            self._answered = trio.Event()

    def end_answer(self) -> None:
        """The request is answered."""
        if self._answered is not None:
            self._answered.set()
            self._answered = None
        self.note_asked()

    def note_asked(self) -> None:
        """The client has asked something: this connection is not the one that has been idle for longest."""
        self._places.note(self, may_rest=not (self._speaker is not None and self._speaker.stays))

    def ends_turn(self, reply_bytes: int) -> bool:
        """Note a request that was answered with this number of bytes, or begun. Returns whether `let_others` is due."""
        self._turn_bytes += REQUEST_COST_BYTES + reply_bytes
        return self._turn_bytes >= TURN_BYTES or self.outgoing.waiting_bytes > LET_READ_BYTES

    async def let_others(self) -> None:
        """Return when the next request may be answered."""
        if self.outgoing.waiting_bytes > LET_READ_BYTES:
            await self.outgoing.wait_flushed()
        else:
            self._turn_bytes = 0
            await trio.lowlevel.checkpoint()

    async def wait_answered(self) -> None:
        """Return when no request is being worked on and all that was replied is written."""
        if self._answered is not None:
            await self._answered.wait()
        await self.outgoing.wait_flushed()


_http_speakers: list[Callable[[LocalConnection], Speaker]] = []
"""The class of the speakers of HTTP, once it is loaded."""


async def _http_speaker() -> Callable[[LocalConnection], Speaker]:
    """Reading it from the disk takes some 30 ms, so the first time is in a thread."""
    if not _http_speakers:
        _http_speakers.append(await trio.to_thread.run_sync(_load_http_speaker))
    return _http_speakers[0]


def _load_http_speaker() -> Callable[[LocalConnection], Speaker]:
    from gossipreg.daemon.http_speaker import HttpSpeaker

    return HttpSpeaker
