"""One client's connection: its requests, answered in their order, and its watches.

Never knows what a method does, or how messages to the client are written (`outgoing.py`). One task waits for bytes,
answers the requests in them one after the other, and waits again, so that other connections get their turn.

The bounds, and what happens at each:
- a request of 1 MiB: the client gets an error and the connection ends, since the next request cannot be found
- 1,024 unanswered requests: no more are read before some are answered; they wait in the client's own buffer. The
  same holds while replies wait to be read by the client.
- 64 watches a connection: the next is refused as busy
"""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from msgpack import packb

from gossipreg.daemon import params as check
from gossipreg.daemon.methods import Methods
from gossipreg.daemon.outgoing import Outgoing
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.socket_client import Command, Handler, SocketClient, pack
from gossipreg.daemon.watches import LocalWatch, Watches
from gossipreg.errors import Busy, GossipregError, NotFound, Refused, UnknownMethod
from gossipreg.wire.rpc import MAX_WATCHES, Decoder, encode_error

READ_BYTES = 8 * 1024
"""Read at one time. The shortest request takes 9 bytes, so no more than 910 are ever in hand and unanswered."""
TURN_BYTES = 16 * 1024
"""Bytes of replies on one connection before the other connections have their turn."""
REQUEST_COST_BYTES = 512
"""The cost of a request beside its reply: 32 of the smallest make a turn, about half a millisecond."""
LET_READ_BYTES = 64 * 1024
"""Requests are read on while no more than this waits to be written."""


class LocalConnection:
    def __init__(self, sock: socket.socket, client: SocketClient, outgoing: Outgoing, methods: Methods,
                 watches: Watches, bug: Callable[[str, Exception], None]) -> None:  # fmt: skip
        self.client = client
        self._sock = sock
        self._outgoing = outgoing
        self._methods = methods
        self._handlers: dict[str, Handler] = {
            **methods.handlers,
            **{name: _asked_by(client, command) for name, command in methods.commands.items()},
            "watch": self._watch,
            "unwatch": self._unwatch,
        }
        self._watches = watches
        self._bug = bug
        self._watching: dict[int, LocalWatch] = {}
        self._next_watch = 1
        self._after_reply = b""
        self._turn_bytes = 0
        self._answered = trio.Event()
        self._answered.set()
        self._runs = False
        self.asked_at = trio.current_time()
        """When it came, or asked last."""

    @property
    def idle(self) -> bool:
        """Whether the client loses nothing but time if this connection ends and it connects again."""
        return self._runs and self._answered.is_set() and not (self._watching or self.client.attached)

    def make_room(self) -> None:
        """End for the sake of another client: say so, and do not wait until that is read."""
        self._outgoing.push(encode_error(None, Busy.code, "this connection was idle and others needed its place"))
        self._outgoing.nursery.cancel_scope.cancel()

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                self._outgoing.nursery = nursery
                self._runs = True
                await self._read_untrusted()
                self._drop_watches()
                self._outgoing.end()
                await self._outgoing.wait_flushed()
                nursery.cancel_scope.cancel()
        finally:
            self._drop_watches()
            self._methods.gone(self.client)
            self._outgoing.close()
            self._sock.close()

    async def wait_answered(self) -> None:
        """Return when no request is being worked on and all that was replied is written."""
        await self._answered.wait()
        await self._outgoing.wait_flushed()

    # -- reading -------------------------------------------------------------------------------------------------------

    async def _read_untrusted(self) -> None:
        """Read until the client closes its side, breaks the protocol, or is cut off."""
        decoder = Decoder()
        while not self._outgoing.ending:
            await trio.lowlevel.wait_readable(self._sock)
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                return
            if not data:
                return
            try:
                for message in decoder.feed_untrusted(data):
                    await self._answer(message)
                    if self._outgoing.ending:
                        return
            except GossipregError as error:
                self._methods.dropped["client_broke_protocol"] += 1
                self._outgoing.push(encode_error(None, error.code, str(error)))
                return

    async def _answer(self, message: tuple[Any, ...]) -> None:
        if message[0] != "request":
            raise Refused(f"a message of type {message[0]} is not a request: send requests (type 0) only")
        _, id, method, params = message
        self.asked_at = trio.current_time()
        reply = self._call(id, method, params)
        if not isinstance(reply, bytes):
            self._answered = trio.Event()
            reply = await reply
        self._outgoing.push(reply)
        self._answered.set()
        if self._after_reply:
            self._outgoing.push(self._after_reply)
            self._after_reply = b""
        self._turn_bytes += REQUEST_COST_BYTES + len(reply)
        if self._outgoing.waiting_bytes > LET_READ_BYTES:
            await self._outgoing.wait_flushed()
        elif self._turn_bytes >= TURN_BYTES:
            self._turn_bytes = 0
            await trio.lowlevel.checkpoint()

    def _call(self, id: int, method: str, params: dict[str, Any]) -> bytes | Awaitable[bytes]:
        """The reply to a request, or an awaitable of it. Never raises."""
        try:
            handler = self._handlers.get(method)
            if handler is None:
                raise UnknownMethod(f"no method {method[:80]!r}: the methods are {', '.join(sorted(self._handlers))}")
            self._methods.rights.check(method, self.client.caller, params)
            result = handler(params)
            return packed_reply(id, result) if isinstance(result, bytes) else self._reply_later(id, method, result)
        except Exception as error:
            return self._error_reply(id, method, error)

    async def _reply_later(self, id: int, method: str, result: Awaitable[bytes]) -> bytes:
        try:
            return packed_reply(id, await result)
        except Exception as error:
            return self._error_reply(id, method, error)

    def _error_reply(self, id: int, method: str, error: Exception) -> bytes:
        if isinstance(error, GossipregError):
            return encode_error(id, error.code, str(error))
        self._bug(f"method {method}", error)
        return encode_error(id, Refused.code, "this failed inside the sidecar, and its log says how: please report it")

    # -- watches -------------------------------------------------------------------------------------------------------

    def _watch(self, params: dict[str, Any]) -> bytes:
        given = take_untrusted("watch", params, {"name": check.service_name})
        if len(self._watching) >= MAX_WATCHES:
            raise Busy(f"this connection has {MAX_WATCHES} watches: end one with unwatch, or open another connection")
        number, self._next_watch = self._next_watch, self._next_watch + 1
        watch = self._watching[number] = LocalWatch(number, given.get("name"), self._outgoing.push)
        # Nothing can change before both are pushed: changes come between two requests only.
        self._after_reply = self._watches.add(watch)
        if self._after_reply:
            return pack({"watch": number})
        return pack({"watch": number, "not_synced_because": self._methods.why_not_synced()})

    def _unwatch(self, params: dict[str, Any]) -> bytes:
        number = take_untrusted("unwatch", params, {"watch": check.Whole(1, 1 << 62)}, "watch")["watch"]
        watch = self._watching.pop(number, None)
        if watch is None:
            raise NotFound(f"this connection has no watch {number}")
        self._watches.remove(watch)
        return pack({})

    def _drop_watches(self) -> None:
        for watch in self._watching.values():
            self._watches.remove(watch)
        self._watching.clear()


def _asked_by(client: SocketClient, command: Command) -> Handler:
    return lambda params: command(params, client)


def packed_reply(id: int, packed_result: bytes) -> bytes:
    """The same bytes as `rpc.encode_reply`, from a result that is packed already."""
    return b"".join((b"\x94\x01", packb(id), b"\xc0", packed_result))
