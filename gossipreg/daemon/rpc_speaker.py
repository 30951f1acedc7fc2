"""A client that speaks MessagePack-RPC: its requests, answered in their order, and its notifications.

Replies that are there at once are written together, those of a turn: each write wakes up the client.

Changes of services that arrive together and one behind the other wait for the disk together: each is called before
those before it are answered, so one commit holds them all. Any other request is called when all before it are answered,
so it finds what they did; `may_begin` has the exact rule.
"""

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from gossipreg.daemon.all_clients import HELD_TOO_MUCH
from gossipreg.daemon.client_calls import ClientCalls
from gossipreg.daemon.methods import may_begin
from gossipreg.daemon.socket_client import Begun, Params
from gossipreg.daemon.watches import RPC_FORM, RpcForm
from gossipreg.errors import Busy, GossipregError, Refused
from gossipreg.wire.rpc import Decoder, encode_error, encode_notification, packed_reply

if TYPE_CHECKING:
    from gossipreg.daemon.connection import LocalConnection

Result = bytes | Awaitable[bytes] | Exception
Called = tuple[int, str, Result]
"""The id and the method of a request, with its packed result or what will give it."""


def rpc_last_words(code: str, message: str) -> bytes:
    """The error that answers no request, before the connection ends."""
    return encode_error(None, code, message)


class RpcSpeaker:
    __slots__ = ("_begun", "_calls", "_connection", "_decoder", "_replies", "form")

    def __init__(self, connection: "LocalConnection") -> None:
        self.form: RpcForm = RPC_FORM
        self._connection = connection
        self._calls = ClientCalls(connection.api, connection.client, self)
        self._decoder = Decoder()
        self._begun: list[Called] = []
        """Requests that were called and are not answered; no more than are in hand."""
        self._replies: list[bytes] = []
        """Not written yet: those of a turn are written at once, since each write costs as much as a lookup."""
        connection.client.notify = self._notify

    @property
    def stays(self) -> bool:
        return self._calls.stays

    def end(self) -> None:
        self._calls.end()

    async def run(self, data: bytes) -> None:
        connection, decoder = self._connection, self._decoder
        while data:
            try:
                for message in decoder.feed_untrusted(data):
                    if (rest := self._take(message)) is not None:
                        await rest
                    if connection.outgoing.ending:
                        return
                await self._answer_begun()
                self._write_replies()
                if not connection.hold(decoder.held_bytes):
                    raise Busy(HELD_TOO_MUCH)
            except GossipregError as error:
                await self._answer_begun()
                connection.api.methods.dropped["client_broke_protocol"] += not isinstance(error, Busy)
                self.push(rpc_last_words(error.code, str(error)))
                return
            data = await connection.receive()

    def _take(self, message: tuple[Any, ...]) -> Awaitable[None] | None:
        """Answer a request, or only begin it. Returns what is left to be waited for."""
        if message[0] != "request":
            raise Refused(f"a message of type {message[0]} is not a request: send requests (type 0) only")
        _, id, method, params = message
        if self._begun:
            return self._take_behind_begun(id, method, params)
        result = self._call(method, params)
        return self._reply(packed_reply(id, result)) if isinstance(result, bytes) else self._wait(id, method, result)

    async def _take_behind_begun(self, id: int, method: str, params: Params) -> None:
        if not may_begin(method, params, self._begun[-1][1]):
            await self._answer_begun()
        await self._wait(id, method, self._call(method, params))

    async def _wait(self, id: int, method: str, result: Result) -> None:
        """Answer a request behind those that are begun, or only begin it."""
        if isinstance(result, Begun):
            self._write_replies()
            self._connection.begin_answer()
            self._begun.append((id, method, result))
            if self._connection.ends_turn(0):
                await self._connection.let_others()
            return
        await self._answer_begun()
        await self._answer([(id, method, result)])

    async def _answer_begun(self) -> None:
        """Answer the requests that are begun."""
        if self._begun:
            begun, self._begun = self._begun, []
            await self._answer(begun)

    async def _answer(self, called: Sequence[Called]) -> None:
        replies: list[bytes] = []
        for one in called:
            replies += await self._reply_to(*one)
        rest = self._reply(replies)
        self._write_replies()
        self._connection.end_answer()
        if rest is not None:
            await rest

    def _reply(self, replies: Sequence[bytes]) -> Awaitable[None] | None:
        """Note these replies, and what follows them. Returns what is left to be waited for."""
        self._replies += replies
        if opening := self._calls.take_opening():
            self._replies += opening
        if not self._connection.ends_turn(sum(map(len, replies))):
            return None
        self._write_replies()
        return self._connection.let_others()

    def _write_replies(self) -> None:
        if self._replies:
            replies, self._replies = self._replies, []
            self._connection.outgoing.push(*replies)
            self._connection.note_asked()

    def push(self, *pieces: bytes) -> None:
        """Write this, behind the replies."""
        replies, self._replies = self._replies, []
        self._connection.outgoing.push(*replies, *pieces)

    def _call(self, method: str, params: Params) -> Result:
        try:
            return self._calls.call(method, params)
        except Exception as error:
            return error

    async def _reply_to(self, id: int, method: str, result: Result) -> Sequence[bytes]:
        """The reply to a request, in pieces. Never raises."""
        try:
            if isinstance(result, Exception):
                raise result
            if not isinstance(result, bytes):
                self._write_replies()
                self._connection.begin_answer()
                result = await result
            return packed_reply(id, result)
        except Exception as error:
            fault = self._calls.fault(method, error)
            return (encode_error(id, fault.code, str(fault)),)

    def _notify(self, method: str, params: Params) -> None:
        self.push(encode_notification(method, params))
