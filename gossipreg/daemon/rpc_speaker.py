"""A client that speaks MessagePack-RPC: its requests, answered in their order, and its notifications.

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
    __slots__ = ("_begun", "_calls", "_connection", "_decoder", "form", "push")

    def __init__(self, connection: "LocalConnection") -> None:
        self.form: RpcForm = RPC_FORM
        self.push = connection.outgoing.push
        self._connection = connection
        self._calls = ClientCalls(connection.api, connection.client, self)
        self._decoder = Decoder()
        self._begun: list[Called] = []
        """Requests that were called and are not answered; no more than are in hand."""
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
                    await self._take(message)
                    if connection.outgoing.ending:
                        return
                await self._answer_begun()
                if not connection.hold(decoder.held_bytes):
                    raise Busy(HELD_TOO_MUCH)
            except GossipregError as error:
                await self._answer_begun()
                connection.api.methods.dropped["client_broke_protocol"] += not isinstance(error, Busy)
                self.push(rpc_last_words(error.code, str(error)))
                return
            data = await connection.receive()

    async def _take(self, message: tuple[Any, ...]) -> None:
        """Answer a request, or only begin it."""
        if message[0] != "request":
            raise Refused(f"a message of type {message[0]} is not a request: send requests (type 0) only")
        _, id, method, params = message
        if self._begun and not may_begin(method, params, self._begun[-1][1]):
            await self._answer_begun()
        result = self._call(method, params)
        if isinstance(result, Begun):
            self._connection.begin_answer()
            self._begun.append((id, method, result))
            await self._connection.let_others(0)
            return
        await self._answer_begun()
        if isinstance(result, bytes):
            await self._push_replies(packed_reply(id, result))
        else:
            await self._answer([(id, method, result)])

    async def _answer_begun(self) -> None:
        """Answer the requests that are begun."""
        if self._begun:
            begun, self._begun = self._begun, []
            await self._answer(begun)

    async def _answer(self, called: Sequence[Called]) -> None:
        replies: list[bytes] = []
        for one in called:
            replies += await self._reply(*one)
        await self._push_replies(replies)

    async def _push_replies(self, replies: Sequence[bytes]) -> None:
        self.push(*replies)
        if opening := self._calls.take_opening():
            self.push(*opening)
        self._connection.end_answer()
        await self._connection.let_others(sum(map(len, replies)))

    def _call(self, method: str, params: Params) -> Result:
        try:
            return self._calls.call(method, params)
        except Exception as error:
            return error

    async def _reply(self, id: int, method: str, result: Result) -> Sequence[bytes]:
        """The reply to a request, in pieces. Never raises."""
        try:
            if isinstance(result, Exception):
                raise result
            if not isinstance(result, bytes):
                self._connection.begin_answer()
                result = await result
            return packed_reply(id, result)
        except Exception as error:
            fault = self._calls.fault(method, error)
            return (encode_error(id, fault.code, str(fault)),)

    def _notify(self, method: str, params: Params) -> None:
        self.push(encode_notification(method, params))
